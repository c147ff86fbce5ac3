"""Ids of signals that follow from their content under a key of the connector: publishing a thing twice changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from hub.client import NewSignal
from hub.errors import StopError

KEY_FILE: Final = "id.key"
KEY_BYTES: Final = 32
ID_LETTERS: Final = 40
_LETTERS: Final = str.maketrans("0123456789", "ghijklmnop")


def identify(signal: NewSignal, key: bytes, prefix: str, *more: str) -> NewSignal:
    """Give the signal the id that follows from its type, its data and `more` under `key`.

    Ids go to logs, and there are few enough BSNs or addresses to try them all against a plain
    hash; hence the key.
    """
    content = json.dumps([signal.type, signal.data, *more], sort_keys=True, separators=(",", ":"))
    return replace(signal, id=prefix + letters(key, (content.encode(),), ID_LETTERS))


def letters(key: bytes, parts: Iterable[bytes], count: int) -> str:
    """Return at most 64 letters that follow from bytes under a key. No digits: no part of them can pass for a BSN."""
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:count].translate(_LETTERS)


def id_key(state_dir: Path) -> bytes:
    """Return the key of the ids, made at the first run. Raises StopError."""
    path = state_dir / KEY_FILE
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "unknown error"
        raise StopError(
            f"{path}: the key of the signal ids cannot be read or made ({reason})",
            "Give a state_dir in which this account may write.",
        ) from error
    if len(key) != KEY_BYTES:
        raise StopError(
            f"{path}: the key of the signal ids is not {KEY_BYTES} bytes long",
            "Put the key back from a backup; with a new one, known facts are published again.",
        )
    return key


def _make_key(path: Path) -> None:
    """Make the key, whole or not at all; of two runs at once, both get the key of the first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent) as draft:  # its mode is 0600
        draft.write(secrets.token_bytes(KEY_BYTES))
        draft.flush()
        os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft.name)
