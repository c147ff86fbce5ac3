"""A flow that the hub has never heard of works from data files alone, and faults in such files are told precisely.

The flow in `data_only/` is invented: an energy supplier means to cut off a house. It has nested
records, arrays of records, every transform, conditions over dates, enums, nested fields, arrays
and fields that may be null, and two recipients that see different things.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from avro.io import BinaryDecoder, DatumReader
from avro.schema import parse as parse_avro
from typer.testing import CliRunner, Result

from hub.app import Hub, MovingClock, load_files, open_hub
from hub.cli import app
from hub.client import NewSignal
from hub.codec import to_json, unframe
from hub.settings import HubSettings
from tests.unit.test_contract import changed, line_of

HERE: Final = Path(__file__).parent / "data_only"
HUB: Final = Path(sys.executable).parent / "hub"
NOTICE: Final = "nl.energiewet.afsluiting-voorgenomen.v1"
ANSWER: Final = "nl.energiewet.hulp-gestart.v1"
QUESTION: Final = "nl.energiewet.vraag-gesteld.v1"
NOW: Final = "2026-11-02T09:00"
EVERYONE: Final = [
    "energieloket.0344",
    "energieloket.0344.oost",
    "energieloket.0855",
    "energiefonds",
    "statistiek",
    "toezicht",
    "licht-en-warmte",
    "noordgas",
]


def notice(**changes: Any) -> dict[str, Any]:
    """Return the data of a notice that every rule lets through."""
    return {
        "gemeentecode": "0344", "klantnummer": "KL000123", "achternaam": "Van Voorbeeld", "geboortedatum": "19800200", "klant_sinds": "2019-05-01",
        "gepland_op": "2026-11-30", "besloten_op": "2026-11-02T08:30:00.250+01:00", "reden": "BETAALACHTERSTAND", "eerdere_reden": "FRAUDEONDERZOEK",
        "adres": {"postcode": "3511 AB", "huisnummer": 12, "huisletter": "c", "aansluiting": {"soort": "STROOM", "ean": "871234567890123456"}},
        "vorderingen": [
            {"soort": "STROOM", "bedrag_cent": 128450, "vervaldatum": "2026-08-31", "factuur": {"nummer": "F-2026-0001", "herinneringen": 3}},
            {"soort": "GAS", "bedrag_cent": 9999, "vervaldatum": "2026-09-30", "betwist": True, "factuur": {"nummer": "F-2026-0002", "herinneringen": 1}},
        ],
        "contact": {"telefoon": "0612345678", "email": "v@voorbeeld.example"}, "brieven": ["2025-12-20", "2026-10-01"],
        "betrokkene_geinformeerd": "JA", "contactrol": "incasso",
    } | changes  # fmt: skip


FOR_THE_DESK: Final = {
    "gemeentecode": "0344", "achternaam": "Van Voorbeeld", "gepland_op": "2026-11-30", "kwetsbaar": None,
    "adres": {"postcode": "3511 AB", "huisnummer": 12, "huisletter": "c", "aansluiting": {"soort": "STROOM"}},
    "vorderingen": [
        {"soort": "STROOM", "bedrag_cent": 128450, "vervaldatum": "2026-08-31", "factuur": {"herinneringen": 3}},
        {"soort": "GAS", "bedrag_cent": 9999, "vervaldatum": "2026-09-30", "factuur": {"herinneringen": 1}},
    ],
    "contact": {"telefoon": "0612345678"}, "betrokkene_geinformeerd": "JA", "contactrol": "incasso", "uitgever": "licht-en-warmte",
}  # fmt: skip
FOR_THE_FUND: Final = {
    "geboortedatum_leeftijdsklasse": "ONBEKEND", "geboortedatum_jaar": 1980, "klant_sinds_jaar": 2019, "gepland_op_maand": "2026-11",
    "besloten_op": "2026-11-02T07:30:00.250Z", "reden": "BETAALACHTERSTAND", "eerdere_reden_aanwezig": True, "adres": {"postcode_pc4": "3511"},
    "contact": {"email_aanwezig": True}, "brieven_jaar": [2025, 2026],
}  # fmt: skip


class World:
    """A home on this flow, worked by the command line only."""

    def __init__(self, folder: Path, rules: Path = HERE / "rules", schemas: Path = HERE / "schemas") -> None:
        self.folder = folder
        self.rules = rules
        self.schemas = schemas
        self.now = NOW

    @property
    def options(self) -> list[str]:
        return ["--home", str(self.folder / "home"), "--rules", str(self.rules), "--schemas", str(self.schemas), "--now", self.now]

    def hub(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*self.options, *arguments])

    def ok(self, *arguments: str) -> str:
        result = self.hub(*arguments)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    def publish(self, by: str, type_: str, data: Any, *options: str) -> dict[str, Any]:
        file = self.folder / "signaal.json"
        file.write_text(json.dumps(data), encoding="utf-8")
        result = self.hub("publish", "--as", by, "--type", type_, "--data", str(file), "--json", *options)
        receipt: dict[str, Any] = json.loads(result.stdout)[0]
        assert result.exit_code == (1 if receipt["status"] == "rejected" else 0)
        return receipt

    def refused(self, by: str, type_: str, data: Any, *options: str) -> set[str]:
        receipt = self.publish(by, type_, data, *options)
        assert receipt["status"] == "rejected"
        return {error["code"] for error in receipt["errors"]}

    def deliveries(self, recipient: str) -> list[dict[str, Any]]:
        """Return what a recipient got, the hub's own messages left out."""
        self.ok("run", "--once")
        found = [json.loads(line) for line in self.ok("deliveries", recipient, "--json").splitlines()]
        return [delivery for delivery in found if not delivery["type"].startswith("nl.signaalhub.")]

    def received(self, recipient: str) -> list[Any]:
        return [delivery["data"] for delivery in self.deliveries(recipient)]

    def reasons(self, signal_id: str) -> dict[str, tuple[str, str]]:
        told = json.loads(self.ok("why", signal_id, "--json"))
        return {decision["recipient"]: (decision["outcome"], decision["reason"]) for decision in told["decisions"]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# --- the files ---


def test_the_flow_is_all_there_is_beside_the_hubs_own() -> None:
    ruleset = load_files(HubSettings(rules_dir=HERE / "rules", schemas_dir=HERE / "schemas")).unwrap()
    assert {name for name in ruleset.types if not name.startswith("nl.signaalhub.")} == {NOTICE, ANSWER, QUESTION}
    assert {grant.flow for grant in ruleset.grants.values()} == {"afsluiting", "signaalhub"}


def test_the_check_finds_nothing_even_when_strict_and_the_examples_pass(tmp_path: Path) -> None:
    """As a real process, as an officer or a build server runs it."""
    options = ["--home", str(tmp_path / "home"), "--rules", str(HERE / "rules"), "--schemas", str(HERE / "schemas")]
    check = subprocess.run([HUB, *options, "rules", "check", "--strict"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (check.returncode, check.stdout) == (0, "9 signal types, 9 grants, 6 examples: no faults\n")
    assert not (tmp_path / "home").exists()


def test_the_examples_and_the_schemas_pass(world: World) -> None:
    assert world.ok("rules", "test") == "6 of 6 examples passed\n"
    assert world.ok("schemas", "check") == "9 schemas: no faults\n"


def test_every_transform_is_used_by_the_flow(world: World) -> None:
    schema = world.ok("schemas", "view", "afsluiting.fonds")
    for transform in ("pseudoniem", "jaar", "maand", "leeftijdsklasse", "pc4", "klasse(10000;100000)", "aanwezig"):
        assert f'"transform": "{transform}"' in schema
    assert '"transform": "waarden(BETAALACHTERSTAND;LEEGSTAND;anders:OVERIG)"' in schema


def test_the_matrix_shows_the_new_flow(world: World) -> None:
    found = {row["grant"]: row for row in json.loads(world.ok("rules", "matrix", "--json"))}
    assert {name for name in found if not name.startswith("signaalhub.")} == {
        "afsluiting.loket", "afsluiting.fonds", "afsluiting.antwoord", "afsluiting.vraag",
    }  # fmt: skip
    assert "klantnummer" in found["afsluiting.loket"]["not_shown"]


# --- what each recipient decodes, and what not ---


def test_each_recipient_decodes_what_it_was_granted_and_nobody_else_gets_anything(world: World) -> None:
    receipt = world.publish("licht-en-warmte", NOTICE, notice(), "--correlation", "zaak-1")
    assert receipt["status"] == "accepted"
    assert receipt["correlation"] == "zaak-1"

    desk, fund = world.deliveries("energieloket.0344"), world.deliveries("energiefonds")
    assert [delivery["data"] for delivery in desk] == [FOR_THE_DESK]
    [data] = [delivery["data"] for delivery in fund]
    pseudonym = data.pop("klantnummer_pseudoniem")
    claims = data.pop("vorderingen")
    assert data == FOR_THE_FUND
    assert [{name: value for name, value in claim.items() if name != "factuur"} for claim in claims] == [
        {"soort": "STROOM", "bedrag_cent_klasse": "VANAF_100000", "vervaldatum_maand": "2026-08"},
        {"soort": "GAS", "bedrag_cent_klasse": "ONDER_10000", "vervaldatum_maand": "2026-09"},
    ]
    assert [list(claim["factuur"]) for claim in claims] == [["nummer_pseudoniem"], ["nummer_pseudoniem"]]
    assert len({pseudonym, *(claim["factuur"]["nummer_pseudoniem"] for claim in claims)}) == 3
    for other in EVERYONE:
        if other not in {"energieloket.0344", "energiefonds"}:
            assert world.deliveries(other) == [], other


def test_nothing_of_what_was_not_granted_is_anywhere_in_a_delivery(world: World) -> None:
    world.publish("licht-en-warmte", NOTICE, notice(), "--correlation", "zaak-1")
    desk, fund = (json.dumps(world.deliveries(recipient)) for recipient in ("energieloket.0344", "energiefonds"))
    hidden = ["KL000123", "871234567890123456", "F-2026", "voorbeeld.example", "zaak-1", "2026-11-02T07:30"]
    for secret in [*hidden, "1980", "2019", "BETAALACHTERSTAND", "FRAUDEONDERZOEK", "2025-12-20", "betwist"]:
        assert secret not in desk, secret
    for secret in [*hidden[:-1], "Voorbeeld\"", "19800200", "2019-05-01", "2026-11-30", "FRAUDE", "3511 AB", "0612345678", "128450", "2026-08-31",
                   "incasso", "licht-en-warmte", "0344", "871234"]:  # fmt: skip
        assert secret not in fund, secret


def test_the_envelope_says_for_which_purpose_and_never_who(world: World) -> None:
    for number in ("KL000123", "KL000123", "KL999999"):
        world.publish("licht-en-warmte", NOTICE, notice(klantnummer=number))
    desk, fund = world.deliveries("energieloket.0344"), world.deliveries("energiefonds")
    assert [delivery["sequence"] for delivery in desk] == [1, 2, 3]
    assert {delivery["purpose"] for delivery in (*desk, *fund)} == {"Voorkomen dat een huishouden zonder energie komt"}
    assert {delivery["grant"] for delivery in fund} == {"afsluiting.fonds"}
    same, again, other = (delivery["subject"] for delivery in desk)
    assert same == again != other
    assert not {delivery["subject"] for delivery in desk} & {delivery["subject"] for delivery in fund}
    pseudonyms = [delivery["data"]["klantnummer_pseudoniem"] for delivery in fund]
    assert pseudonyms[0] == pseudonyms[1] != pseudonyms[2]
    assert len({delivery["delivery_id"] for delivery in (*desk, *fund)}) == 6


def test_what_may_be_null_is_null_and_what_is_not_there_is_not_there(world: World) -> None:
    world.publish("licht-en-warmte", NOTICE, notice(geboortedatum=None, contact=None, eerdere_reden=None, kwetsbaar=True, reden="ONBEKEND"))
    [desk], [fund] = world.received("energieloket.0344"), world.received("energiefonds")
    assert (desk["contact"], desk["kwetsbaar"]) == (None, True)
    assert (fund["contact"], fund["geboortedatum_jaar"], fund["geboortedatum_leeftijdsklasse"]) == (None, None, None)
    assert (fund["eerdere_reden_aanwezig"], fund["reden"]) == (False, "OVERIG")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Hub]:
    settings = HubSettings(home=tmp_path / "home", rules_dir=HERE / "rules", schemas_dir=HERE / "schemas")
    hub = open_hub(settings, clock=MovingClock(1_793_606_400_000))
    yield hub
    hub.close()


@pytest.mark.parametrize("recipient", ["energieloket.0344", "energiefonds"])
def test_another_avro_library_decodes_the_same_from_the_bytes_on_the_wire(opened: Hub, recipient: str) -> None:
    assert opened.publish("licht-en-warmte", [NewSignal(type=NOTICE, data=notice())])[0].status == "accepted"
    opened.run_once()
    [record] = opened.received_by(recipient)
    schema_id, avro = unframe(record.message.value)
    buffer = io.BytesIO(avro)
    schema = parse_avro(json.dumps(opened.rulebooks.schema(schema_id)))
    decoded: Any = DatumReader(schema).read(BinaryDecoder(buffer))
    assert buffer.read() == b""
    assert to_json(decoded) == opened.decoder.data(record.message.value)
    if recipient == "energieloket.0344":
        assert to_json(decoded) == FOR_THE_DESK


# --- the conditions of the flow, each side of its edge; a dry run records nothing, so one home serves all ---


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("edges"))


def decided(world: World, **changes: Any) -> tuple[set[str], dict[str, tuple[str, str]]]:
    """Return for which reasons a notice is refused, or who gets it and who does not."""
    found = world.publish("licht-en-warmte", NOTICE, notice(**changes), "--dry-run")
    decisions = {decision["recipient"]: (decision["outcome"], decision["reason"]) for decision in found.get("decisions", ())}
    return {error["code"] for error in found["errors"]}, decisions


@pytest.mark.parametrize(
    ("changes", "desk"),
    [
        ({"reden": "ONBEKEND"}, ("deliver", "volgens-regel")),
        ({"reden": "LEEGSTAND"}, None),
        ({"adres": notice()["adres"] | {"aansluiting": {"soort": "WARMTE", "ean": "871234567890123456"}}}, None),
        ({"vorderingen": [notice()["vorderingen"][0] | {"bedrag_cent": 100_000}]}, None),
        ({"vorderingen": [notice()["vorderingen"][0] | {"bedrag_cent": 100_001}]}, ("deliver", "volgens-regel")),
        ({"gepland_op": "2026-11-16"}, ("deliver", "volgens-regel")),
        ({"gepland_op": "2026-11-15"}, ("withhold", "te-laat-aangekondigd")),
        ({"brieven": ["2026-09-02"]}, ("deliver", "volgens-regel")),
        ({"brieven": ["2026-09-01", "2026-11-02"]}, ("withhold", "niet-geschreven")),
        ({"brieven": []}, ("withhold", "niet-geschreven")),
        ({"vorderingen": [notice()["vorderingen"][0], notice()["vorderingen"][1] | {"betwist": False}]}, ("withhold", "niet-herinnerd")),
        ({"vorderingen": [notice()["vorderingen"][0], notice()["vorderingen"][1] | {"betwist": None}]}, ("withhold", "niet-herinnerd")),
        ({"gemeentecode": "0855", "gepland_op": "2026-11-09"}, ("deliver", "volgens-regel")),
        ({"gemeentecode": "0855", "gepland_op": "2026-11-08"}, ("withhold", "te-laat-aangekondigd")),
    ],
)
def test_the_desk_gets_it_on_the_right_side_of_every_edge(home: World, changes: dict[str, Any], desk: tuple[str, str] | None) -> None:
    """The fund gets each of them, so that none is refused as a whole."""
    recipient = f"energieloket.{changes.get('gemeentecode', '0344')}"
    expected = {"energiefonds": ("deliver", "volgens-regel")} | ({recipient: desk} if desk else {})
    assert decided(home, **changes) == (set(), expected)


@pytest.mark.parametrize(
    ("changes", "delivered"),
    [
        ({"klant_sinds": "2025-12-31"}, True),
        ({"klant_sinds": "2026-01-01"}, False),
        ({"vorderingen": [notice()["vorderingen"][0] | {"vervaldatum": "2026-11-29"}]}, True),
        ({"vorderingen": [notice()["vorderingen"][0] | {"vervaldatum": "2026-11-30"}]}, False),
    ],
)
def test_the_fund_gets_it_on_the_right_side_of_every_edge(home: World, changes: dict[str, Any], *, delivered: bool) -> None:
    codes, decisions = decided(home, **changes)
    assert codes == set()
    assert ("energiefonds" in decisions) is delivered


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"vorderingen": []}, {"geen-vordering"}),
        ({"geboortedatum": "20260000"}, set()),
        ({"geboortedatum": "20260100"}, {"geboortedatum-onwaarschijnlijk"}),
        ({"geboortedatum": None}, set()),
        ({"vorderingen": [notice()["vorderingen"][0] | {"bedrag_cent": 299}]}, {"bedrag-te-klein"}),
        ({"vorderingen": [], "geboortedatum": "20260101"}, {"geen-vordering", "geboortedatum-onwaarschijnlijk"}),
        ({"vorderingen": [notice()["vorderingen"][0] | {"factuur": {"nummer": "F", "herinneringen": 0}}]}, {"regel-fout"}),
    ],
)
def test_content_rules_refuse_and_a_rule_that_cannot_be_worked_out_refuses_too(
    home: World, changes: dict[str, Any], codes: set[str]
) -> None:
    refused, decisions = decided(home, **changes)
    assert refused == codes
    assert bool(decisions) is not bool(codes)


def test_faults_in_nested_data_are_told_by_their_path_and_nothing_is_delivered(world: World) -> None:
    data = notice(adres={"postcode": "onzin", "huisnummer": 1.9, "huisletter": "cd", "aansluiting": {"soort": "HOUT"}}, achternaam="x\ny")
    data["vorderingen"][1] |= {"bedrag_cent": True, "vervaldatum": "2026-02-30", "bsn": "999990019"}
    receipt = world.publish("licht-en-warmte", NOTICE, data)
    assert {(error["code"], error["field"]) for error in receipt["errors"]} == {
        ("tekst-ongeldig", "achternaam"), ("postcode-ongeldig", "adres.postcode"), ("verkeerd-type", "adres.huisnummer"),
        ("tekst-ongeldig", "adres.huisletter"), ("waarde-onbekend", "adres.aansluiting.soort"), ("veld-ontbreekt", "adres.aansluiting.ean"),
        ("verkeerd-type", "vorderingen[1].bedrag_cent"), ("datum-ongeldig", "vorderingen[1].vervaldatum"), ("veld-onbekend", "vorderingen[1]"),
    }  # fmt: skip
    assert "999990019" not in json.dumps(receipt)
    assert world.received("energieloket.0344") == world.received("energiefonds") == []


def test_without_agreement_the_desk_gets_nothing_and_the_fund_does(world: World) -> None:
    result = world.publish("noordgas", NOTICE, notice(gemeentecode="0855"))
    assert world.reasons(result["signal_id"]) == {
        "energieloket.0855": ("withhold", "geen-afspraak"),
        "energiefonds": ("deliver", "volgens-regel"),
    }
    assert world.refused("licht-en-warmte", NOTICE, notice(gemeentecode="0772")) == {"gemeente-niet-toegestaan"}
    assert world.refused("toezicht", NOTICE, notice()) == {"geen-publicatierecht"}


def test_the_fourth_of_the_month_waits_unless_it_cannot_and_the_next_month_lets_it_go(world: World) -> None:
    for number in range(4):
        world.publish("licht-en-warmte", NOTICE, notice(klantnummer=f"KL00000{number}"))
    assert world.publish("licht-en-warmte", NOTICE, notice(klantnummer="KL000009", kwetsbaar=True))["status"] == "accepted"
    assert [row["kwetsbaar"] for row in world.received("energieloket.0344")] == [None, None, None, True]
    assert len(world.received("energiefonds")) == 5
    world.now = "2026-11-30T23:59"
    assert len(world.received("energieloket.0344")) == 4
    world.now = "2026-12-01T00:00"
    assert len(world.received("energieloket.0344")) == 5


# --- answers, the keten and a signal without a name ---


def test_an_answer_finds_its_way_back_to_the_publisher_alone(world: World) -> None:
    world.publish("licht-en-warmte", NOTICE, notice(), "--correlation", "zaak-1")
    [told] = world.deliveries("energieloket.0344")
    answer = {"resultaat": "HULP_GESTART", "uitstel_tot": "2026-12-31"}
    assert world.publish("energieloket.0344", ANSWER, answer, "--cause", told["delivery_id"])["status"] == "accepted"
    [back] = world.deliveries("licht-en-warmte")
    assert back["data"] == answer
    assert back["correlation"] == "zaak-1"
    assert told["correlation"] not in {None, "zaak-1"}
    for other in EVERYONE:
        if other != "licht-en-warmte":
            assert ANSWER not in {delivery["type"] for delivery in world.deliveries(other)}


def test_an_answer_names_a_signal_of_the_right_type_that_the_answerer_knows(world: World) -> None:
    signal = world.publish("licht-en-warmte", NOTICE, notice())["signal_id"]
    [fund] = world.deliveries("energiefonds")
    own = world.publish("energieloket.0344", QUESTION, {"onderwerp": "TERMIJN"})["signal_id"]
    answer = {"resultaat": "HULP_GESTART"}
    assert world.refused("energieloket.0344", ANSWER, answer) == {"oorzaak-ontbreekt"}
    assert world.refused("energieloket.0344", ANSWER, answer, "--cause", own) == {"oorzaak-past-niet"}
    not_mine = {world.refused("energieloket.0344", ANSWER, answer, "--cause", cause).pop() for cause in (signal, fund["delivery_id"])}
    nowhere = world.refused("energieloket.0344", ANSWER, answer, "--cause", "00000000-0000-4000-8000-000000000000")
    assert not_mine == nowhere == {"keten-onbekend"}
    assert world.received("licht-en-warmte") == []


def test_a_signal_without_a_name_has_no_subject_and_no_keten(world: World) -> None:
    assert world.refused("energieloket.0344", QUESTION, {"onderwerp": "REGELING"}, "--correlation", "zaak-1") == {"keten-niet-toegestaan"}
    world.publish("energieloket.0344", QUESTION, {"onderwerp": "REGELING"})
    [delivery] = world.deliveries("energiefonds")
    assert delivery["data"] == {"onderwerp": "REGELING"}
    assert (delivery["subject"], delivery["correlation"], delivery["cause"]) == (None, None, None)


# --- faults, planted in a copy of the flow ---


@pytest.fixture
def copy(tmp_path: Path) -> World:
    """A copy of the flow that a test may spoil."""
    shutil.copytree(HERE, tmp_path / "copy")
    return World(tmp_path, tmp_path / "copy" / "rules", tmp_path / "copy" / "schemas")


def edit(file: Path, *replacements: tuple[str, str]) -> str:
    """Replace texts that occur once, and return what the file says now."""
    text = file.read_text(encoding="utf-8")
    for old, new in replacements:
        text = changed(text, old, new)
    file.write_text(text, encoding="utf-8")
    return text


RULE_FAULTS: Final = {
    "misspelt in a macro": ("v.bedrag_cent > 100000)", "v.bedrag > 100000)"),
    "no date": ("b < today)", "b < '2026-13-01')"),
    "no field": ("      - adres.aansluiting.soort\n", "      - adres.aansluiting.sort\n"),
    "no recipient": ("    to: energiefonds\n    legal_basis: [fondsregeling]\n    when: s.klant_sinds", "    to: energiefondsen\n    legal_basis: [fondsregeling]\n    when: s.klant_sinds"),
    "no transform for it": ("{gepland_op: maand}", "{gepland_op: pc4}"),
    "unknown key": ("    fields: [resultaat, uitstel_tot]\n", "    fields: [resultaat, uitstel_tot]\n    prioriteit: hoog\n"),
    "no basis": ("    legal_basis: [fondsregeling]\n    when: e.role", "    when: e.role"),
    "no symbol": ("s.reden == 'BETAALACHTERSTAND'\n", "s.reden == 'ACHTERSTAND'\n"),
    "no such ground": ("legal_basis: [afsluitregeling]\n    when: s.resultaat", "legal_basis: [afsluitregelingen]\n    when: s.resultaat"),
}  # fmt: skip
RULE_MARKERS: Final = [
    "v.bedrag > 100000", "2026-13-01", "- adres.aansluiting.sort", "energiefondsen", "{gepland_op: pc4}",
    "prioriteit", "id: afsluiting.vraag", "'ACHTERSTAND'", "afsluitregelingen",
]  # fmt: skip


def test_ten_rule_faults_and_five_schema_faults_are_all_reported_at_once_by_file_and_line(copy: World) -> None:
    flow, agreements = copy.rules / "afsluiting.yaml", copy.rules / "agreements.yaml"
    notice_file, answer_file, question_file = (copy.schemas / f"{name}.avsc" for name in (NOTICE, ANSWER, QUESTION))
    rules = edit(flow, *RULE_FAULTS.values())
    parties = edit(agreements, ("parties: [leverancier]", "parties: [leveranciers]"))
    notice_text = edit(
        notice_file,
        ('"date"}, "privacy": "code", "doc": "Wanneer de klant klant werd."', '"date"}, "doc": "Wanneer de klant klant werd."'),
        ('"maxLength": 100, "privacy": "identifier"', '"maxLength": 100, "privacy": "free-text"'),
        ('"maxLength": 30,', '"maxLength": 3000,'),
    )
    answer_text = edit(answer_file, (', "default": "ONBEKEND"', ""))
    question_text = edit(
        question_file, ('            "retention": "P1M"}', '            "bewaren": "P1M",\n            "retention": "P1M"}')
    )
    expected = {
        *((flow, line_of(rules, marker)) for marker in RULE_MARKERS),
        (agreements, line_of(parties, "leveranciers")),
        (notice_file, line_of(notice_text, '"klant_sinds"')),
        (notice_file, line_of(notice_text, "free-text")),
        (notice_file, line_of(notice_text, "3000")),
        (answer_file, line_of(answer_text, '"resultaat"')),
        (question_file, line_of(question_text, '"bewaren"')),
    }
    assert len(expected) == 15

    result = copy.hub("rules", "check")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    found = [(Path(file), int(line)) for file, line, _ in (text.split(":", 2) for text in lines)]
    assert set(found) == expected, result.stdout
    assert len(found) == 15
    assert all(text.split(":", 2)[2].strip() for text in lines)

    as_json = json.loads(copy.hub("rules", "check", "--json").stdout)
    assert {(Path(fault["file"]), fault["line"]) for fault in as_json} == expected
    assert all(fault["what"] for fault in as_json)


@pytest.mark.parametrize(("name", "marker"), list(zip(RULE_FAULTS, RULE_MARKERS, strict=True)))
def test_each_of_them_alone_is_reported_alone(copy: World, name: str, marker: str) -> None:
    file = copy.rules / "afsluiting.yaml"
    text = edit(file, RULE_FAULTS[name])
    result = copy.hub("rules", "check")
    assert result.exit_code == 1
    [line] = result.stdout.splitlines()
    assert line.startswith(f"{file}:{line_of(text, marker)}: ")


def test_broken_rules_are_never_used(copy: World) -> None:
    edit(copy.rules / "afsluiting.yaml", RULE_FAULTS["no field"])
    result = copy.hub("run", "--once")
    assert result.exit_code == 1
    assert str(copy.rules / "afsluiting.yaml") in str(result.exception)


def test_broken_rules_do_not_push_aside_the_ones_in_force(copy: World) -> None:
    copy.publish("licht-en-warmte", NOTICE, notice())
    edit(copy.rules / "afsluiting.yaml", RULE_FAULTS["no field"])
    assert copy.publish("licht-en-warmte", NOTICE, notice())["status"] == "accepted"
    assert copy.received("energieloket.0344") == [FOR_THE_DESK, FOR_THE_DESK]


def test_new_rules_hold_from_the_next_signal_on(copy: World) -> None:
    copy.publish("licht-en-warmte", NOTICE, notice())
    edit(
        copy.rules / "afsluiting.yaml",
        ("      - achternaam\n", ""),
        ("          achternaam: Van Voorbeeld\n          gepland_op", "          gepland_op"),
    )
    assert copy.hub("rules", "check", "--strict").exit_code == 0
    copy.publish("licht-en-warmte", NOTICE, notice())
    first, second = copy.received("energieloket.0344")
    assert first == FOR_THE_DESK
    assert second == {name: value for name, value in FOR_THE_DESK.items() if name != "achternaam"}


def test_a_wrong_expectation_in_an_example_is_reported_on_its_line(copy: World) -> None:
    file = copy.rules / "afsluiting.yaml"
    text = edit(file, ("expect: {energieloket.0855: {outcome: deliver}, '*': none}", "expect: {energieloket.0855: none, '*': none}"))
    line = line_of(text, "- name: te laat aangekondigd")
    for command in ("check", "test"):
        result = copy.hub("rules", command)
        assert result.exit_code == 1
        assert result.stdout.startswith(f"{file}:{line}: example `te laat aangekondigd; ")
    assert "step 2: energieloket.0855 got it" in result.stdout
    assert result.stdout.endswith("5 of 6 examples passed\n")


def test_a_grant_without_examples_is_a_warning_and_when_strict_a_fault(copy: World) -> None:
    file = copy.rules / "afsluiting.yaml"
    text = file.read_text(encoding="utf-8")
    text = text[: text.index("  - name: een vraag zonder naam")]
    file.write_text(text, encoding="utf-8")
    line = line_of(text, "id: afsluiting.vraag")
    warnings = [
        f"{file}:{line}: warning: grant `afsluiting.vraag` has no example that {does}; add one" for does in ("delivers", "does not deliver")
    ]
    easy, strict = copy.hub("rules", "check"), copy.hub("rules", "check", "--strict")
    assert (easy.exit_code, strict.exit_code) == (0, 1)
    assert easy.stdout.splitlines()[:2] == warnings
    assert strict.stdout.splitlines() == warnings


# --- a contract within its version ---

FIELD: Final = '  {"name": "brieven"'


@pytest.mark.parametrize(
    ("change", "compatible"),
    [
        (
            lambda text: changed(
                text, FIELD, '  {"name": "nieuw", "type": ["null", "int"], "default": null, "privacy": "code"},\n' + FIELD
            ),
            True,
        ),
        (lambda text: changed(text, '"FRAUDEONDERZOEK", "ONBEKEND"]', '"FRAUDEONDERZOEK", "SLOOP", "ONBEKEND"]'), True),
        (lambda text: changed(text, FIELD, '  {"name": "nieuw", "type": "int", "privacy": "code"},\n' + FIELD), False),
        (lambda text: changed(text, '{"name": "ean", "type": "string", "pattern": "[0-9]{18}"', '{"name": "ean", "type": "long"'), False),
        (lambda text: changed(text, '{"name": "ean",', '{"name": "ean_code",'), False),
    ],
    ids=["nullable field", "symbol", "required field", "other type", "other name"],
)
def test_the_check_holds_a_contract_against_what_the_home_used(copy: World, change: Callable[[str], str], *, compatible: bool) -> None:
    copy.publish("licht-en-warmte", NOTICE, notice())
    file = copy.schemas / f"{NOTICE}.avsc"
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    result = copy.hub("rules", "check", "--strict")
    told = [line for line in result.stdout.splitlines() if line.startswith(f"{file}:1: ")]
    assert (result.exit_code == 0, len(told)) == ((True, 0) if compatible else (False, 1))
    assert copy.publish("licht-en-warmte", NOTICE, notice())["status"] == "accepted"


def test_checking_a_draft_puts_nothing_in_force_and_promises_nothing(copy: World) -> None:
    copy.publish("licht-en-warmte", NOTICE, notice())
    file = copy.schemas / f"{QUESTION}.avsc"
    before = file.read_text(encoding="utf-8")
    extra = '{"name": "regeling", "type": "int", "default": 0, "privacy": "organisation"},\n  {"name": "onderwerp"'
    edit(file, ('{"name": "onderwerp"', extra))
    assert copy.hub("rules", "check", "--strict").exit_code == 0
    file.write_text(
        changed(before, '{"name": "onderwerp"', extra.replace('"int", "default": 0', '"boolean", "default": true')), encoding="utf-8"
    )
    result = copy.hub("rules", "check", "--strict")
    assert (result.exit_code, result.stdout) == (0, "9 signal types, 9 grants, 6 examples: no faults\n")


def test_a_second_version_runs_beside_the_first(copy: World) -> None:
    second = QUESTION.replace(".v1", ".v2")
    text = (copy.schemas / f"{QUESTION}.avsc").read_text(encoding="utf-8")
    text = changed(changed(text, QUESTION, second), '"name": "onderwerp"', '"name": "thema"')
    (copy.schemas / f"{second}.avsc").write_text(text, encoding="utf-8")
    grant = f"""flow: vragen
purpose: Vragen beantwoorden
activity: https://signaalhub.example/verwerkingen/test-vragen
grants:
  - id: vragen.twee
    signal: {second}
    to: energiefonds
    legal_basis: [fondsregeling]
    fields: [thema, uitgever]
    retention: P1M
    explain: U krijgt deze vraag van een loket.
"""
    (copy.rules / "vragen.yaml").write_text(grant, encoding="utf-8")
    copy.publish("energieloket.0344", QUESTION, {"onderwerp": "REGELING"})
    copy.publish("energieloket.0344", second, {"thema": "TERMIJN"})
    assert copy.received("energiefonds") == [{"onderwerp": "REGELING"}, {"thema": "TERMIJN", "uitgever": "energieloket.0344"}]
