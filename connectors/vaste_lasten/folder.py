"""A watched folder: what in it may be read, and how a file moves through it.

    <folder>/            here the partner puts its files
    <folder>/bezig/      taken up: the partner cannot change it any more, and a killed run finds it again
    <folder>/verwerkt/   handled, each with its receipt
    <folder>/geweigerd/  refused as a whole, each with a receipt that says why

What a partner put there itself is never deleted; what was fetched from its server is, once it lies there with its receipt.

Every move is a rename inside one file system.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

BUSY: Final = "bezig"
DONE: Final = "verwerkt"
ASIDE: Final = "geweigerd"
PARTLY: Final = frozenset({".part", ".tmp", ".filepart", ".partial", ".crdownload"})
"""Endings under which programs write a file that is not whole yet."""
RECEIPT: Final = ".ontvangst.csv"
_NOT_SAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST: Final = 80

Looks = dict[str, tuple[int, ...]]
"""Name -> what a later look must find the same."""


class Handled(NamedTuple):
    """A file that was handled, and its receipt, each where it is now."""

    file: Path
    receipt: Path


def is_looked_at(name: str) -> bool:
    """Say whether a name is that of a delivery: not hidden, not a lock of an office program, not partly written."""
    return not name.startswith((".", "~$")) and Path(name).suffix.lower() not in PARTLY


def settled(look: Callable[[], Looks], pause: Callable[[], None]) -> Iterator[str]:
    """Yield each name that two looks find the same, until a look finds nothing new.

    What changes between two looks is still being written and is left for the next run. A name comes again
    only if there is another file under it.
    """
    growing: set[str] = set()
    offered: Looks = {}
    while seen := {name: state for name, state in look().items() if name not in growing and offered.get(name) != state}:
        pause()
        now = look()
        for name, state in seen.items():
            if now.get(name) == state:
                offered[name] = state
                yield name
            elif name in now:
                growing.add(name)


class Folder:
    """One watched folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Raise OSError if this account may not read and write in the folder and those inside it that are there."""
        for path in (self.path, *(inner for inner in self._inner if inner.exists())):
            os.scandir(path).close()
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self._no_links()

    def make(self) -> None:
        """Make the folders inside it that are not there. Raises OSError if it is not there itself, or if one of them is a link."""
        for inner in self._inner:
            inner.mkdir(exist_ok=True)
        self._no_links()

    @property
    def _inner(self) -> tuple[Path, ...]:
        return self.path / BUSY, self.path / DONE, self.path / ASIDE

    def _no_links(self) -> None:
        """Keep the partner, who may write here, from having this account write elsewhere."""
        if any(inner.is_symlink() for inner in self._inner):
            raise NotADirectoryError(errno.ENOTDIR, "a folder in it is a link")

    def look(self) -> Looks:
        """Return the deliveries that are here now. Links and folders are none."""
        found: Looks = {}
        with os.scandir(self.path) as entries:
            for entry in entries:
                if is_looked_at(entry.name) and entry.is_file(follow_symlinks=False):
                    found[entry.name] = _state(entry.stat(follow_symlinks=False))
        return dict(sorted(found.items()))

    def busy(self) -> list[Path]:
        """Return what an earlier run took up and did not finish."""
        return sorted(path for path in (self.path / BUSY).iterdir() if is_looked_at(path.name) and _is_file(path))

    def take(self, name: str) -> Path | None:
        """Take a file up; None if one with its name is still being handled, if it is gone, or if it became a link meanwhile."""
        path = self.path / BUSY / name
        if os.path.lexists(path):
            return None
        try:
            _move(self.path / name, path)
        except FileNotFoundError:
            return None
        return path if _is_file(path) else None

    def arrived(self, part: Path, name: str) -> Path:
        """Take up a file that was fetched under another name; it takes the place of the same one fetched before a crash."""
        path = self.path / BUSY / name
        _move(part, path)
        return path

    def handled(self, taken: Path, mark: str) -> Handled | None:
        """Return where a file with this name and content went earlier, if it was handled to its end. It may be gone since."""
        for to in (DONE, ASIDE):
            kept = self.path / to / _kept(taken.name, mark)
            receipt = kept.with_name(f"{kept.name}{RECEIPT}")
            if receipt.exists():
                return Handled(kept, receipt)
        return None

    def draft(self, taken: Path, mark: str) -> Path:
        """Return where the receipt of a file that was taken up is made."""
        return self.path / DONE / f".{_kept(taken.name, mark)}{RECEIPT}.part"

    def finish(self, taken: Path, draft: Path, mark: str, *, refused: bool = False) -> Handled:
        """Move a file out, then show its receipt. A name and mark that were there before had the same content."""
        to = self.path / (ASIDE if refused else DONE)
        kept = to / _kept(taken.name, mark)
        _move(taken, kept)
        return Handled(kept, self._show(draft, to / f"{kept.name}{RECEIPT}"))

    def show_receipts(self) -> None:
        """Show the receipts of files that a killed run had moved out already; let go of drafts whose file is nowhere."""
        for draft in (self.path / DONE).glob(f".*{RECEIPT}.part"):
            name = draft.name.removeprefix(".").removesuffix(f"{RECEIPT}.part")
            out = [folder for folder in (DONE, ASIDE) if (self.path / folder / name).exists()]
            if out and _is_file(draft):
                self._show(draft, self.path / out[0] / f"{name}{RECEIPT}")
            else:
                draft.unlink()

    def forget(self) -> None:
        """Let go of every file that was moved out, and of what was not fetched to its end; receipts stay."""
        out = [path for to in (DONE, ASIDE) for path in (self.path / to).iterdir() if not path.name.endswith(RECEIPT)]
        for path in (*out, *self.path.glob(".*.part")):
            path.unlink()

    @staticmethod
    def _show(draft: Path, receipt: Path) -> Path:
        _move(draft, receipt)
        return receipt


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def changed(path: Path) -> tuple[int, ...]:
    """Return what differs once a file was written to."""
    return _state(path.lstat())


def last_written(path: Path) -> float:
    """Return when a file was written to last, in seconds since the epoch."""
    return path.lstat().st_mtime


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_size, found.st_mtime_ns, found.st_ino


def _kept(name: str, mark: str) -> str:
    """Return the name under which a file is kept: its own, as far as it is plain, with a mark of its content."""
    path = Path(name)
    suffix = _NOT_SAFE.sub("_", path.suffix)[:10]
    return f"{_NOT_SAFE.sub('_', path.stem)[:_LONGEST] or '_'}.{mark}{suffix}"


def _move(source: Path, target: Path) -> None:
    """Rename, and see to it that the disk has it."""
    source.replace(target)
    for folder in {source.parent, target.parent}:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
