"""The DDAS export on a real hub: a month of arrears in, one file out, valid under the national schema."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from consumers.ddas import CONSUMER
from hub.app import Hub, MovingClock
from hub.client import NewSignal, Receipt
from hub.domain import terms
from hub.errors import StopError, UsageError
from hub.gateway import HubGateway
from tests.integration.support import EINDHOVEN, LANDLORD, Cli, accepted, received, tick
from tests.sample import DEBT, OFFER, debt

WITHDRAWN = "nl.signaalhub.signaal-ingetrokken.v1"
OFFERED, CLOSED = "AANBOD_GEDAAN", "AFGESLOTEN"


@pytest.fixture
def export(hub: Hub, tmp_path: Path) -> Export:
    return Export(hub, tmp_path / "uit")


class Export:
    """Runs the export of Eindhoven."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.report: Any = None

    def file(self, month: str) -> Path:
        settings = CONSUMER.settings.model_validate({"municipality": "0772", "month": month, "state_dir": self.folder})
        self.report = CONSUMER.run(settings, HubGateway(self.hub), lambda items, **_: items)
        return self.folder / f"ddas-0772-{month}.json"

    def document(self, month: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file(month).read_text(encoding="utf-8"))
        return found

    def told(self, month: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        (levering,) = self.document(month)["leveringen"]
        return levering["vroegsignalen"], levering["vroegsignaalzaken"]


def answered(hub: Hub, delivery: str, said: str, day: str) -> Receipt:
    return accepted(hub, EINDHOVEN, NewSignal(type=OFFER, data={"resultaat": said, "resultaat_op": day}, cause=delivery))


def last(hub: Hub) -> str:
    return str(received(hub, EINDHOVEN, DEBT)[-1]["delivery_id"])


def october(hub: Hub, clock: MovingClock) -> list[str]:
    """Play a month with something of everything. Returns the ids of the first deliveries."""
    ids = []
    tick(hub, clock, "2026-10-02T09:00")
    receipts = []
    kinds = [(LANDLORD, "HUUR"), ("zorgzaam-voorbeeld", "ZORG"), ("stroom-voorbeeld", "ENERGIE"), ("bron-voorbeeld", "WATER")]
    for number, (by, kind) in enumerate([*kinds, *kinds[:2]]):
        receipts.append(accepted(hub, by, debt(partnersoort=kind, huisnummer=number + 1, huisletter="C", crisissignaal=kind == "WATER")))
        ids.append(last(hub))
    tick(hub, clock, "2026-10-09T09:00")
    answered(hub, ids[0], OFFERED, "2026-10-08")
    answered(hub, ids[1], CLOSED, "2026-10-09")
    withdrawn = NewSignal(type=WITHDRAWN, data={"redencode": "OPGELOST"}, cause=receipts[4].signal_id)
    accepted(hub, LANDLORD, withdrawn)
    accepted(hub, "zorgzaam-voorbeeld", debt(partnersoort="ZORG", huisnummer=6, huisletter="C", bedrag_cent=49_950))
    return ids


def test_a_month_is_valid_under_the_national_schema(hub: Hub, clock: MovingClock, export: Export, testdata: Path) -> None:
    schema = json.loads((testdata / "ddas" / "uitwisselmodel-v1.2.schema.json").read_text(encoding="utf-8"))
    check = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    october(hub, clock)
    tick(hub, clock, "2026-11-02T09:00")
    document = export.document("2026-10")
    assert [error.json_path for error in check.iter_errors(document)] == []
    assert len(document["leveringen"][0]["vroegsignalen"]) == 6
    assert [error.json_path for error in check.iter_errors(export.document("2026-09"))] == [], "an empty month is one, too"
    broken = json.loads(json.dumps(document).replace("5611AB", "999990019").replace('"postcode"', '"burgerservicenummer"'))
    assert list(check.iter_errors(broken)), "the schema is looked at"
    assert list(check.iter_errors(document | {"aanleverdatumEnTijd": "gisteren"})), "and so are its formats"


def test_what_was_received_and_answered_is_told(hub: Hub, clock: MovingClock, export: Export) -> None:
    ids = october(hub, clock)
    tick(hub, clock, "2026-11-02T09:00")
    signalen, zaken = export.told("2026-10")
    assert [told["ID"] for told in signalen] == [*ids[:4], ids[5], last(hub)]
    assert [told["signaalpartner"]["type"] for told in signalen] == ["Huur", "Zorg", "Energie", "Water", "Zorg", "Zorg"]
    assert [told.get("status") for told in signalen] == ["Opgepakt", None, *["Nog niet opgepakt"] * 4]
    assert [told["crisissignaal"] for told in signalen] == [False, False, False, True, False, False]
    assert zaken == [{"datumOpgepakt": "2026-10-08", "vroegsignalen": [{"ID": ids[0]}]}]
    assert signalen[0] == {
        "ID": ids[0], "crisissignaal": False, "bedrag": 1200, "signaaldatum": "2026-10-02", "status": "Opgepakt",
        "signaalpartner": {"type": "Huur"},
        "client": {"geboortedatum": "1980-02-29", "postcode": "5611AB", "huisnummer": "1", "huisnummertoevoeging": "C"},
    }  # fmt: skip
    assert signalen[-1]["bedrag"] == 500
    assert (export.report.read, export.report.delivered, dict(export.report.skipped)) == (7, 6, {"ingetrokken": 1})
    assert export.report.answers == {"aanbod-gedaan": 1, "afgesloten": 1}
    assert export.report.balanced


def test_a_correction_and_a_withdrawal_change_a_month_that_is_over(hub: Hub, clock: MovingClock, export: Export) -> None:
    tick(hub, clock, "2026-10-02T09:00")
    first = accepted(hub, LANDLORD, debt())
    ids = [last(hub)]
    tick(hub, clock, "2026-11-02T09:00")
    assert [told["bedrag"] for told in export.told("2026-10")[0]] == [1200]
    corrected = accepted(hub, LANDLORD, NewSignal(type=DEBT, data=debt(bedrag_cent=64_250).data, replaces=first.signal_id))
    answered(hub, last(hub), OFFERED, "2026-11-02")
    tick(hub, clock, "2026-12-01T09:00")
    for month, status, zaken in (("2026-10", "Nog niet opgepakt", 0), ("2026-11", "Opgepakt", 1)):
        signalen, found = export.told(month)
        assert [(told["ID"], told["bedrag"], told["signaaldatum"], told["status"]) for told in signalen] == [
            (ids[0], 643, "2026-10-02", status)
        ]
        assert len(found) == zaken
        assert export.report.skipped == {"gecorrigeerd": 1}
    accepted(hub, LANDLORD, NewSignal(type=WITHDRAWN, data={"redencode": "ONTERECHT"}, cause=corrected.signal_id))
    assert export.told("2026-10") == ([], [])
    assert export.told("2026-11") == ([], [])
    assert export.report.skipped == {"ingetrokken": 1, "gecorrigeerd": 1}


def test_an_answer_that_schuldhulp_took_back_was_not_given(hub: Hub, clock: MovingClock, export: Export) -> None:
    tick(hub, clock, "2026-10-02T09:00")
    accepted(hub, LANDLORD, debt())
    wrong = answered(hub, last(hub), OFFERED, "2026-10-02")
    replaced = NewSignal(type=OFFER, data={"resultaat": CLOSED, "resultaat_op": "2026-10-01"}, replaces=wrong.signal_id)
    right = accepted(hub, EINDHOVEN, replaced)
    tick(hub, clock, "2026-11-02T09:00")
    assert "status" not in export.told("2026-10")[0][0]
    assert export.report.answers == {"afgesloten": 1}
    accepted(hub, EINDHOVEN, NewSignal(type=WITHDRAWN, data={"redencode": "ONTERECHT"}, cause=right.signal_id))
    assert export.told("2026-10")[0][0]["status"] == "Nog niet opgepakt"


def test_what_waited_for_room_is_told_in_the_month_in_which_it_came_without_a_day(hub: Hub, clock: MovingClock, export: Export) -> None:
    tick(hub, clock, "2026-10-30T09:00")
    hub.publish(LANDLORD, [debt(bedrag_cent=number * 100) for number in range(1, 52)])
    tick(hub, clock, "2026-11-01T00:00")
    tick(hub, clock, "2026-12-01T09:00")
    signalen, _ = export.told("2026-10")
    assert [told["bedrag"] for told in signalen] == list(range(1, 51))
    assert all(told["signaaldatum"] == "2026-10-30" for told in signalen)
    (late,) = export.told("2026-11")[0]
    assert late["bedrag"] == 51
    assert "signaaldatum" not in late


def test_the_same_run_gives_the_same_file_and_reads_no_mailbox_empty(hub: Hub, clock: MovingClock, export: Export) -> None:
    october(hub, clock)
    tick(hub, clock, "2026-11-02T09:00")
    first = export.file("2026-10").read_bytes()
    assert export.file("2026-10").read_bytes() == first
    with HubGateway(hub).mailbox(EINDHOVEN, "ddas") as mailbox:
        assert len(mailbox.next()) == 8
    assert first.decode("utf-8").endswith("}\n")


def test_the_file_is_for_its_owner_only_and_whole_or_not_there(
    hub: Hub, clock: MovingClock, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    october(hub, clock)
    tick(hub, clock, "2026-11-02T09:00")
    file = export.file("2026-10")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    before = file.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("consumers.ddas.consumer.os.fsync", full)
    with pytest.raises(StopError, match="No space left"):
        export.file("2026-10")
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file], "no draft is left behind"


def test_a_month_that_is_not_over_is_not_delivered(clock: MovingClock, export: Export) -> None:
    clock.now = terms.moment("2026-10-31T23:59:59")
    with pytest.raises(UsageError, match="not over"):
        export.file("2026-10")
    assert not export.folder.exists()
    clock.now = terms.moment("2026-11-01T00:00")
    assert export.file("2026-10").exists()


def test_a_month_of_which_part_is_erased_is_not_delivered(hub: Hub, clock: MovingClock, export: Export) -> None:
    october(hub, clock)
    tick(hub, clock, "2027-05-01T09:00")
    with pytest.raises(StopError, match="of 6 signals of that month"):
        export.file("2026-10")
    assert not export.folder.exists()


def test_an_answer_to_what_is_erased_stops_no_later_month(hub: Hub, clock: MovingClock, export: Export) -> None:
    tick(hub, clock, "2026-10-02T09:00")
    accepted(hub, LANDLORD, debt())
    delivery = last(hub)
    tick(hub, clock, "2027-03-31T09:00")
    answered(hub, delivery, OFFERED, "2027-03-31")
    tick(hub, clock, "2027-04-05T09:00")
    assert export.told("2027-03") == ([], [])
    assert export.report.skipped == {"niet-meer-bewaard": 1}


def test_the_command_prints_counts_and_nothing_of_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(tmp_path / "home", monkeypatch)
    cli.now = "2026-10-02T09:00:00+02:00"
    assert cli.publish(debt().data, participant=LANDLORD, type_=DEBT).code == 0
    cli.now = "2026-11-02T09:00:00+01:00"
    ran = cli("consumer", "run", "ddas", "--municipality", "0772", "--month", "2026-10", "--json")
    assert (ran.code, ran.json["delivered"], ran.err) == (0, 1, "")
    assert (tmp_path / "home" / "connectors" / "ddas" / "ddas-0772-2026-10.json").exists()
    wrong = cli("consumer", "run", "ddas", "--municipality", "772", "--month", "2026-13")
    assert (wrong.code, "Traceback" in wrong.said) == (2, False)
    nobody = cli("consumer", "run", "ddas", "--municipality", "0000", "--month", "2026-10")
    assert nobody.code == 2
    assert not any(word in ran.said + wrong.said + nobody.said for word in ("Jansen", "5611", "1980"))
