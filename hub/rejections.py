"""Refused signals: listing, showing masked, replaying exactly as they came, discarding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import select

from hub.codec import Received, UnreadableError, open_envelope, read_avro, unframe
from hub.domain import terms
from hub.errors import RefusedError, UsageError
from hub.keys import unseal
from hub.refusing import unraw
from hub.storage.tables import LARGEST_KEY, Rejection, refusal_counts, rejections
from hub.trail import trace_of
from hub.work import Outcome

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from hub.app import Hub
    from hub.domain.contract import Leaf
    from hub.domain.ruleset import TypeRules

MASK: Final = "•••"
_CHUNK: Final = 500
"""How many are read, replayed or closed in one go."""
_FREE_KINDS: Final = frozenset({"string", "gba-datum"})
"""Kinds of which a code is no choice out of a list or a number: whatever was typed there."""


class Which(NamedTuple):
    """Which refused signals are meant: all that fit everything that is given."""

    code: str | None = None
    """One of the reasons for which it was refused."""
    type: str | None = None
    publisher: str | None = None

    def fits(self, entry: Mapping[str, Any]) -> bool:
        """Say whether an entry of the list is meant."""
        return (
            self.code in {None, *(error["code"] for error in entry["errors"])}
            and self.type in {None, entry["type"]}
            and self.publisher in {None, entry["publisher"]}
        )


ALL: Final = Which()


def listing(hub: Hub, which: Which = ALL, *, only_open: bool = True) -> list[dict[str, Any]]:
    """Return the refused signals, oldest first, without their content."""
    where = [rejections.c.state == Rejection.OPEN] if only_open else []
    columns = [column for column in rejections.c if column.name not in {"sealed_key", "body"}]
    with hub.database.read() as connection:
        rows = connection.execute(select(*columns).where(*where).order_by(rejections.c.id)).all()
        entries = [_entry(hub, connection, row) for row in rows]
    return [entry for entry in entries if which.fits(entry)]


def replayable(hub: Hub, which: Which = ALL) -> list[int]:
    """Return the numbers of the open refused signals that can be put through again, oldest first."""
    with hub.database.read() as connection:
        kept = rejections.c.state == int(Rejection.OPEN), rejections.c.sealed_key.is_not(None)
        numbers = set(connection.execute(select(rejections.c.id).where(*kept)).scalars())
    return [entry["rejection"] for entry in listing(hub, which) if entry["rejection"] in numbers]


def _entry(hub: Hub, connection: Connection, row: Row[Any]) -> dict[str, Any]:
    return {
        "rejection": row.id,
        "received": terms.iso_utc(row.received_at),
        "publisher": hub.names.name(connection, row.publisher),
        "type": hub.names.name(connection, row.type) if row.type else None,
        "errors": [{"code": code, "field": field} for code, field in json.loads(row.reasons)],
        "state": Rejection(row.state).name.lower(),
        "erased_at": terms.iso_utc(row.erase_at),
    }


def counts(hub: Hub) -> dict[str, int]:
    """Return how often strangers and forbidden types were refused; nothing else is kept of those."""
    with hub.database.read() as connection:
        rows = connection.execute(select(refusal_counts.c.code, refusal_counts.c.count).order_by(refusal_counts.c.code))
        return {code: count for code, count in rows}  # noqa: C416  (typed)


def show(hub: Hub, number: int) -> dict[str, Any]:
    """Return one refused signal with everything masked that could point at a person.

    Shown as they are: right values of class organisation, and of class code where that is a choice
    from a list, a number or a day. All else is masked, and so is every value that has a fault: it may be anything.
    """
    row = _row(hub, number)
    with hub.database.read() as connection:
        summary = _entry(hub, connection, row)
    if row.sealed_key is None:
        return {**summary, "data": None}
    event = _event(hub, row)
    return {**summary, "trace": trace_of(hub.keys, event, row.signal_id), "bytes": len(event.body), "data": _masked(hub, event)}


def replay(hub: Hub, numbers: Sequence[int]) -> list[Outcome]:
    """Put refused signals through the pipeline again, byte for byte as they came, in this order.

    What is accepted now (or turns out to be there already) is closed; what is refused again stays. Raises UsageError or
    RefusedError before anything is done if one of them is not there any more. If the database stops answering on the way, those
    before are done: the same call finds them closed.
    """
    _require_open(hub, numbers, kept=True)
    return [outcome for part in _parts(numbers) for outcome in _replay(hub, part)]


def _replay(hub: Hub, numbers: Sequence[int]) -> list[Outcome]:
    rows = [_row(hub, number) for number in numbers]
    outcomes = hub.router.process([_event(hub, row) for row in rows])
    done = [row.id for row, outcome in zip(rows, outcomes, strict=True) if outcome.status != "rejected"]
    _close(hub, done, Rejection.REPLAYED, None)
    return outcomes


def discard(hub: Hub, numbers: Sequence[int], reason: str) -> None:
    """Erase refused signals before their time, all or none, with a reason that is kept."""
    _require_open(hub, numbers)
    _close(hub, numbers, Rejection.DISCARDED, reason)


def _parts(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK))


def _close(hub: Hub, numbers: Sequence[int], state: Rejection, note: str | None) -> None:
    gone = {"sealed_key": None, "body": None, "fingerprint": None}
    with hub.database.write() as connection:
        for part in _parts(numbers):
            which = rejections.c.id.in_(part), rejections.c.state == int(Rejection.OPEN)
            connection.execute(rejections.update().where(*which).values(state=int(state), note=note, **gone))


def _require_open(hub: Hub, numbers: Sequence[int], *, kept: bool = False) -> None:
    """Raise unless each of these is open; with `kept`, unless its bytes are there too: those of a signal that is too large are not."""
    columns = (rejections.c.id, rejections.c.state, rejections.c.sealed_key.is_not(None).label("kept"))
    with hub.database.read() as connection:
        parts = _parts([min(number, LARGEST_KEY) for number in numbers])
        found = {row.id: row for part in parts for row in connection.execute(select(*columns).where(rejections.c.id.in_(part)))}
    for number in numbers:
        row = found.get(number)
        if row is None:
            raise _no_such()
        if row.state != Rejection.OPEN:
            raise RefusedError(["gesloten"], f"refused signal {number} is {Rejection(row.state).name.lower()}", "its bytes are gone")
        if kept and not row.kept:
            raise RefusedError(["niet-bewaard"], f"of refused signal {number} no bytes were kept", "ask its publisher to send it again")


def _row(hub: Hub, number: int) -> Row[Any]:
    with hub.database.read() as connection:
        row = connection.execute(select(rejections).where(rejections.c.id == min(number, LARGEST_KEY))).one_or_none()
    if row is None:
        raise _no_such()
    return row


def _no_such() -> UsageError:
    return UsageError("there is no such refused signal", "see `hub rejections list`")


def _event(hub: Hub, row: Row[Any]) -> Received:
    with hub.database.read() as connection:
        participant = hub.names.name(connection, row.publisher)
    return unraw(participant, unseal(hub.keys.data_key(row.sealed_key), row.body))


def _masked(hub: Hub, event: Received) -> Any:
    types = hub.rulebooks.current.ruleset.types

    try:
        envelope = open_envelope(event)
        rules = types.get(str(envelope.attributes.get("type")))
        if rules is None:
            return None
        data = _wire_data(hub, rules, envelope.data) if envelope.wire else envelope.data
    except UnreadableError:
        return None
    _, issues = (rules.check_wire if envelope.wire else rules.check_json)(data)
    return _mask(data, rules, {field for _, field in issues}, ()) if isinstance(data, dict) else None


def _wire_data(hub: Hub, rules: TypeRules, value: bytes) -> Any:
    """Read Avro under the contract that it was written with; bytes under another lie elsewhere."""
    schema_id, avro = unframe(value)
    writer = hub.rulebooks.wire_schema(schema_id, rules.contract.type)
    if writer is None:
        raise UnreadableError
    return read_avro(writer, avro, rules.wire)


def _mask(value: Any, rules: TypeRules, faulty: set[str], path: tuple[str, ...]) -> Any:
    depth = len(path)
    if isinstance(value, dict):
        known = {leaf.path[depth] for leaf in rules.contract.leaves.values() if leaf.path[:depth] == path and len(leaf.path) > depth}
        return {name: _mask(item, rules, faulty, (*path, name)) for name, item in value.items() if name in known}
    leaf = rules.contract.leaves.get(".".join(path))
    right = bool(path) and not any(field.replace("[", ".").split(".")[0] == path[0] for field in faulty)
    if isinstance(value, list) and right:  # of the right form, so at most one list deep
        return [_mask(item, rules, faulty, path) for item in value]
    return value if right and leaf is not None and _is_harmless(leaf) else MASK


def _is_harmless(leaf: Leaf) -> bool:
    return leaf.privacy == "organisation" or (leaf.privacy == "code" and leaf.kind not in _FREE_KINDS)
