"""The suite as pytest tests: one line in a test file.

TestWaterbedrijf = conformance(RIG)
"""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.kit.rig import Rig
from connectors.kit.suite import CHECKS, Check


def conformance(rig: Rig) -> type:
    """Return a class of tests, one for each check of the suite that applies to this rig."""
    applying = [pytest.param(check, id=check.name) for check in CHECKS if not check.missing(rig)]

    class Conformance:
        """What every connector must do right."""

        @pytest.mark.parametrize("check", applying)
        def test_conformance(self, check: Check, tmp_path: Path) -> None:
            found = check.on(rig, tmp_path)
            if found.verdict != "passed":
                pytest.fail(f"{found.what}: {found.why}", pytrace=False)

    return Conformance
