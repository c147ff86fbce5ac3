"""The built package works by itself, with the shipped rules, outside this repository."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_rules_schemas_and_everything_that_runs(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    run = [
        sys.executable,
        "-c",
        "import sys; sys.path.insert(0, 'site'); from hub.cli import main; sys.argv = ['hub', 'rules', 'check', '--strict']; main()",
    ]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "no faults" in done.stdout, done.stdout + done.stderr
    where = [sys.executable, "-c", "import sys; sys.path.insert(0, 'site'); import hub.files as f; print(f.default_folder('rules'))"]
    assert "site/hub/data/rules" in subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    new = [
        sys.executable,
        "-c",
        "import sys; sys.path.insert(0, 'site'); from hub.cli import main; sys.argv = ['hub', 'connector', 'new', 'waterschap', '--kind', 'both']; main()",
    ]
    done = subprocess.run(new, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (tmp_path / "waterschap" / "rig.py").exists(), done.stdout + done.stderr
    assert all((tmp_path / "site" / package / "py.typed").exists() for package in ("hub", "connectors", "consumers"))
