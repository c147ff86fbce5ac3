"""The errors of the hub, one tree, named by what the caller should do next.

    HubError
      StopError         stop: the set-up, the data or the rules must be put right first
        FaultsError       rule or schema files hold faults
        StatementError    the database refuses what was to be written; something else may be
      UsageError        the call itself is wrong
      RetryLaterError   nothing was done; the same call may succeed later
      RefusedError      one signal or request is refused, with reason codes

No message holds personal data: messages name places, codes and remedies, never values.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.domain.faults import Fault


class HubError(Exception):
    """The root: a sentence on what is wrong and where, and a hint on what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class StopError(HubError):
    """Work cannot go on until a person puts something right. Nothing was changed."""


class FaultsError(StopError):
    """Rule or schema files hold faults; all of them are listed together."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults), "put this right; `hub rules check` shows what is left")
        self.faults = tuple(faults)


class StatementError(StopError):
    """The database refused a statement for what it holds: the same would be refused again. Nothing was changed."""


class UsageError(HubError):
    """The call is wrong: an unknown name, a bad option, a time that lies in the past."""

    exit_code = 2


class RetryLaterError(HubError):
    """A service or disk did not answer. Nothing was acknowledged and nothing is half done."""

    exit_code = 3


class RefusedError(HubError):
    """One request is refused; the reason codes say why."""

    def __init__(self, codes: Sequence[str], message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.codes = tuple(codes)


def whereabouts(error: BaseException, beside: str = "") -> str:
    """Return the type of an exception and where it was raised, `KeyError at translate.py:31`; never its words, which may hold values.

    Args:
        error: The exception that was caught.
        beside: The name of a module, or of something in one. Of the places that it came through, the last one in the
            package of this module counts, if there is one: where a plugin called a library is what its author can change.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__} at {Path(error.filename).name}:{error.lineno}"
    package = beside.rpartition(".")[0] or beside
    frames = [
        (str(frame.f_globals.get("__name__")), frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [frame for frame in frames if package and f"{frame[0]}.".startswith(f"{package}.")]
    if not frames:
        return type(error).__name__
    _, file, line = (own or frames)[-1]
    return f"{type(error).__name__} at {Path(file).name}:{line}"
