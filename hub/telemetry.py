"""Logging: a closed list of events, JSON lines on standard error, nothing personal in them.

Every event name stands in EVENTS with its keys; `log` refuses others. Values are codes, counts,
names of rules and types: never data of a signal, never the text of somebody else's exception.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

EVENTS: Final[dict[str, frozenset[str]]] = {
    "condition_failed": frozenset({"rule", "type"}),
    "rules_adopted": frozenset({"version"}),
    "rules_refused": frozenset({"faults"}),
    "signal_failed": frozenset({"type", "error"}),
    "batch_recorded": frozenset({"accepted", "duplicate", "rejected"}),
    "deliveries_sent": frozenset({"count"}),
    "quota_released": frozenset({"released", "expired"}),
    "retry_later": frozenset({"error"}),
    "connector_ran": frozenset({"connector", "read", "accepted", "duplicate", "delivered", "skipped", "refused", "answers"}),
    "terms_due": frozenset({"cases"}),
    "term_failed": frozenset({"process", "error"}),
    "erased": frozenset({"signals", "rejections", "cases"}),
    "library_warned": frozenset({"library"}),
}
"""Event -> the keys that it may carry."""


def _closed_list(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    allowed = EVENTS.get(str(event.get("event")))
    if allowed is None or not event.keys() - {"event", "level", "timestamp"} <= allowed:
        return {"event": "log_event_not_listed", "level": "error"}
    return event


class _Libraries(logging.Handler):
    """Says that a library had something to say, and not what: its texts hold what it likes."""

    def emit(self, record: logging.LogRecord) -> None:
        log.info("library_warned", library=record.name.partition(".")[0])


def configure(level: str = "warning") -> None:
    """Set logging up for a process. Levels as in the logging module, lower case."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _closed_list,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # standard error as it is when something is logged
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    if not any(isinstance(handler, _Libraries) for handler in root.handlers):
        root.addHandler(_Libraries(logging.WARNING))


log: Final[Any] = structlog.get_logger()
