"""Locks between processes of one home: files that the operating system gives back when a process dies."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path

from hub.errors import StopError


def try_lock(folder: Path, name: str) -> int | None:
    """Take a lock without waiting. Returns its descriptor, to be closed to let go, or None if another has it."""
    file = hashlib.sha256(name.encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        msg = f"the folder of the locks, {folder}, cannot be used ({exc.strerror})"
        raise StopError(msg, "move what is in its place, or check the rights") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
