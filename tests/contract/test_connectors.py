"""Every connector of this repository passes the conformance suite, and has the same files as all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.brp.rig import RIG as BRP
from connectors.cjib.rig import RIG as CJIB
from connectors.kit.testing import conformance
from connectors.toeslagen.rig import RIG as TOESLAGEN
from connectors.vaste_lasten.rig import RIG as VASTE_LASTEN
from connectors.werk_en_inkomen.rig import RIG as WERK_EN_INKOMEN
from hub.plugins import connectors, module_of

FOLDER = Path(__file__).parents[2] / "connectors"
FILES = {"README.md", "__init__.py", "connector.py", "rig.py", "settings.py", "translate.py"}
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and path.name not in {"kit", "__pycache__"})
HOSTILE = "hostile"

TestBrp = conformance(BRP)
TestVasteLasten = conformance(VASTE_LASTEN)
TestWerkEnInkomen = conformance(WERK_EN_INKOMEN)
TestCjib = conformance(CJIB)
TestToeslagen = conformance(TOESLAGEN)


def test_each_connector_is_tested_here() -> None:
    tested = {name.removeprefix("Test").lower() for name in globals() if name.startswith("Test")}
    assert tested == {name.replace("_", "") for name in NAMES} - {HOSTILE}


@pytest.mark.parametrize("name", NAMES)
def test_each_has_the_same_files(name: str) -> None:
    assert {path.name for path in (FOLDER / name).iterdir()} >= FILES


def test_each_is_installed_but_the_hostile_one() -> None:
    own = {connector.name for connector in connectors() if module_of(connector.name).startswith("connectors.")}
    assert own == set(NAMES) - {HOSTILE}
