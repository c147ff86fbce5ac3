"""The world of the benchmarks: a signal type of fourteen fields, two recipients, encrypted at rest."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from hub.app import Hub, open_hub
from hub.codec import AVRO, Received, frame, write_avro
from hub.settings import HubSettings

TYPE: Final = "nl.bench.melding.v1"
PUBLISHER: Final = "melder"
MUNICIPALITY: Final = "0344"
BATCH: Final = 500
_FIELDS: Final[list[dict[str, Any]]] = [
    {"name": "gemeentecode", "type": "string", "format": "gemeentecode", "privacy": "organisation"},
    {"name": "bsn", "type": "string", "format": "bsn", "privacy": "identifier"},
    {"name": "achternaam", "type": "string", "privacy": "identifier"},
    {"name": "voorletters", "type": ["null", "string"], "default": None, "privacy": "identifier"},
    {"name": "geboortedatum", "type": {"type": "int", "logicalType": "date"}, "privacy": "identifier"},
    {"name": "postcode", "type": "string", "format": "postcode", "privacy": "address"},
    {"name": "huisnummer", "type": "int", "privacy": "address"},
    {"name": "huisletter", "type": ["null", "string"], "default": None, "privacy": "address"},
    {"name": "huisnummertoevoeging", "type": ["null", "string"], "default": None, "privacy": "address"},
    {"name": "bedrag_cent", "type": "long", "privacy": "financial"},
    {"name": "crisis", "type": "boolean", "privacy": "code"},
    {"name": "soort", "type": {"type": "enum", "name": "Soort", "symbols": ["EEN", "TWEE"], "default": "EEN"}, "privacy": "code"},
    {"name": "betrokkene_geinformeerd", "privacy": "code", "type": {
        "type": "enum", "name": "Geinformeerd", "default": "NVT",
        "symbols": ["JA", "NEE_SPOED", "NEE_VEILIGHEID", "NEE_NIET_BEREIKBAAR", "NVT"]}},
    {"name": "contactrol", "type": "string", "pattern": "[a-z-]{1,40}", "privacy": "organisation"},
]  # fmt: skip


def _contract(name: str) -> dict[str, Any]:
    signal = {"type": name, "publishers": [PUBLISHER], "subject": ["bsn"], "municipality": "gemeentecode", "retention": "P6M"}
    return {"type": "record", "name": "Melding", "namespace": "nl.bench", "signal": signal, "fields": _FIELDS}


def _grant(number: int, signal: str, to: str) -> dict[str, Any]:
    names = [field["name"] for field in _FIELDS]
    return {
        "id": f"bench.{number}", "signal": signal, "to": to, "legal_basis": ["g"], "when": "s.bedrag_cent > 100 && s.soort == 'EEN'",
        "fields": names if number % 2 else names[:12], "retention": "P6M", "explain": "Meting.",
    }  # fmt: skip


PROCESS: Final[dict[str, Any]] = {
    "id": "zaak", "case": "e.correlationid", "scope": "subject",
    "start": {"on": TYPE, "to": "loopt", "set": {"soort": "s.soort"}}, "final": ["klaar"],
    "terms": [{"in": "loopt", "after": "werkdagen(5)", "to": "klaar", "notify": ["toeslagen"], "code": "termijn-voorbij"}],
}  # fmt: skip
"""The measured type opens a case with one term, of which one recipient hears."""


def write_rules(folder: Path, grants: int, *, process: bool = False) -> None:
    """Write rules with this many grants: two on the measured type, the others on types of their own, two each."""
    (folder / "rules").mkdir(parents=True)
    (folder / "schemas").mkdir()
    types = [TYPE, *(f"nl.bench.ander-{i}.v1" for i in range(grants // 2 - 1))]
    entries = []
    for i, name in enumerate(types):
        (folder / "schemas" / f"{name}.avsc").write_text(json.dumps(_contract(name)))
        entries += [_grant(2 * i, name, "toeslagen"), _grant(2 * i + 1, name, "schuldhulp")]
    flow: dict[str, Any] = {"flow": "bench", "purpose": "Meten", "activity": "https://signaalhub.example/meten", "grants": entries}
    if process:
        flow["processes"] = [PROCESS]
    participants = [
        {"id": PUBLISHER, "name": "Melder", "per_municipality": "all", "oin": "0000009900000007{gemeentecode}"},
        {"id": "toeslagen", "name": "Toeslagen", "oin": "00000099000000010000", "government": True},
        {"id": "schuldhulp", "name": "Schuldhulp", "per_municipality": "all", "oin": "0000009900000011{gemeentecode}"},
    ]
    ground = {"id": "g", "text": "Meting", "status": "vastgesteld", "source": "Meting"}
    for file, value in (("bench", flow), ("participants", {"participants": participants}), ("grounds", {"grounds": [ground]})):
        (folder / "rules" / f"{file}.yaml").write_text(json.dumps(value))


def opened(folder: Path, grants: int = 10, *, process: bool = False, clock: Callable[[], int] | None = None) -> Hub:
    """Open a hub in a fresh home with bench rules."""
    write_rules(folder, grants, process=process)
    return open_hub(HubSettings(home=folder / "home", rules_dir=folder / "rules", schemas_dir=folder / "schemas"), clock=clock)


def bsn(number: int) -> str:
    """Return one of many numbers that pass the 11-proef, all of them beginning with 9."""
    for start in range(90_000_000, 100_000_000, 1_000_000):
        digits = str(start + number)
        last = sum(weight * int(digit) for weight, digit in zip(range(9, 1, -1), digits, strict=True)) % 11
        if last < 10:
            return f"{digits}{last}"
    raise ValueError


def melder(municipality: str = MUNICIPALITY) -> str:
    """Return the participant that publishes in a municipality."""
    return f"{PUBLISHER}.{municipality}"


def records(hub: Hub, count: int, municipality: str = MUNICIPALITY) -> Iterator[Received]:
    """Yield events in Kafka binary mode, each of its own content."""
    book = hub.rulebooks.current
    source = f"urn:nld:oin:0000009900000007{municipality}:systeem:{melder(municipality)}"
    wire, schema_id = book.ruleset.types[TYPE].wire, book.contract_ids[TYPE]
    for i in range(count):
        data = {
            "gemeentecode": municipality, "bsn": bsn(i), "achternaam": f"Jansen-{i}", "voorletters": "A.B.",
            "geboortedatum": 3_000 + i % 9_000, "postcode": f"{1000 + i % 8000}AB", "huisnummer": 1 + i % 200, "huisletter": None,
            "huisnummertoevoeging": None, "bedrag_cent": 50_000 + i, "crisis": False, "soort": "EEN",
            "betrokkene_geinformeerd": "JA", "contactrol": "incasso",
        }  # fmt: skip
        headers = {
            "ce_specversion": "1.0", "ce_id": str(uuid.UUID(bytes=os.urandom(16), version=4)), "ce_source": source, "ce_type": TYPE,
            "ce_time": "2026-11-02T09:00:00Z", "content-type": AVRO,
        }  # fmt: skip
        yield Received(
            melder(municipality), frame(schema_id, write_avro(wire, data)), {name: value.encode() for name, value in headers.items()}
        )
