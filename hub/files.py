"""Finding and reading rule and schema files: a folder of the user's, or the ones in the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hub.domain.faults import Fault
from hub.errors import FaultsError, StopError

_PACKAGE: Final = Path(__file__).parent
SUFFIXES: Final = {"rules": ".yaml", "schemas": ".avsc"}


def default_folder(kind: str) -> Path:
    """Return `./rules` or `./schemas` if it is there, else the package's own."""
    here = Path(kind)
    return here if here.is_dir() else packaged_folder(kind)


def packaged_folder(kind: str) -> Path:
    """Return the folder that comes with the program."""
    packaged = _PACKAGE / "data" / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind  # the latter in a source checkout


def read(rules: Path, schemas: Path) -> dict[str, str]:
    """Read all rule and schema files, and the hub's own. Raises StopError naming what cannot be read."""
    content = {f"own/{path.name}": path.read_text(encoding="utf-8") for path in sorted((_PACKAGE / "own").glob("*.[ya][av]*"))}
    for kind, folder in (("rules", rules), ("schemas", schemas)):
        if not folder.is_dir():
            msg = f"there is no folder {folder}"
            raise StopError(msg, f"give the folder with --{kind}")
        for path in sorted(folder.glob(f"[!.]*{SUFFIXES[kind]}")):  # editors leave hidden files
            content[f"{kind}/{path.name}"] = _text(path)
    return content


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise FaultsError([Fault(str(path), 1, "not UTF-8", "save it as UTF-8")]) from None
    except OSError as exc:
        msg = f"{path} cannot be read ({exc.strerror})"
        raise StopError(msg, "check the rights on the file") from None
