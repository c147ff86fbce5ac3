"""Admission: from raw bytes to a checked signal, or to every reason why not.

All faults of a signal are reported together, by code and field, never by value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from hub.codec import AVRO, UnreadableError, open_envelope, unframe, write_avro
from hub.domain.contract import value_at
from hub.domain.data import parse_moment
from hub.domain.formats import holds_bsn
from hub.domain.reasons import text_of
from hub.domain.registers import HUB
from hub.domain.signal import LARGEST_SIGNAL, LATEST_AHEAD_MS, Fault, Refused, Signal, signal_id

if TYPE_CHECKING:
    from hub.codec import Received
    from hub.domain.data import Issue
    from hub.domain.registers import Participant
    from hub.domain.ruleset import RuleSet, TypeRules
    from hub.domain.signal import Envelope

ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_KNOWN: Final = frozenset(
    {"specversion", "id", "source", "type", "time", "datacontenttype", "dataschema", "correlationid", "causationid",
     "vervangt", "traceparent"}
)  # fmt: skip
Decode = Callable[["TypeRules", int, bytes], tuple[Any, bool]]
"""(type, schema id, Avro bytes) -> wire values, and whether the schema is that of the contract in force."""
_LINKS: Final = ("correlationid", "causationid", "vervangt")


def admit(received: Received, ruleset: RuleSet, now_ms: int, decode: Decode) -> Signal | Refused:
    """Check one received event against contract and registers. Never raises on bad input."""
    publisher = ruleset.participants.find(received.participant)
    if publisher is None or publisher.id == HUB:  # nobody speaks for the hub
        return Refused((_fault("deelnemer-onbekend"),), keep=False)
    if len(received.body) > LARGEST_SIGNAL:
        return Refused((_fault("te-groot"),), publisher=publisher)
    try:
        envelope = open_envelope(received)
    except UnreadableError:
        return Refused((_fault("onleesbaar"),), publisher=publisher)
    return _Admission(ruleset, publisher, envelope, now_ms, decode).run()


def _fault(code: str, field: str | None = None) -> Fault:
    return Fault(code, field or None, text_of(code))


class _Admission:
    """The checks on one event, collecting faults as they go."""

    def __init__(self, ruleset: RuleSet, publisher: Participant, envelope: Envelope, now_ms: int, decode: Decode) -> None:
        self.ruleset = ruleset
        self.publisher = publisher
        self.envelope = envelope
        self.attributes = envelope.attributes
        self.now_ms = now_ms
        self.decode = decode
        self.encoded: bytes | None = None
        """The data as it came, if that is Avro under the very schema of the contract in force."""
        self.faults: list[Fault] = []

    def run(self) -> Signal | Refused:
        id_ = self.check_id()
        key = signal_id(self.publisher.source, id_) if id_ else None
        type_name = self.attributes.get("type")
        type_name = type_name if isinstance(type_name, str) else ""
        if forbidden := self.ruleset.forbids(type_name):
            fault = Fault("verboden-type", None, f"{text_of('verboden-type')} {forbidden.text}")
            return Refused((fault,), id_, key, None, self.publisher, forbidden.code, keep=False)
        time_ms = self.check_attributes()
        rules = self.ruleset.types.get(type_name)
        data: Any = None
        if rules is None:
            self.faults.append(_fault("type-onbekend", "type"))
        else:
            data = self.check_data(rules)
        if self.faults or rules is None or key is None:
            return Refused(tuple(self.faults), id_, key, type_name if rules else None, self.publisher)
        return self.signal(rules, id_, key, time_ms, data)

    def signal(self, rules: TypeRules, id_: str, key: bytes, time_ms: int, data: dict[str, Any]) -> Signal:
        field = rules.contract.municipality
        links = [self.attributes.get(name) for name in _LINKS]
        return Signal(
            rules=rules, publisher=self.publisher, id=id_, signal_id=key, time_ms=time_ms, data=data,
            encoded=self.encoded or write_avro(rules.wire, data), municipality=value_at(data, field.split(".")) if field else None,
            correlation=links[0], cause=links[1], replaces=links[2],
        )  # fmt: skip

    # --- the envelope ---------------------------------------------------------------------

    def check_id(self) -> str:
        """Return the id, or an empty string if it may not be repeated."""
        id_ = self.attributes.get("id")
        if not isinstance(id_, str) or ID(id_) is None:
            self.faults.append(_fault("id-ongeldig", "id"))
            return ""
        if holds_bsn(id_) and not _is_random_uuid(id_):
            self.faults.append(_fault("id-bevat-bsn", "id"))
            return ""
        return id_

    def check_attributes(self) -> int:
        attributes = self.attributes
        if attributes.get("specversion") != "1.0":
            self.faults.append(_fault("envelop-ongeldig", "specversion"))
        if not attributes.keys() <= _KNOWN:
            self.faults.append(_fault("envelop-ongeldig"))
        wanted = AVRO if self.envelope.wire else "application/json"
        if attributes.get("datacontenttype", wanted) != wanted:
            self.faults.append(_fault("envelop-ongeldig", "datacontenttype"))
        if self.publisher.oin is None or attributes.get("source") != self.publisher.source:
            self.faults.append(_fault("afzender-klopt-niet", "source"))
        for name in _LINKS:
            self.check_link(name)
        return self.check_time()

    def check_link(self, name: str) -> None:
        link = self.attributes.get(name)
        if link is None:
            return
        if not isinstance(link, str) or ID(link) is None:
            self.faults.append(_fault("envelop-ongeldig", name))
        elif holds_bsn(link) and not _is_handle(link):
            self.faults.append(_fault("id-bevat-bsn", name))

    def check_time(self) -> int:
        text = self.attributes.get("time")
        if text is None:
            return self.now_ms
        moment = parse_moment(text) if isinstance(text, str) else None
        if moment is None:
            self.faults.append(_fault("tijd-ongeldig", "time"))
            return self.now_ms
        if moment > self.now_ms + LATEST_AHEAD_MS:
            self.faults.append(_fault("tijd-in-toekomst", "time"))
        return moment

    # --- the data -------------------------------------------------------------------------

    def check_data(self, rules: TypeRules) -> Any:
        if not rules.contract.may_publish(self.publisher.role):
            self.faults.append(_fault("geen-publicatierecht", "type"))
        try:
            data, issues = self.read_data(rules)
        except UnreadableError:
            self.faults.append(_fault("onleesbaar"))
            return None
        self.faults += [_fault(code, field) for code, field in issues]
        field = rules.contract.municipality
        if not issues and field and not self.publisher.covers(value_at(data, field.split("."))):
            self.faults.append(_fault("gemeente-niet-toegestaan", field))
        return data

    def read_data(self, rules: TypeRules) -> tuple[Any, list[Issue]]:
        if not self.envelope.wire:
            return rules.check_json(self.envelope.data)
        schema_id, avro = unframe(self.envelope.data)
        data, current = self.decode(rules, schema_id, avro)
        self.encoded = avro if current else None
        return rules.check_wire(data)


_is_random_uuid: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch
"""A UUID of RFC 9562. Its digits can pass the 11-proef by chance, and it must not be refused for that."""
_is_handle: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
"""What the hub itself gives out; random digits too."""
