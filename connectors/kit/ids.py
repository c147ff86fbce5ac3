"""Ids and pseudonyms that say nothing: they follow from content under a key that stays in the connector's folder.

Ids go to logs, and there are few enough BSNs to try them all against a plain hash; hence the key. Letters only, so that
no part can pass for a number of a person.
"""

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
from typing import Any, Final

from hub.client import NewSignal
from hub.errors import StopError

KEY_FILE: Final = "id.key"
KEY_BYTES: Final = 32
ID_LETTERS: Final = 40
_LETTERS: Final = str.maketrans("0123456789", "ghijklmnop")


def id_key(state_dir: Path) -> bytes:
    """Return the key of a connector's folder, made at the first call. Raises StopError.

    With another key the same content gives other ids, so a back-up of the home holds it too.
    """
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


def pseudonym(key: bytes, *content: Any) -> str:
    """Return 40 letters that follow from JSON values under the key."""
    return letters(key, (json.dumps(content, sort_keys=True, separators=(",", ":")).encode(),), ID_LETTERS)


def letters(key: bytes, parts: Iterable[bytes], count: int) -> str:
    """Return at most 64 letters that follow from bytes, in whatever parts they come, under the key."""
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:count].translate(_LETTERS)


def spelled(name: str) -> str:
    """Return a hexadecimal name, a delivery_id for example, with letters for its digits.

    A name in random digits now and then holds nine in a row that pass for a burgerservicenummer; the hub refuses an id with those.
    """
    return name.translate(_LETTERS)


def identified(signal: NewSignal, key: bytes, prefix: str, *more: str) -> NewSignal:
    """Give a signal the id that follows from its type, its data and `more`; published twice it is one signal."""
    return replace(signal, id=f"{prefix}-{pseudonym(key, signal.type, signal.data, *more)}")
