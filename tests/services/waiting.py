"""The one place that waits: a deadline, a poll, and what to say when it did not come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

PAUSE: Final = 0.05


class ServiceError(Exception):
    """A service that cannot be had: one line that says what to do, and under it the end of a log where there is one."""


def until(done: Callable[[], bool], *, within: float, what: str, tail: Callable[[], str] = lambda: "") -> None:
    """Poll until it is done.

    Raises:
        ServiceError: it was not done within so many seconds.
    """
    deadline = time.monotonic() + within
    while not done():
        if time.monotonic() > deadline:
            raise ServiceError(f"{what}: not within {within:g} seconds{tail()}")
        time.sleep(PAUSE)
