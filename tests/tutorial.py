"""Executes a tutorial: the blocks of a Markdown page, in order, in an empty folder.

A block with `file=PATH` is written there. In a `console` block each line with `$` is a command that must end well, and
the lines below it must be in what it prints, in that order; `...` stands for anything. The commands are those of the
page, but for what a test may not do: `hub` runs from this checkout with a clock that stands still, and `pip install -e .`
builds the package and puts it on the path, so that nothing outside the folder changes.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
NOW: Final = "2026-11-02T09:00:00+01:00"
_BLOCK: Final = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HUB: Final = [sys.executable, "-c", "from hub.cli import main; main()"]


@dataclass(frozen=True, slots=True)
class Step:
    """A file to write, or a command and what it must print."""

    file: str | None
    text: str
    expected: tuple[str, ...] = ()


def steps(page: Path) -> Iterator[Step]:
    """Yield the steps of a page, in order."""
    for language, file, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if file:
            yield Step(file, text)
        elif language == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, *expected = part.rstrip("\n").split("\n")
                yield Step(None, command, tuple(expected))


class Shell:
    """Runs the steps in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._site = folder.with_name(f"{folder.name}-site")

    def do(self, step: Step) -> None:
        """Do one step; what is otherwise than the page says fails."""
        if step.file is not None:
            path = self.folder / step.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
            return
        words = shlex.split(step.text)
        if words == ["pip", "install", "-e", "."]:
            self._install()
            return
        done = self.run(words)
        assert done.returncode == 0, f"{step.text}\n{done.stdout}{done.stderr}"
        pattern = ".*".join(re.escape(part) for part in re.split(r"\s*\.\.\.\s*", "\n".join(step.expected)))
        assert re.search(pattern, done.stdout, re.DOTALL), f"{step.text}\n{done.stdout}"

    def run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run one command in the folder."""
        if words[0] == "hub":
            command = [*_HUB, "--now", NOW, *words[1:]]
        else:
            assert words[0] == "pytest"
            command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words[1:]]
        path = os.pathsep.join(str(place) for place in (self._site, ROOT, *os.environ.get("PYTHONPATH", "").split(os.pathsep)))
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})

    def _install(self) -> None:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(self._site)]
        subprocess.run(build, cwd=self.folder, check=True, capture_output=True)
        for wheel in self._site.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(self._site)
