"""Being told to stop: what long work asks between its parts, and a process that ends in time whatever it waits for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from hub.errors import RetryLaterError
from hub.telemetry import log

Stop = Callable[[], bool]
"""Asked between batches; true: leave the rest to the next time."""
GRACE_SECONDS: Final = 9.0
"""How long a process may take to finish what it does; who told it to stop kills it after ten."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def never() -> bool:
    """Go on until nothing is left."""
    return False


@contextmanager
def told_to_stop(grace: float = GRACE_SECONDS) -> Iterator[threading.Event]:
    """Give what is set when the process is told to stop, by SIGTERM or Ctrl-C.

    If the block has not ended so many seconds later, the process ends at once, with the exit code of a service that is
    not reachable: it waits for a lock, a server or a broker. Nothing recorded is lost by that, and an open transaction
    is undone. For the main thread only.
    """
    stop, ended = threading.Event(), threading.Event()
    heard, told = os.pipe()
    os.set_blocking(told, False)

    def watch() -> None:
        """Listen in a thread of its own: the main thread hears of a signal only when the call that it is in returns."""
        while number := os.read(heard, 1):
            if number[0] in _SIGNALS:
                stop.set()
                if not ended.wait(grace):
                    log.error("ended_hard")
                    os._exit(RetryLaterError.exit_code)

    watcher = threading.Thread(target=watch, name="stop", daemon=True)
    before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    waker = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    watcher.start()
    try:
        yield stop
    finally:
        ended.set()
        signal.set_wakeup_fd(waker)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(told)
        watcher.join()
        os.close(heard)
