"""Runs a command for as long as another process lives: `python -m tests.services.keeper PID COMMAND...`.

A service outlives the worker that asked for it and never the test run, also when that is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time


def main() -> None:
    """Start the command, wait for the end of the run, and end the command."""
    owner, command = int(sys.argv[1]), sys.argv[2:]
    child = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while child.poll() is None and _lives(owner):
            time.sleep(0.5)
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
