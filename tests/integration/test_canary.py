"""The canary: signals whose every identifier is a marker go through everything that there is.

The markers may appear in one place only: inside a delivery that grants the field, to the recipient
that it is granted to. Everything else that the hub says, sends, names or stores is searched for
them, in every encoding that could hide them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import generate_latest

from hub import cases, explain, recalls, rejections
from hub.app import Hub, open_hub
from hub.client import NewSignal, Receipt
from hub.codec import Received, frame, write_avro
from hub.domain import terms
from hub.domain.decide import Circumstances
from hub.domain.decide import decide as decide_right
from hub.domain.reasons import ADMISSION
from hub.domain.ruleset import RuleSet
from hub.domain.signal import Signal
from hub.errors import HubError
from hub.quotas import stands
from hub.transport.base import IN, Message
from tests.integration.canary import BIRD, NUMBER_WAYS, TEXT_WAYS, Aviary, Surfaces, on_the_wire, varint
from tests.integration.flight import Flight, flying, measured, mute_sql
from tests.integration.memory import confirmation, withdrawal
from tests.integration.support import TILBURG, without_examples
from tests.sample import ADDRESS, ANSWER, DEBT, INVESTIGATED, address_data, debt_data
from tests.strategies import INFORMED

ROOT: Final = Path(__file__).parents[2]
EVERYTHING: Final = "nl.proefvlucht.alles.v1"
ASKED: Final = "nl.proefvlucht.vraag.v1"
CASE: Final = "nl.proefvlucht.zaak.v1"
STEP: Final = "nl.proefvlucht.stap.v1"


# --- who flies ------------------------------------------------------------------------------------


class Flock(Aviary):
    """Signals of one person each, every value a marker."""

    def everything(self, **changed: Any) -> dict[str, Any]:
        """Return data of the type that has every kind of field, and of nobody else."""
        n, one = self.person()
        child = self.bsn(f"{n}.kind-bsn")
        return {
            "gemeentecode": "0855", "bsn": one["bsn"], "naam": one["naam"],
            "adres": {"postcode": one["postcode"], "huisnummer": int(one["huisnummer"])}, "bag_id": one["bag_id"],
            "kinderen": [{"bsn": child, "voornaam": one["voornaam"]}], "telefoons": [one["telefoon"]], "email": one["email"],
            "geboren": one["geboren"], "sinds": one["sinds"], "gba": one["gba"], "cjib": one["cjib"], "bedrag": int(one["bedrag"]),
            "kenmerk": one["kenmerk"], "brin": "01AB", "oin": "00000099000000010000", "soort": "EEN", "deler": 1, "teller": 1,
            "betrokkene_geinformeerd": "JA", "contactrol": "loket",
        } | changed  # fmt: skip

    def debt(self, **changed: Any) -> dict[str, Any]:
        """Return data of a real flow: an arrear."""
        _, one = self.person()
        return debt_data(achternaam=one["naam"], voorletters=one["voornaam"], geboortedatum=one["geboren"], postcode=one["postcode"],
                         telefoon=one["telefoon"], email=one["email"], bedrag_cent=int(one["bedrag"]), **changed)  # fmt: skip

    def address(self, **changed: Any) -> dict[str, Any]:
        """Return data of a real flow: somebody who left."""
        _, one = self.person()
        return address_data(bsn=one["bsn"], bag_id=one["bag_id"], niet_woonachtig_sinds=one["gba"], **changed)

    def step(self, number: int = 1) -> dict[str, Any]:
        """Return data of a step in a case."""
        return {"kenmerk": self.mint("kenmerk", f"{self.count}.stap-kenmerk"), "cijfer": number}


# --- the search -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hide",
    [
        str.encode, lambda text: text.encode("utf-16-le"), lambda text: text.encode("utf-16-be"), lambda text: text.encode().hex().encode(),
        lambda text: base64.b64encode(text.encode()), lambda text: base64.b64encode(b"x" + text.encode()),
        lambda text: base64.b64encode(b"xy" + text.encode() + b"z"), lambda text: json.dumps({"a": text}).encode(),
    ],
    ids=["utf-8", "utf-16-le", "utf-16-be", "hex", "base64", "base64-shifted", "base64-shifted-twice", "json"],
)  # fmt: skip
def test_the_search_finds_a_marker_however_it_is_written(hide: Callable[[str], bytes]) -> None:
    aviary = Flock()
    aviary.everything()
    for marker in aviary.markers:
        surfaces = Surfaces()
        surfaces.add("here", b"\x00before: " + hide(marker) + b" behind\xff")
        assert surfaces.leaks(aviary), marker


def test_the_search_finds_a_bsn_that_is_stored_as_a_number() -> None:
    aviary = Flock()
    bsn = int(aviary.bsn("1.bsn"))
    for raw in (
        struct.pack(">q", bsn),
        struct.pack("<i", bsn),
        varint(bsn),
        write_avro("long", bsn),
        bytes.fromhex(f"{bsn}f"),
        f"{bsn}"[:3].encode() + b"." + f"{bsn}"[3:6].encode() + b"." + f"{bsn}"[6:].encode(),
    ):
        surfaces = Surfaces()
        surfaces.add("here", b"before" + raw + b"behind")
        assert surfaces.leaks(aviary), raw


def test_the_search_finds_nothing_where_nothing_is() -> None:
    surfaces = Surfaces()
    surfaces.add("random", b"".join(hashlib.sha512(bytes([i, j])).digest() for i in range(256) for j in range(64)))
    surfaces.add("source", b"".join(path.read_bytes() for path in sorted((ROOT / "hub").rglob("*.py"))))
    aviary = Flock()
    for _ in range(60):
        aviary.everything()
    assert surfaces.leaks(aviary) == []


# --- the rules of the flight ----------------------------------------------------------------------

GRANTED: Final[dict[str, tuple[str, ...]]] = {
    "toeslagen": ("bsn", "naam", "postcode", "huisnummer", "kind-bsn"),
    "cjib": ("cjib", "bedrag", "email", "voornaam", "sinds"),
    "schuldhulp.0855": ("telefoon", "naam", "gba"),
}
"""Who may see which markers of the type with every kind of field; the rules below say the same."""


def _fields() -> list[dict[str, Any]]:
    def text(name: str, privacy: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "type": "string", "privacy": privacy, **more}

    adres = {"type": "record", "name": "Adres", "fields": [
        text("postcode", "address", format="postcode"), {"name": "huisnummer", "type": "int", "privacy": "address"}]}  # fmt: skip
    kind = {"type": "record", "name": "Kind", "fields": [text("bsn", "identifier", format="bsn"), text("voornaam", "identifier")]}
    return [
        text("gemeentecode", "organisation", format="gemeentecode"), text("bsn", "identifier", format="bsn"), text("naam", "identifier"),
        {"name": "adres", "type": adres}, text("bag_id", "address", format="bag-id"),
        {"name": "kinderen", "type": {"type": "array", "items": kind}},
        {"name": "telefoons", "type": {"type": "array", "items": "string"}, "privacy": "identifier", "format": "phone"},
        text("email", "identifier", format="email"),
        {"name": "geboren", "type": {"type": "int", "logicalType": "date"}, "privacy": "identifier"},
        {"name": "sinds", "type": {"type": "long", "logicalType": "timestamp-millis"}, "privacy": "sanction"},
        text("gba", "identifier", format="gba-datum"), text("cjib", "sanction", format="cjib-nummer"),
        {"name": "bedrag", "type": "long", "privacy": "financial"}, text("kenmerk", "identifier", pattern="^KK-[A-Za-z0-9]{1,40}$"),
        text("brin", "organisation", format="brin"), text("oin", "organisation", format="oin"),
        {"name": "soort", "type": {"type": "enum", "name": "Soort", "symbols": ["EEN", "TWEE"], "default": "TWEE"}, "privacy": "code"},
        {"name": "deler", "type": "int", "privacy": "code"}, {"name": "teller", "type": "int", "privacy": "code"},
        {"name": "betrokkene_geinformeerd", "privacy": "code",
         "type": {"type": "enum", "name": "Geinformeerd", "symbols": list(INFORMED), "default": "NVT"}},
        text("contactrol", "organisation", maxLength=60),
    ]  # fmt: skip


def write_rules(folder: Path) -> None:
    """Add the rules of the flight to those of the repository, whose examples have a flight of their own."""
    for path in (folder / "rules").iterdir():
        without_examples(folder / "rules", path.name)
    code = {"name": "gemeentecode", "type": "string", "format": "gemeentecode", "privacy": "organisation"}
    schemas = {
        EVERYTHING: {
            "type": "record", "name": "Alles", "namespace": "nl.proefvlucht.v1", "fields": _fields(),
            "signal": {"type": EVERYTHING, "publishers": ["burgerzaken"], "subject": ["bsn", "naam"], "municipality": "gemeentecode", "retention": "P40D"},
        },
        ASKED: {
            "type": "record", "name": "Vraag", "namespace": "nl.proefvlucht.v1", "fields": [code],
            "signal": {"type": ASKED, "publishers": ["burgerzaken"], "subject": None, "municipality": "gemeentecode", "retention": "P1M"},
        },
        CASE: {
            "type": "record", "name": "Zaak", "namespace": "nl.proefvlucht.v1", "fields": _fields(),
            "signal": {"type": CASE, "publishers": ["burgerzaken"], "subject": ["bsn", "naam"], "municipality": "gemeentecode", "retention": "P10D"},
        },
        STEP: {
            "type": "record", "name": "Stap", "namespace": "nl.proefvlucht.v1",
            "fields": [{"name": "kenmerk", "type": "string", "privacy": "identifier", "pattern": "^KK-[A-Za-z0-9]{1,40}$"},
                       {"name": "cijfer", "type": "int", "privacy": "code"}],
            "signal": {"type": STEP, "publishers": ["toeslagen", "cjib"], "subject": "@keten", "retention": "P10D"},
        },
    }  # fmt: skip
    base = {
        "signal": EVERYTHING,
        "legal_basis": ["wgs-3-1-b"],
        "retention": "P1M",
        "explain": "Dit is een proef.",
        "sanction_basis": "wgs-3-1-b",
    }
    quota = {"name": "vlucht", "limit": 1, "per": "month", "key": ["recipient"], "overflow": "defer"}
    flow: dict[str, Any] = {
        "flow": "proefvlucht", "purpose": "Een proef", "activity": "https://signaalhub.example/proef",
        "grants": [
            {**base, "id": "vlucht.toeslagen", "to": "toeslagen", "fields": ["bsn", "naam", "adres.postcode", "adres.huisnummer", "kinderen.bsn", {"geboren": "jaar"}]},
            {**base, "id": "vlucht.cjib", "to": "cjib", "fields": [
                "cjib", "bedrag", "email", "kinderen.voornaam", "sinds", {"naam": "pseudoniem", "bsn": "pseudoniem"}, {"gba": "leeftijdsklasse", "adres.postcode": "pc4"}]},
            {**base, "id": "vlucht.schuldhulp", "to": "schuldhulp", "fields": ["telefoons", "naam", "gba"], "quota": quota},
            {**base, "id": "vlucht.politie", "to": "politie", "fields": ["kenmerk", "bsn"], "when": "s.naam == '' && 100 / s.deler > 1"},
            {**base, "id": "vlucht.handhaving", "to": "handhaving", "fields": ["kenmerk", "bsn"], "requires": {"nooit": "s.naam == 'niemand'"}},
            {**base, "id": "vlucht.fout", "to": "politie", "fields": ["kenmerk", "bsn"], "when": "plus(s.geboren, 'P9000Y') > today || 100 / s.deler < 1"},
        ],
        "refuse": [{"signal": EVERYTHING, "when": "100 / s.teller == 7", "code": "zeven", "text": "Het is zeven."}],
    }  # fmt: skip
    flow["grants"] += [
        {**base, "id": "vlucht.zaak-toeslagen", "signal": CASE, "to": "toeslagen", "fields": ["kenmerk", "bsn"]},
        {**base, "id": "vlucht.zaak-cjib", "signal": CASE, "to": "cjib", "fields": ["cjib"]},
        {**base, "id": "vlucht.zaak-na-stap", "signal": CASE, "to": "cjib", "fields": ["naam"], "release_on": STEP},
        {**base, "id": "vlucht.stap", "signal": STEP, "to": "burgerzaken", "fields": ["kenmerk"]},
    ]  # fmt: skip
    flow["processes"] = [_process()]
    for name, schema in schemas.items():
        (folder / "schemas" / f"{name}.avsc").write_text(json.dumps(schema, indent=1))
    (folder / "rules" / "proefvlucht.yaml").write_text(json.dumps(flow, indent=1))


def _process() -> dict[str, Any]:
    """Return a process that can refuse a step in every way there is."""
    return {
        "id": "vlucht-zaak", "case": "e.correlationid", "scope": "subject", "legal_basis": ["wgs-3-1-b"],
        "start": {"on": CASE, "to": "open", "set": {"deler": "s.deler", "soort": "s.soort"}}, "final": ["klaar", "weg"],
        "transitions": [
            {"from": "open", "on": STEP, "to": "bezig", "when": "s.cijfer == 1", "set": {"deler": "c.deler + s.cijfer"}},
            {"from": "open", "withdrawn": CASE, "to": "weg"},
            {"from": "bezig", "withdrawn": STEP, "to": "open"},
        ],
        "terms": [
            {"in": "bezig", "after": "P1W", "to": "laat", "notify": ["cjib", "toeslagen", "burgerzaken"], "code": "te-laat", "text": "Te laat."},
            {"in": "laat", "after": "P1W", "to": "klaar", "notify": [], "code": "sluit", "text": "Het is voorbij."},
        ],
        "guards": [{"name": "vliegen", "closed_in": ["bezig"], "code": "bezig", "text": "Er loopt iets."}],
    }  # fmt: skip


# --- the flight -----------------------------------------------------------------------------------


class Proof(Flight):
    """The flight with the type that has everything: what each recipient should see is written out."""

    aviary: Flock

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patch, Flock(), "2026-11-02T09:00")
        self.seen_by: dict[str, set[str]] = {}
        """Recipient -> the markers that it should have received."""
        self.received: dict[str, bytes] = {}
        """Recipient -> everything that it received, as bytes and as it decodes them."""
        self.case = ""
        """The delivery id under which toeslagen knows a case."""
        write_rules(folder)

    def publish(self, type_: str, data: Any, *more: str, participant: str = TILBURG) -> list[dict[str, Any]]:
        raw = data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")
        said = self.run("publish", "--as", participant, "--type", type_, "--data", "-", "--json", *more, stdin=raw)
        results: list[dict[str, Any]] = json.loads(said)
        self.codes.update(error["code"] for result in results for error in result["errors"])
        return results

    def expect(self, recipient: str, data: Mapping[str, Any], names: Iterable[str]) -> None:
        """Note that a recipient should have received these fields of a signal."""
        content = json.dumps(data, ensure_ascii=False).encode()
        found = self.aviary.found_in(content)
        self.seen_by.setdefault(recipient, set()).update(name for name in found if name.split(".")[1] in names)

    # --- one signal ---------------------------------------------------------------------------

    def try_(self, hub: Hub, participant: str, signal: NewSignal) -> Receipt:
        """Publish a signal and note what its publisher hears, be it right or wrong."""
        (receipt,) = hub.publish(participant, [signal])
        self.surfaces.add("receipt", repr(receipt))
        self.codes.update(error.code for error in receipt.errors)
        return receipt

    def accept(self, hub: Hub, participant: str, signal: NewSignal) -> Receipt:
        """Publish a signal that must be accepted."""
        receipt = self.try_(hub, participant, signal)
        assert receipt.status == "accepted", receipt.errors
        return receipt

    @staticmethod
    def known(hub: Hub, recipient: str, type_: str) -> list[str]:
        """Return the delivery ids of what a recipient got of a type."""
        hub.run_once()
        headers = [record.message.headers for record in hub.received_by(recipient)]
        return [found["ce_id"].decode() for found in headers if found["ce_type"].decode() == type_]

    def break_a_step(self, hub: Hub, signal: NewSignal) -> None:
        """Let the machine of a case fail with all that it knows in its text."""

        def breaks(*given: object) -> Any:
            raise ValueError(json.dumps(signal.data), given)

        with self.patch.context() as patch:
            patch.setattr("hub.domain.process.step", breaks)
            assert [error.code for error in self.try_(hub, TILBURG, signal).errors] == ["interne-fout"]
        self.expect("toeslagen", signal.data, ("kenmerk", "bsn"))  # it is replayed later
        self.expect("cjib", signal.data, ("cjib",))

    def break_the_terms(self) -> None:
        """Let the machine fail on every term that is due now, with all that it knows in its text."""

        def breaks(*given: object) -> Any:
            raise ValueError(self.aviary.markers, given)

        with self.patch.context() as patch, self.opened() as hub:
            patch.setattr("hub.domain.process.step", breaks)
            assert hub.clock.some_terms() > 0

    def move_a_debt(self, hub: Hub) -> None:
        """Correct an arrear into another municipality, which cannot be."""
        debt = self.aviary.debt()
        first = self.accept(hub, "wonen-voorbeeld", NewSignal(type=DEBT, data=debt))
        self.expect("schuldhulp.0772", debt, ("naam", "voornaam", "geboren", "postcode", "telefoon", "email", "bedrag"))
        self.try_(hub, "wonen-voorbeeld", NewSignal(type=DEBT, data=debt | {"gemeentecode": "0344"}, replaces=first.signal_id))

    @staticmethod
    def oldest(hub: Hub) -> bytes:
        """Return the signal_id of the first signal of the type with everything."""
        with hub.database.read() as connection:
            number = hub.names.find(connection, EVERYTHING)
            found: bytes = connection.exec_driver_sql(
                "SELECT signal_id FROM signals WHERE type = ? ORDER BY id LIMIT 1", (number,)
            ).scalar_one()
        return found

    def look_back(self, hub: Hub) -> None:
        """Ask for cases and recalls in every way."""
        hub.run_once()
        numbers = [str(row["case"]) for row in cases.listing(hub, everything=True)]
        for number in numbers:
            self.surfaces.add("case", json.dumps(cases.show(hub, int(number)), ensure_ascii=False))
        self.surfaces.add("recalls", json.dumps(recalls.listing(hub, everything=True), ensure_ascii=False))
        may = "cases may vliegen --correlation"
        for command in (
            "cases list", "cases list --all --json", "recalls list", "recalls list --all --json", f"cases show {numbers[0]}",
            f"cases show {numbers[0]} --json", f"cases show {BIRD}", f"cases show zaak-met-stappen --as {TILBURG}",
            f"{may} zaak-met-stappen --as {TILBURG}", f"{may} zaak-met-stappen --as {TILBURG} --json", f"{may} {BIRD} --as {TILBURG}",
        ):  # fmt: skip
            self.run(*command.split())

    # --- what was said ------------------------------------------------------------------------

    def collect(self, *, ask: bool = False) -> None:
        """Search topic names and headers of every record there is, and keep what each recipient can read.

        With `ask` the command line is asked for it too, and must say the same.
        """
        with self.opened() as hub:
            for recipient, value in on_the_wire(self.surfaces, hub):
                data = json.dumps(hub.decoder.data(value), ensure_ascii=False)
                self.received[recipient] = self.received.get(recipient, b"") + value + data.encode() + b"\n"
        for recipient, content in self.received.items() if ask else ():
            told = self.run("deliveries", recipient, "--json", heard_by=recipient)
            assert self.aviary.found_in(told.encode()) == self.aviary.found_in(content)
            self.run("deliveries", recipient)


# --- every way to be refused ----------------------------------------------------------------------


def event(participant: str, type_: str, id_: Any, data: Any, **attributes: Any) -> dict[str, Any]:
    """Return a structured event of a participant of the repository's rules."""
    oin = {"toeslagen": "00000099000000010000", "wonen-voorbeeld": "00000099000000030000"}.get(participant, "00000099000000100855")
    source = f"urn:nld:oin:{oin}:systeem:{participant}"
    return {"specversion": "1.0", "id": id_, "source": source, "type": type_, "data": data, **attributes}


def body(found: Any) -> bytes:
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "surrogatepass")


def refused_data(aviary: Flock) -> list[dict[str, Any]]:
    """Return data with a fault, each of another kind; the faulty values are markers too."""
    bird = BIRD
    return [
        aviary.everything(bsn=aviary.bsn("fout.bsn") + "1"), aviary.everything(bsn={"x": aviary.bsn("fout.in-een-object")}),
        aviary.everything(bsn=int(aviary.bsn("fout.als-getal"))), aviary.everything(bsn=[aviary.bsn("fout.in-een-lijst")]),
        aviary.everything(gemeentecode=bird), aviary.everything(gemeentecode="0344"), aviary.everything(bag_id=bird),
        aviary.everything(naam=bird * 20), aviary.everything(naam=f"{bird}\n"), aviary.everything(naam=f"{bird}\ud800"), aviary.everything(naam=None),
        aviary.everything(adres={"postcode": bird, "huisnummer": int(aviary.mint("huisnummer", "fout.postcode"))}), aviary.everything(adres={"postcode": "9173AB", "huisnummer": 18462799990}),
        aviary.everything(adres=bird), aviary.everything(adres=[{"postcode": bird}]), aviary.everything(kinderen={bird: bird}),
        aviary.everything(kinderen=[{"bsn": bird, "voornaam": bird, f"{bird.lower()}_onbekend": bird}]), aviary.everything(telefoons=[bird]),
        aviary.everything(email=bird), aviary.everything(geboren=bird), aviary.everything(geboren="1901-13-45"), aviary.everything(sinds=bird),
        aviary.everything(sinds="1921-03-04T05:06"), aviary.everything(gba=bird), aviary.everything(gba="19221301"), aviary.everything(cjib=bird),
        aviary.everything(bedrag=aviary.mint("bedrag", "fout.tekst")), aviary.everything(bedrag=10**30 + 8642097531000), aviary.everything(bedrag=8642097531.5),
        aviary.everything(kenmerk=f"{bird} zonder KK"), aviary.everything(brin=bird), aviary.everything(oin=bird), aviary.everything(soort=bird),
        aviary.everything(deler=bird), aviary.everything(contactrol=bird * 9), aviary.everything(contactrol=f"balie-{aviary.bsn('fout.bij-het-loket')}"), aviary.everything(**{f"{bird.lower()}_veld": bird}),
        {name: value for name, value in aviary.everything().items() if name not in {"bsn", "cjib"}}, aviary.everything(teller=0), aviary.everything(teller=14),
        {bird: bird}, {"data": bird},
    ]  # fmt: skip


def refused_events(aviary: Flock) -> list[Received]:
    """Return events whose envelope has a fault, with markers in it."""
    bird, make = BIRD, aviary.everything

    def one(**changed: Any) -> Received:
        return Received(TILBURG, body(event(TILBURG, EVERYTHING, f"e-{aviary.count}", make()) | changed))

    bsn = aviary.bsn("fout.in-de-envelop")
    good = event(TILBURG, EVERYTHING, "e", make())
    return [
        one(id=f"{bird} met spaties"), one(id=bsn), one(id=f"zaak-{bsn}-1"), one(id=[bird]), one(id=""), one(source=f"urn:{bird}"), one(source=bsn),
        one(type=f"nl.proef.{bird.lower()}.v1"), one(type=[bird]), one(type=f"nl.proef.diagnose-{bird.lower()}.v1"), one(specversion=bird),
        one(**{bird.lower(): bird}), one(datacontenttype=bird), one(time=bird), one(time="2126-11-02T09:00:00Z"), one(time=[bird]),
        one(correlationid=f"{bird} {bird}"), one(correlationid=bsn), one(causationid="12345678-1234-4234-8234-123456789abc"),
        one(causationid=bsn), one(vervangt="12345678-1234-4234-8234-123456789abc"), one(vervangt={bird: bird}), one(data=bird), one(data=[make()]),
        one(data=None), Received(TILBURG, body(good)[:-9]), Received(TILBURG, body(make())), Received(TILBURG, body([good])),
        Received(TILBURG, body(good).decode().encode("utf-16")[3:]), Received(TILBURG, b"\xff" + bird.encode() + bsn.encode()),
        Received(TILBURG, body(event(TILBURG, EVERYTHING, "groot", make(kenmerk="KK-" + bird * 6000)))),
        Received(bird.lower(), body(good)), Received(f"burgerzaken.{bsn}", body(good)), Received("politie", body(good)),
        Received(TILBURG, body(event(TILBURG, ASKED, "vraag", {"gemeentecode": "0855"}, correlationid="zaak-1"))),
        Received("toeslagen", body(event("toeslagen", ANSWER, "los", {"resultaat": bird, "verwerkt_op": "2026-10-01"}))),
        Received("toeslagen", body(event("toeslagen", ANSWER, "los", {"resultaat": "VERWERKT", "verwerkt_op": "2026-10-01"}))),
        Received("woonbelang-zonder-afspraak", body(event("woonbelang-zonder-afspraak", DEBT, "x", aviary.debt(gemeentecode="0855")) | {
            "source": "urn:nld:oin:00000099000000220000:systeem:woonbelang-zonder-afspraak"})),
    ]  # fmt: skip


def broken_avro(hub: Hub, aviary: Flock) -> list[Received]:
    """Return records in Kafka binary mode that are broken, with markers in body and headers."""
    ruleset, ids = hub.rulebooks.current.ruleset, hub.rulebooks.current.contract_ids
    data, issues = ruleset.types[EVERYTHING].check_json(aviary.everything())
    assert not issues
    avro = write_avro(ruleset.types[EVERYTHING].wire, data)
    plain = event(TILBURG, EVERYTHING, "avro", None)
    headers = {f"ce_{name}": str(value).encode() for name, value in plain.items() if name != "data"}
    right = frame(ids[EVERYTHING], avro)
    bodies = [right[:-4], right + b"\x00", right[:60], frame(ids[ADDRESS], avro), frame(99_999, avro), b"\x01" + right[1:], right[:3], avro, b"",
              frame(ids[EVERYTHING], avro.replace(b"9170", b"\xff\xfe70")), frame(ids[EVERYTHING], BIRD.encode() * 40)]  # fmt: skip
    bad_headers: list[dict[str, bytes]] = [
        {"ce_id": b"\xff" + BIRD.encode()}, {"ce_id": BIRD.encode() + b" x"}, {f"ce_{BIRD.lower()}": BIRD.encode()}, {"content-type": BIRD.encode()},
        {"ce_source": BIRD.encode()}, {"ce_time": BIRD.encode()}, {"ce_type": b"nl." + BIRD.lower().encode()}, {"ce_data": BIRD.encode()},
    ]  # fmt: skip
    found = [Received(TILBURG, raw, {**headers, "ce_id": b"a%d" % i}) for i, raw in enumerate(bodies)]
    return found + [Received(TILBURG, right, headers | changed) for changed in bad_headers]


def persons(aviary: Flock) -> bytes:
    """Return a file for the BRP connector: good rows, rows that say nothing, and broken ones."""
    header = (
        ";01.01.20;01.02.10;01.02.40;01.03.10;07.67.10;07.70.10;08.09.10;08.10.10;08.11.20;08.11.60;08.11.80;08.83.10;08.83.20;08.83.30;"
    )
    rows = [header]
    for kind in ("goed", "goed", "geen", "voorbij", "post", "bsn", "kort", "lang", "aanhaling", "start", "gemeente"):
        n, one = aviary.person()
        bsn = one["bsn"] if kind != "bsn" else f"{one['bsn'][:4]}.{one['bsn'][4:]}"
        row = [f"D_{n}", bsn, one["voornaam"], one["naam"], one["gba"], "", "0", "0855" if kind != "gemeente" else BIRD,
               "B" if kind == "post" else "W", one["huisnummer"], one["postcode"], one["bag_id"], "089999" if kind != "geen" else "080000",
               one["gba"] if kind != "start" else BIRD, one["gba"] if kind == "voorbij" else "", ""]  # fmt: skip
        row = row[:6] if kind == "kort" else [*row, BIRD, BIRD] if kind == "lang" else row
        rows.append(";".join(row) if kind != "aanhaling" else ";".join(row).replace(BIRD, f'"{BIRD}'))
        rows.append(f";{one['bsn']};{one['voornaam']};{one['naam']};{one['gba']};;;;;;;;;;;")
    return "\n".join(rows).encode()


# --- the canary -----------------------------------------------------------------------------------

EVERYWHERE: Final = ("toeslagen", "cjib")
"""Who gets a signal of the type with everything at once; schuldhulp gets one a month."""


@pytest.fixture
def flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proof]:
    """A flight in a folder of its own, with chance fixed and all logs at their loudest."""
    with flying(tmp_path, monkeypatch, Proof) as made:
        yield made


def fly(flight: Proof) -> None:
    """Do everything that there is, with markers everywhere."""
    with mute_sql():  # the examples of all rules would fill the log
        look_at_the_rules(flight)
    publish_what_is_right(flight)
    publish_what_is_wrong(flight)
    fail_inside(flight)
    remember(flight)
    take_back(flight)
    run_the_connector(flight)
    handle_refusals(flight)
    ask_why(flight)
    let_time_pass(flight)


def look_at_the_rules(flight: Proof) -> None:
    page = flight.folder / "matrix.html"
    for arguments in (("check",), ("matrix",), ("matrix", "--json"), ("matrix", "--html", str(page))):
        flight.run("rules", *arguments)
    flight.surfaces.add("matrix.html", page.read_bytes())
    flight.run("schemas", "check")
    flight.run("schemas", "view", "vlucht.cjib")


def publish_what_is_right(flight: Proof) -> None:
    aviary = flight.aviary
    flight.publish(EVERYTHING, aviary.everything(), "--dry-run")
    flight.run("publish", "--as", TILBURG, "--type", EVERYTHING, "--data", "-", "--dry-run", stdin=body([aviary.everything()]))
    sent = [aviary.everything() for _ in range(3)]
    found = flight.publish(EVERYTHING, [{"id": f"zaak-{i}", "correlation": f"keten-{i}", "data": data} for i, data in enumerate(sent)])
    assert [result["status"] for result in found] == ["accepted"] * 3
    assert [result["status"] for result in flight.publish(EVERYTHING, [{"id": "zaak-0", "correlation": "keten-0", "data": sent[0]}])] == [
        "duplicate"
    ]
    flight.publish(EVERYTHING, aviary.everything(), "--id", "zaak-0")
    for data in sent:
        for recipient in EVERYWHERE:
            flight.expect(recipient, data, GRANTED[recipient])
    flight.expect("schuldhulp.0855", sent[0], GRANTED["schuldhulp.0855"])
    flight.expect("schuldhulp.0855", sent[1], GRANTED["schuldhulp.0855"])  # in December; the third expires
    debt, address = aviary.debt(), aviary.address()
    flight.publish(DEBT, debt, participant="wonen-voorbeeld")
    flight.expect("schuldhulp.0772", debt, ("naam", "voornaam", "geboren", "postcode", "telefoon", "email", "bedrag"))
    flight.publish(ADDRESS, address, "--correlation", "adres-1")
    flight.expect("toeslagen", address, ("bsn", "bag_id", "gba"))
    flight.publish(
        INVESTIGATED, {"gemeentecode": "0855", "uitkomst": "BRIEFADRES", "afgerond_op": "2026-10-01"}, "--correlation", "adres-1"
    )
    hub = open_hub(flight.options(), clock=flight.clock)
    waiting = aviary.everything()
    hub.send(TILBURG, [NewSignal(type=EVERYTHING, data=waiting)])
    for recipient in EVERYWHERE:
        flight.expect(recipient, waiting, GRANTED[recipient])
    hub.run_once()
    last = [hub.decoder.delivery("toeslagen", r.message.value, r.message.headers) for r in hub.received_by("toeslagen")]
    cause = next(delivery["delivery_id"] for delivery in last if delivery["type"] == ADDRESS)
    other = next(delivery["delivery_id"] for delivery in last if delivery["type"] == EVERYTHING)
    answer = {"resultaat": "VERWERKT", "verwerkt_op": "2026-11-02"}
    for receipt in hub.publish(
        "toeslagen", [NewSignal(type=ANSWER, data=answer, cause=cause), NewSignal(type=ANSWER, data=answer, cause=other)]
    ):
        flight.codes.update(error.code for error in receipt.errors)
    hub.run_once()
    flight.at_rest("while it runs")
    hub.close()


def remember(flight: Proof) -> None:
    """Open cases and move them, in every way that is right and every way that is not."""
    aviary, surfaces = flight.aviary, flight.surfaces
    with flight.opened() as hub:
        opened, second = aviary.everything(), aviary.everything()
        first = flight.accept(hub, TILBURG, NewSignal(type=CASE, data=opened, correlation="zaak-met-stappen"))
        other = flight.accept(hub, TILBURG, NewSignal(type=CASE, data=second))
        for data in (opened, second):
            flight.expect("toeslagen", data, ("kenmerk", "bsn"))
            flight.expect("cjib", data, ("cjib",))
        steps = {by: flight.known(hub, by, CASE) for by in EVERYWHERE}
        flight.case = steps["toeslagen"][0]
        for by, number in (("toeslagen", 2), ("toeslagen", 1), ("toeslagen", 1), ("cjib", 1)):
            data = aviary.step(number)
            if flight.try_(hub, by, NewSignal(type=STEP, data=data, cause=steps[by][0])).status == "accepted":
                flight.expect(TILBURG, data, ("stap-kenmerk",))
        for data in (aviary.everything(), opened | {"kenmerk": aviary.step()["kenmerk"]}):
            flight.try_(hub, TILBURG, NewSignal(type=CASE, data=data, correlation="zaak-met-stappen"))
        flight.try_(hub, "toeslagen", NewSignal(type=STEP, data=aviary.step(1), cause=flight.known(hub, "toeslagen", EVERYTHING)[0]))
        flight.try_(hub, TILBURG, withdrawal(first.signal_id))
        picked = aviary.step(1)
        flight.accept(hub, "cjib", NewSignal(type=STEP, data=picked, cause=steps["cjib"][1]))
        flight.expect(TILBURG, picked, ("stap-kenmerk",))
        flight.expect("cjib", second, ("naam",))  # held back until it took a step
        for asking in (TILBURG, "toeslagen", "politie"):
            for keten in (first.correlation, other.correlation, BIRD):
                surfaces.add("guard", repr(cases.may(hub, "vliegen", asking, keten or "")))
        flight.break_a_step(hub, NewSignal(type=CASE, data=aviary.everything()))
        flight.look_back(hub)
        flight.at_rest("with cases")


def take_back(flight: Proof) -> None:
    """Withdraw, correct and confirm, by whom it may and by whom it may not."""
    aviary = flight.aviary
    with flight.opened() as hub:
        wrong, right, gone = aviary.everything(), aviary.everything(), aviary.everything()
        right |= {"bsn": wrong["bsn"], "naam": wrong["naam"]}
        first = flight.accept(hub, TILBURG, NewSignal(type=EVERYTHING, data=wrong))
        second = flight.accept(hub, TILBURG, NewSignal(type=EVERYTHING, data=gone))
        received = flight.known(hub, "toeslagen", EVERYTHING)[-1]
        flight.try_(hub, "toeslagen", withdrawal(received))
        flight.try_(hub, "toeslagen", confirmation(received))
        flight.try_(hub, TILBURG, NewSignal(type=EVERYTHING, data=aviary.everything(), replaces=first.signal_id))
        flight.try_(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), replaces=first.signal_id))
        corrected = flight.accept(hub, TILBURG, NewSignal(type=EVERYTHING, data=right, replaces=first.signal_id))
        for data in (wrong, right, gone):
            for recipient in EVERYWHERE:
                flight.expect(recipient, data, GRANTED[recipient])
        for of in (first.signal_id, second.signal_id, second.signal_id):
            flight.try_(hub, TILBURG, withdrawal(of))
        taken_back = flight.known(hub, "toeslagen", "nl.signaalhub.signaal-ingetrokken.v1")[-1]
        for participant, of in (("toeslagen", taken_back), ("toeslagen", taken_back), (TILBURG, taken_back)):
            flight.try_(hub, participant, confirmation(of))
        flight.try_(hub, "toeslagen", confirmation(flight.known(hub, "toeslagen", EVERYTHING)[-1]))
        flight.try_(hub, "toeslagen", withdrawal(taken_back))
        flight.try_(hub, TILBURG, withdrawal(flight.accept(hub, TILBURG, withdrawal(corrected.signal_id)).signal_id))
        flight.move_a_debt(hub)
        flight.look_back(hub)
        flight.at_rest("with recalls")


def come_too_late(flight: Proof) -> None:
    """Correct a signal of which only the decisions are left, and take a step in a case that is over."""
    with flight.opened() as hub:
        flight.try_(hub, "toeslagen", NewSignal(type=STEP, data=flight.aviary.step(), cause=flight.case))
        oldest = str(uuid.UUID(bytes=flight.oldest(hub)))
        flight.try_(hub, TILBURG, NewSignal(type=EVERYTHING, data=flight.aviary.everything(), replaces=oldest))
        flight.look_back(hub)


def publish_what_is_wrong(flight: Proof) -> None:
    wrong = refused_data(flight.aviary)
    assert {result["status"] for result in flight.publish(EVERYTHING, wrong)} == {"rejected"}
    for data in wrong[:3]:
        flight.run("publish", "--as", TILBURG, "--type", EVERYTHING, "--data", "-", stdin=body(data | {"kenmerk": "KK-1"}))
    flight.publish(EVERYTHING, body(wrong[0])[:-5])
    flight.publish(EVERYTHING, wrong[1], participant=BIRD)
    flight.publish(f"nl.proef.{BIRD.lower()}.v1", wrong[2])
    flight.publish(
        EVERYTHING, wrong[3], "--id", BIRD + " x", "--time", BIRD, "--correlation", BIRD + "?", "--cause", BIRD, "--replaces", BIRD
    )
    hub = open_hub(flight.options(), clock=flight.clock)
    metrics = measured(hub)
    events = refused_events(flight.aviary) + broken_avro(hub, flight.aviary)
    for received in events:
        (outcome,) = flight.process(hub, received)
        assert outcome.status == "rejected"
    known = [received for received in events if hub.rulebooks.current.ruleset.participants.find(received.participant)]
    for received in known:
        hub.transport.send(
            IN + received.participant, [Message(b" " + received.body if not received.headers else received.body, received.headers)]
        )
    flight.run("unsent", "list", "--all")
    hub.run_once()
    flight.surfaces.add("/metrics", generate_latest(metrics.registry))
    flight.at_rest("with refusals")
    hub.close()


def fail_inside(flight: Proof) -> None:
    hub = open_hub(flight.options(), clock=flight.clock)
    data = flight.aviary.everything()

    def breaks(kind: type[Exception]) -> Callable[..., Any]:
        def decide(ruleset: RuleSet, signal: Signal, by: Circumstances) -> Any:
            if signal.rules.contract.type == EVERYTHING:
                raise kind(json.dumps(data))
            return decide_right(ruleset, signal, by)

        return decide

    with flight.patch.context() as patch:
        patch.setattr("hub.work.decide", breaks(ValueError))
        (outcome,) = flight.process(hub, Received(TILBURG, body(event(TILBURG, EVERYTHING, "intern", data))))
    assert [fault.code for fault in outcome.faults] == ["interne-fout"]
    for recipient in EVERYWHERE:  # it is replayed later
        flight.expect(recipient, data, GRANTED[recipient])
    with flight.patch.context() as patch:
        patch.setattr("hub.work.decide", breaks(RuntimeError))
        flight.run("publish", "--as", TILBURG, "--type", EVERYTHING, "--data", "-", "--json", stdin=body(data))
    with hub.database.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER stop BEFORE INSERT ON signals BEGIN SELECT RAISE(ABORT, 'stop'); END")
    flight.failing("a database that refuses", lambda: hub.publish(TILBURG, [NewSignal(type=EVERYTHING, data=data)]))
    flight.run("publish", "--as", TILBURG, "--type", EVERYTHING, "--data", "-", "--json", stdin=body(data))
    with hub.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER stop")
    hub.close()


def run_the_connector(flight: Proof) -> None:
    first = flight.aviary.count
    file = flight.folder / "personen.csv"
    file.write_bytes(persons(flight.aviary))
    state = flight.home / "connectors" / "brp"
    state.mkdir(parents=True)
    (state / "id.key").write_bytes(bytes(range(32)))
    said = json.loads(flight.run("connector", "run", "brp", "--file", str(file), "--json"))
    assert (said["accepted"], said["read"]) == (2, 11), said
    flight.run("connector", "run", "brp", "--file", str(file))
    for n in (first + 1, first + 2):
        flight.seen_by["toeslagen"].update(f"{n}.{name}" for name in ("bsn", "bag_id", "gba"))
    file.write_bytes(b"\xff" + file.read_bytes())
    flight.run("connector", "run", "brp", "--file", str(file))
    file.write_text("\n".join(file.read_text("latin-1").splitlines()[1:]))
    flight.run("connector", "run", "brp", "--file", str(file))


def handle_refusals(flight: Proof) -> None:
    for arguments in (("list",), ("list", "--json"), ("list", "--all", "--json")):
        flight.run("rejections", *arguments)
    hub = open_hub(flight.options(), clock=flight.clock)
    kept = rejections.listing(hub)
    broken = []
    for row in kept:
        try:
            flight.surfaces.add(f"rejection {row['rejection']}", json.dumps(rejections.show(hub, row["rejection"]), ensure_ascii=False))
        except HubError as exc:
            flight.surfaces.add("exception: rejections show", f"{exc} {exc.hint}")
        except Exception as exc:  # noqa: BLE001  (said below, once everything was looked at)
            broken.append(f"{row['rejection']} ({type(exc).__name__})")
    hub.close()
    assert not broken, f"these cannot be shown: {broken}"
    numbers = [str(row["rejection"]) for row in kept]
    for number in numbers[:2]:
        flight.run("rejections", "show", number)
        flight.run("rejections", "show", number, "--json")
    failed = [str(row["rejection"]) for row in kept if [error["code"] for error in row["errors"]] == ["interne-fout"]]
    assert "accepted" in flight.run("rejections", "replay", *failed, "--json")
    flight.run("rejections", "replay", "--all")
    flight.run("rejections", "replay", "--all", "--json")
    flight.run("rejections", "discard", *numbers[:5], "--reason", "gezien")


def ask_why(flight: Proof) -> None:
    hub = open_hub(flight.options(), clock=flight.clock)
    with hub.database.read() as connection:
        ids = {row[0] for table in ("signals", "rejections") for row in connection.exec_driver_sql(f"SELECT signal_id FROM {table}")}  # noqa: S608
        ids |= {row[0] for row in connection.exec_driver_sql("SELECT delivery_id FROM deliveries")}
    known = [str(uuid.UUID(bytes=id_)) for id_ in sorted(id_ for id_ in ids if id_)]
    for id_ in known:
        told = explain.find(hub, id_)
        assert told is not None
        flight.surfaces.add("why", f"{json.dumps(told.as_json(), ensure_ascii=False)}\n{told.as_prose()}")
    flight.surfaces.add("quota", json.dumps(stands(hub)))
    hub.close()
    for id_ in known[:2]:
        flight.run("why", id_)
        flight.run("why", id_, "--json")
    flight.run("quota", "show")
    flight.run("quota", "show", "--json")


def let_time_pass(flight: Proof) -> None:
    flight.run("run", "--once")
    flight.collect(ask=True)
    for moment in ("2026-11-20T09:00", "2026-12-01T00:00", "2026-12-14T00:00"):
        flight.clock.now = terms.moment(moment)
        if moment == "2026-11-20T09:00":
            flight.break_the_terms()
        flight.run("run", "--once")
        flight.run("quota", "show", "--json")
        flight.collect()
    come_too_late(flight)
    flight.run("rejections", "list", "--all")


def test_the_markers_appear_in_deliveries_that_grant_them_and_nowhere_else(flight: Proof, capsys: pytest.CaptureFixture[str]) -> None:
    fly(flight)
    flight.at_rest("at the end")
    said = flight.printed(capsys) + b"".join(content for name, content in flight.surfaces.found if name.endswith("(stderr)")).decode()
    assert all(f'"{event}"' in said for event in ("signal_received", "signal_recorded", "signal_decided", "delivery_sent"))
    assert "/metrics" in {name for name, _ in flight.surfaces.found}

    leaks = flight.surfaces.leaks(flight.aviary)
    assert not leaks, "\n".join(leaks[:40])
    markers = set(flight.aviary.markers.values())
    for recipient, content in flight.received.items():
        expected = flight.seen_by.get(recipient, set())
        assert flight.aviary.found_in(content) == expected, recipient
    assert flight.seen_by.keys() <= flight.received.keys()
    missing = sorted(ADMISSION.keys() - flight.codes)
    assert missing == [], "refusals that the canary does not go through"
    kinds = len({re.sub("[0-9]+", "#", name) for name, _ in flight.surfaces.found})
    granted = len(set().union(*flight.seen_by.values()))
    with capsys.disabled():
        print(f"\ncanary: {len(markers)} markers ({granted} of them granted to somebody) in {len(TEXT_WAYS) + len(NUMBER_WAYS)} encodings; "
              f"searched {len(flight.surfaces.found)} surfaces of {kinds} kinds, {flight.surfaces.size:,} bytes; {len(flight.codes)} reasons to refuse")  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        "why {}", "deliveries {}", "publish --as {} --type {} --data -", "cases show {} --as politie", "cases may vliegen --as {} --correlation x",
        "cases may vliegen --as politie --correlation {}", "cases show {}", "cases may {} --as politie --correlation x",
        "rejections show {}", "rejections replay {}", "rejections discard {} --reason x", "rules show {}", "schemas view {}", "connector run {}",
    ],
)  # fmt: skip
def test_an_error_does_not_repeat_what_was_typed_when_that_may_be_a_bsn(flight: Proof, command: str) -> None:
    bsn = flight.aviary.bsn("getypt")
    flight.run(*command.replace("{}", bsn).split())
    assert flight.surfaces.leaks(flight.aviary) == []


def test_a_refused_signal_is_shown_without_its_free_form_codes(flight: Proof) -> None:
    data = flight.aviary.address() | {"niet_woonachtig_sinds": flight.aviary.mint("gba", "1.gba"), "geheimhouding": None}
    flight.publish(ADDRESS, data)
    flight.run("rejections", "show", "1")
    assert flight.surfaces.leaks(flight.aviary) == []


def test_a_refused_record_of_an_older_contract_is_masked_by_what_it_says_and_not_by_where_its_bytes_lie(flight: Proof) -> None:
    def contract(*order: str) -> None:
        fields = {
            "naam": {"name": "naam", "type": "string", "privacy": "identifier"},
            "loket": {"name": "loket", "type": "string", "privacy": "organisation"},
            "nummer": {"name": "nummer", "type": "int", "privacy": "code"},
        }
        signal = {"type": "nl.proefvlucht.oud.v1", "publishers": ["burgerzaken"], "subject": "@keten", "retention": "P1M"}
        schema = {
            "type": "record",
            "name": "Oud",
            "namespace": "nl.proefvlucht.v1",
            "signal": signal,
            "fields": [fields[name] for name in order],
        }
        (flight.folder / "schemas" / "nl.proefvlucht.oud.v1.avsc").write_text(json.dumps(schema))

    contract("naam", "loket", "nummer")
    hub = open_hub(flight.options(), clock=flight.clock)
    old = hub.rulebooks.current.contract_ids["nl.proefvlucht.oud.v1"]
    raw = write_avro(hub.rulebooks.wire_schema(old, "nl.proefvlucht.oud.v1"), {"naam": BIRD, "loket": "balie", "nummer": 1})
    hub.close()
    contract("loket", "naam", "nummer")  # resolved by name, so this breaks nothing
    hub = open_hub(flight.options(), clock=flight.clock)
    assert hub.rulebooks.current.contract_ids["nl.proefvlucht.oud.v1"] != old
    headers = {
        f"ce_{name}": str(value).encode() for name, value in event(TILBURG, "nl.proefvlucht.oud.v1", "oud", None).items() if name != "data"
    }
    (outcome,) = hub.router.process([Received(TILBURG, frame(old, raw), headers)])
    assert [fault.code for fault in outcome.faults] == ["keten-onbekend"]
    shown = rejections.show(hub, 1)
    hub.close()
    assert BIRD not in json.dumps(shown)


# --- two recipients cannot join what they got -----------------------------------------------------

SHARED: Final = frozenset({"content-type", "ce_source", "ce_specversion", "ce_time", "ce_type", "ce_purpose"})
"""All that two deliveries of one signal within one flow have in common outside the payload."""
OF_THE_RULE: Final = frozenset({"ce_grantid", "ce_dataschema"})
"""What two messages about the same rule have in common besides; the hub's own messages share a rule."""
OF_THE_RECIPIENT: Final = frozenset({"ce_sequence"})
"""Counts from 1 for each recipient on its own."""
LONGEST_COMMON: Final = 7
"""Hexadecimal digits in a row that two identifiers may share by chance."""


def test_two_recipients_of_one_signal_share_nothing_outside_the_payload_by_which_they_could_join_it(
    flight: Proof, capsys: pytest.CaptureFixture[str]
) -> None:
    limit_both(flight)
    hub = open_hub(flight.options(), clock=flight.clock)
    hub.publish(TILBURG, [NewSignal(type=ADDRESS, data=flight.aviary.address())])  # one recipient is one delivery ahead of the other
    first = hub.publish(TILBURG, [NewSignal(type=EVERYTHING, data=flight.aviary.everything(), correlation="zaak-1")])[0]
    later = [NewSignal(type=EVERYTHING, data=flight.aviary.everything(), cause=first.signal_id) for _ in range(4)]
    assert {receipt.status for receipt in [first, *hub.publish(TILBURG, later)]} == {"accepted"}
    one, other = read_by(hub, "toeslagen"), read_by(hub, "cjib")
    for moment in ("2026-12-01T00:00", "2026-12-31T00:00"):  # two leave in November and two in December; the last one expires
        flight.clock.now = terms.moment(moment)
        one, other = one | read_by(hub, "toeslagen"), other | read_by(hub, "cjib")
    hub.close()

    pairs = list(zip(*([h for h in found.values() if h["ce_type"] == EVERYTHING] for found in (one, other)), strict=True))
    assert len(pairs) == 4
    for mine, theirs in pairs:
        assert mine.keys() == theirs.keys() >= {"ce_subject", "ce_correlationid"}
        assert {name for name in mine if mine[name] == theirs[name]} == SHARED
        assert longest_common(mine, theirs) <= LONGEST_COMMON
    assert "ce_causationid" in pairs[-1][0]
    everything = [
        {value for h in found.values() for name, value in h.items() if name not in SHARED | OF_THE_RULE | OF_THE_RECIPIENT}
        for found in (one, other)
    ]
    assert {h["ce_type"].split(".")[-2] for h in one.values()} >= {"signaal-uitgesteld", "signaal-verlopen"}
    assert not everything[0] & everything[1], "their topics share a value"
    with capsys.disabled():
        print(f"\nequal for two recipients of one signal: {', '.join(sorted(SHARED))}; "
              f"{len(everything[0])} and {len(everything[1])} other values, none shared")  # fmt: skip


def limit_both(flight: Proof) -> None:
    """Give both recipients the signal, two a month, so that waiting and expiry happen to both."""
    path = flight.folder / "rules" / "proefvlucht.yaml"
    flow = json.loads(path.read_text())
    quota = {"name": "twee", "limit": 2, "per": "month", "key": ["recipient"], "overflow": "defer"}
    flow["grants"] = [grant | {"quota": quota} for grant in flow["grants"] if grant["to"] in EVERYWHERE and grant["signal"] == EVERYTHING]
    path.write_text(json.dumps(flow))


def read_by(hub: Hub, recipient: str) -> dict[str, dict[str, str]]:
    """Return the headers of what a recipient got; of the hub's own messages, what they say counts as headers too."""
    hub.run_once()
    found = {}
    for record in hub.received_by(recipient):
        headers = {name: value.decode() for name, value in record.message.headers.items()}
        if headers["ce_type"].startswith("nl.signaalhub."):
            said = hub.decoder.data(record.message.value)
            headers |= {f"data {name}": value for name, value in said.items() if isinstance(value, str) and name not in {"regel", "reden"}}
        found[headers["ce_id"]] = headers
    return found


def longest_common(first: Mapping[str, str], second: Mapping[str, str]) -> int:
    """Return how many hexadecimal digits in a row the private values of two deliveries share at most."""
    names = {"ce_id", "ce_subject", "ce_correlationid", "ce_causationid", "ce_traceparent"} & first.keys()
    one, other = ("|".join(headers[name].replace("-", "") for name in sorted(names)) for headers in (first, second))
    pieces = {one[i : i + size] for size in range(1, 33) for i in range(len(one) - size + 1) if "|" not in one[i : i + size]}
    return max(len(piece) for piece in pieces if piece in other)
