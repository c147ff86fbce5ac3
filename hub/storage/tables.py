"""The tables. Rows have integer keys in commit order; the one random index is the signal_id.

Times are epoch milliseconds in UTC, on every database: SQLite drops zones in silence.
Names (participants, types, grants, quota keys) are small integers from `names`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

metadata: Final = MetaData()
_Key: Final = BigInteger().with_variant(Integer, "sqlite")
LARGEST_KEY: Final = 2**63 - 1
"""The largest number that a row can have; a larger one cannot even be asked for."""


class State(IntEnum):
    """Where a delivery is."""

    WAITING = 0
    """In a quota queue; nothing has been projected yet."""
    READY = 1
    """Recorded, to be sent."""
    SENT = 2
    DROPPED = 3
    """Left the queue without being sent, or will never be released."""
    HELD = 4
    """Waits until its recipient publishes what the grant names; nothing has been projected yet."""


class Outcome(IntEnum):
    """What a decision row says."""

    DELIVER = 1
    WITHHOLD = 2
    DEFER = 3
    RELEASED = 4
    EXPIRED = 5
    RECALLED = 6


class Recall(IntEnum):
    """How a signal was taken back."""

    WITHDRAWN = 1
    CORRECTED = 2


class Rejection(IntEnum):
    """What became of a refused signal."""

    OPEN = 0
    REPLAYED = 1
    DISCARDED = 2
    ERASED = 3


names = Table(
    "names", metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(200), nullable=False, unique=True),
)  # fmt: skip

counters = Table(
    "counters", metadata,
    Column("name", String(40), primary_key=True),
    Column("value", _Key, nullable=False),
)  # fmt: skip
"""Last ids given out, and the latest moment that this hub has seen."""

keys = Table(
    "keys", metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("proof", LargeBinary, nullable=False),
)  # fmt: skip
"""A sealed constant per key version: shows at opening that the key is the right one."""

rule_sets = Table(
    "rule_sets", metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", String(64), nullable=False, unique=True),
    Column("content", LargeBinary, nullable=False),
    Column("loaded_at", _Key, nullable=False),
    Column("turn", Integer, nullable=False),
)  # fmt: skip
"""Every version that was used; the one with the highest `turn` was put in force last."""

schemas = Table(
    "schemas", metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    Column("kind", String(10), nullable=False),
    Column("name", String(200), nullable=False),
    Column("content", Text, nullable=False),
)  # fmt: skip
"""Contracts and views, by the id that goes on the wire."""

signals = Table(
    "signals", metadata,
    Column("id", _Key, primary_key=True, autoincrement=False),
    Column("signal_id", LargeBinary(16), nullable=False, unique=True),
    Column("type", Integer, nullable=False),
    Column("publisher", Integer, nullable=False),
    Column("municipality", String(4)),
    Column("keten", _Key),
    Column("cause", _Key),
    Column("subject", LargeBinary(17)),
    Column("time", _Key, nullable=False),
    Column("received_at", _Key, nullable=False),
    Column("rule_set", Integer, nullable=False),
    Column("schema", Integer, nullable=False),
    Column("fingerprint", LargeBinary(16)),
    Column("sealed_key", LargeBinary),
    Column("payload", LargeBinary),
    Column("erase_at", _Key),
)  # fmt: skip
"""`keten` is the id of the signal that opened it; NULL for an anonymous signal. `erase_at` is NULL once erased."""
_erasable = text("erase_at IS NOT NULL")
_later = text("keten <> id")
Index("signals_in_keten", signals.c.keten, sqlite_where=_later, postgresql_where=_later)
Index("signals_to_erase", signals.c.erase_at, sqlite_where=_erasable, postgresql_where=_erasable)

keten_names = Table(
    "keten_names", metadata,
    Column("hash", LargeBinary(16), primary_key=True),
    Column("keten", _Key, nullable=False, index=True),
    Column("sealed_name", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip
"""The ketens whose opener chose its own name for it."""

decisions = Table(
    "decisions", metadata,
    Column("id", _Key, primary_key=True, autoincrement=False),
    Column("signal", _Key, nullable=False, index=True),
    Column("grant", Integer),
    Column("recipient", Integer, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("reason", String(60), nullable=False),
    Column("rule_set", Integer, nullable=False),
    Column("at", _Key, nullable=False),
    Column("counted", Integer),
)  # fmt: skip
"""Append-only. `counted` is the quota count that the decision saw."""

deliveries = Table(
    "deliveries", metadata,
    Column("id", _Key, primary_key=True, autoincrement=False),
    Column("delivery_id", LargeBinary(16), nullable=False),
    Column("signal", _Key, nullable=False, index=True),
    Column("grant", Integer, nullable=False),
    Column("recipient", Integer, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("queue", Integer),
    Column("schema", Integer),
    Column("payload", LargeBinary),
    Column("at", _Key, nullable=False),
    Column("sequence", _Key),
    Column("sent_at", _Key),
    Column("about", _Key),
)  # fmt: skip
"""`about` is the earlier delivery to the same recipient that this one takes back or replaces."""
_waiting, _ready = text("state = 0"), text("state = 1")
Index("deliveries_waiting", deliveries.c.queue, deliveries.c.id, sqlite_where=_waiting, postgresql_where=_waiting)
Index("deliveries_ready", deliveries.c.recipient, deliveries.c.id, sqlite_where=_ready, postgresql_where=_ready)

sequences = Table(
    "sequences", metadata,
    Column("recipient", Integer, primary_key=True, autoincrement=False),
    Column("last", _Key, nullable=False),
    Column("sent", _Key, nullable=False, server_default="0"),
)  # fmt: skip
"""The last place that was given out, and the last that is known to have left: between them stands what must be sent again."""

quota_usage = Table(
    "quota_usage", metadata,
    Column("key", Integer, primary_key=True, autoincrement=False),
    Column("period", Integer, primary_key=True, autoincrement=False),
    Column("used", Integer, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip

cases = Table(
    "cases", metadata,
    Column("id", _Key, primary_key=True, autoincrement=False),
    Column("process", Integer, nullable=False),
    Column("key", LargeBinary(16), nullable=False, unique=True),
    Column("subject", LargeBinary(17)),
    Column("keten", _Key, nullable=False),
    Column("municipality", String(4)),
    Column("state", Integer, nullable=False),
    Column("sealed", LargeBinary),
    Column("next_due", _Key),
    Column("opened_at", _Key, nullable=False),
    Column("changed_at", _Key, nullable=False),
    Column("closed_at", _Key),
    Column("erase_at", _Key),
)  # fmt: skip
"""One row a case. `sealed` holds its variables and terms; `erase_at` is set when it closes, NULL once erased."""
_running, _open, _ended = text("next_due IS NOT NULL"), text("closed_at IS NULL"), text("erase_at IS NOT NULL")
Index("cases_open", cases.c.process, cases.c.state, sqlite_where=_open, postgresql_where=_open)
Index("cases_due", cases.c.next_due, cases.c.id, sqlite_where=_running, postgresql_where=_running)
Index("cases_about", cases.c.subject, sqlite_where=_open, postgresql_where=_open)
Index("cases_in_keten", cases.c.keten)
Index("cases_to_erase", cases.c.erase_at, sqlite_where=_ended, postgresql_where=_ended)

case_steps = Table(
    "case_steps", metadata,
    Column("id", _Key, primary_key=True, autoincrement=False),
    Column("case", _Key, nullable=False, index=True),
    Column("signal", _Key, index=True),
    Column("trigger", Integer, nullable=False),
    Column("from_state", Integer),
    Column("to_state", Integer, nullable=False),
    Column("moved", SmallInteger, nullable=False),
    Column("rule_set", Integer, nullable=False),
    Column("at", _Key, nullable=False),
    Column("sealed", LargeBinary),
)  # fmt: skip
"""Append-only. `trigger` is a signal type, or the code of a term; `moved` is 0 for what left state and variables alone.
`sealed` holds the variables after the step, so that a decision that read them can be repeated; erased with the case.
"""

recalls = Table(
    "recalls", metadata,
    Column("original", _Key, primary_key=True, autoincrement=False),
    Column("by", _Key, nullable=False, index=True),
    Column("kind", SmallInteger, nullable=False),
    Column("at", _Key, nullable=False),
)  # fmt: skip
"""Signals that were taken back, each once, and the withdrawal or correction that did it."""

receipts = Table(
    "receipts", metadata,
    Column("signal", _Key, primary_key=True, autoincrement=False),
    Column("recipient", Integer, primary_key=True, autoincrement=False),
    Column("original", _Key, nullable=False, index=True),
    Column("confirmed_at", _Key),
    sqlite_with_rowid=False,
)  # fmt: skip
"""Who was told of a recall, by which signal, and when the recipient confirmed it."""

rejections = Table(
    "rejections", metadata,
    Column("id", _Key, primary_key=True, autoincrement=False),
    Column("signal_id", LargeBinary(16), index=True),
    Column("publisher", Integer, nullable=False),
    Column("type", Integer),
    Column("received_at", _Key, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("fingerprint", LargeBinary(16), unique=True),
    Column("sealed_key", LargeBinary),
    Column("body", LargeBinary),
    Column("state", SmallInteger, nullable=False),
    Column("note", String(200)),
    Column("erase_at", _Key, nullable=False, index=True),
)  # fmt: skip

_unhandled: Final = text("state = 0")
Index("rejections_open", rejections.c.received_at, sqlite_where=_unhandled, postgresql_where=_unhandled)

refusal_counts = Table(
    "refusal_counts", metadata,
    Column("code", String(60), primary_key=True),
    Column("count", _Key, nullable=False),
)  # fmt: skip
"""Refusals of which nothing else is kept: strangers and forbidden types."""

log_records = Table(
    "log_records", metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("topic", Integer, nullable=False),
    Column("at", _Key, nullable=False),
    Column("expires", _Key, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)  # fmt: skip
Index("log_records_by_topic", log_records.c.topic, log_records.c.id)

log_offsets = Table(
    "log_offsets", metadata,
    Column("consumer_group", String(120), primary_key=True),
    Column("topic", Integer, primary_key=True, autoincrement=False),
    Column("next", _Key, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip
