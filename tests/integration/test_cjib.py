"""From a helper's request to the CJIB and back: decisions, terms, guards, withdrawals, and what must never go along."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.cjib import CONNECTOR
from connectors.cjib.connector import KEPT, SENT
from connectors.cjib.settings import CjibSettings
from connectors.cjib.translate import CAPACITY, CONFIRMED, DECIDED, PLANNED, REMINDED, REQUESTED, TASK_DONE, WITHDRAWN
from connectors.kit.http import HttpClient
from connectors.kit.listening import counted, listening
from connectors.kit.rig import Fault
from connectors.kit.state import State
from hub.app import Hub, MovingClock
from hub.client import Item, NewSignal, Receipt, RunReport
from hub.errors import RefusedError, RetryLaterError, StopError
from hub.gateway import HubGateway, HubMailbox
from tests.counterparts.cjib import Cjib
from tests.integration.support import Cli, accepted, received, tick

TOKEN = "verzonnen-geheim"  # noqa: S105
TEAM, POLICE = "buurtteam.0344", "politie"
FINE = "412345678"
ASK: dict[str, Any] = {
    "gemeentecode": "0344", "persoonskenmerk": "6f1d2c3b-8a47-4e1f-9c20-5b7e0d9a4c11", "cjib_zaaknummers": [FINE], "zaaksoort": "WAHV",
    "verzoeksoort": "INNING_AANHOUDEN", "onderdeel": None, "gevraagd_tot": "2027-03-02", "verlenging": False, "gemeentebesluit_op": None,
    "bewijs_ref": None, "machtiging_ref": "MACHT-2026-88", "betaalcapaciteit_cent_per_maand": 5_000, "betrokkene_geinformeerd": "JA",
    "contactrol": "loket-12",
}  # fmt: skip
SEEN = {name: value for name, value in ASK.items() if name not in {"persoonskenmerk", "zaaksoort", "betrokkene_geinformeerd"}}
LONGER = {"verlenging": True, "gevraagd_tot": "2027-11-02", "gemeentebesluit_op": "2027-02-01", "bewijs_ref": "BEWIJS-2027-9"}
TASK = {"verzoeksoort": "MAATSCHAPPELIJKE_TAAK", "onderdeel": "VERHOGING", "gevraagd_tot": "2027-01-31"}


class Hurried(HubGateway):
    """Waits for nothing."""

    def pause(self, seconds: float) -> None:
        assert seconds >= 0


class Desk:
    """A neighbourhood team in Utrecht, the hub and the CJIB."""

    def __init__(self, hub: Hub, clock: MovingClock, other: Cjib, folder: Path) -> None:
        self.hub = hub
        self.clock = clock
        self.other = other
        self.folder = folder

    def run(self, at: str | None = None, **changed: Any) -> RunReport:
        if at is not None:
            tick(self.hub, self.clock, at)
        given = {"url": self.other.url, "token": SecretStr(TOKEN), "state_dir": self.folder / "state"}
        report = CONNECTOR.run(CjibSettings.model_validate(given | changed), Hurried(self.hub), track)
        assert report.balanced
        return report

    def ask(self, cause: str | None = None, **changed: Any) -> Receipt:
        return accepted(self.hub, TEAM, NewSignal(type=REQUESTED, data=ASK | changed, cause=cause))

    def handed_over(self, **changed: Any) -> dict[str, Any]:
        """Ask, hand it over, and return what the CJIB has of it."""
        self.ask(**changed)
        self.run()
        return self.other.taken[-1]

    def paused(self) -> dict[str, Any]:
        """Let the CJIB decide on 2 November to hold the collection for four months."""
        request = self.handed_over()
        number = self.other.decides(request["kenmerk"])
        self.run()
        assert self.other.told(number) == ("AANGENOMEN", [])
        return request

    def may(self, request: dict[str, Any], step: str) -> tuple[str, list[str]]:
        """Let the CJIB ask whether it may take a step."""
        number = self.other.asks_whether(request["keten"], step)
        self.run()
        return self.other.told(number)

    def heard(self, type_: str, who: str = TEAM) -> list[dict[str, Any]]:
        return [item["data"] for item in received(self.hub, who, type_)]

    def reminded(self) -> list[tuple[str, str]]:
        return [(data["code"], data["uiterlijk"]) for data in self.heard(REMINDED)]


def track(items: Iterable[Item], *, total: int | None, label: str) -> Iterable[Item]:
    assert total is not None
    assert label
    return items


@pytest.fixture
def desk(hub: Hub, clock: MovingClock, tmp_path: Path) -> Iterator[Desk]:
    with Cjib(TOKEN) as other:
        yield Desk(hub, clock, other, tmp_path / "cjib")


# --- request and decision -----------------------------------------------------------------


def test_a_request_reaches_the_cjib_without_who_it_is_or_what_is_the_matter(desk: Desk) -> None:
    desk.ask()
    assert desk.run().delivered == 1
    (taken,) = desk.other.taken
    (delivery,) = received(desk.hub, "cjib")
    assert taken == {
        "kenmerk": delivery["delivery_id"], "soort": "PAUZEVERZOEK", "keten": delivery["correlation"], "betreft": None,
        "vervangt": False, "gegevens": SEEN,
    }  # fmt: skip
    assert desk.run().read == 0


def test_the_decision_reaches_who_asked_and_the_police_hear_of_a_detention_only(desk: Desk) -> None:
    request = desk.handed_over()
    number = desk.other.decides(request["kenmerk"])
    assert desk.run().accepted == 1
    assert desk.heard(DECIDED) == [
        {
            "besluit": "TOEGEWEZEN", "onderdelen": [{"onderdeel": "INITIELE_BOETE", "actie": "AANHOUDEN"}], "na_taak": False,
            "gijzeling_aangehouden": False, "bedrag_cent_per_maand": None, "tot": "2027-03-02", "redencode": "GEEN",
        }
    ]  # fmt: skip
    assert desk.heard(DECIDED, POLICE) == []
    assert desk.other.told(number) == ("AANGENOMEN", [])
    desk.other.decides(request["kenmerk"], delen=[], gijzeling_opgeschort=True, zaken=[FINE])
    desk.run()
    assert desk.heard(DECIDED, POLICE) == [{"cjib_zaaknummers": [FINE], "tot": "2027-03-02"}]


def test_a_decision_that_the_rules_refuse_comes_back_to_the_cjib_with_every_reason(desk: Desk) -> None:
    request = desk.handed_over()
    number = desk.other.decides(request["kenmerk"], tot="2027-03-03", maandbedrag_cent=0)
    assert desk.run().refused.total() == 1
    result, reasons = desk.other.told(number)
    assert (result, sorted(reasons)) == ("GEWEIGERD", ["bedrag-klopt-niet", "pauze-te-lang", "regeling-zonder-bedrag"])
    assert desk.heard(DECIDED) == []
    assert desk.may(request, "INNING") == ("MAG", [])


@pytest.mark.parametrize(
    "reading", [{"uitkomst": "SEPOT"}, {"delen": [{"deel": "RENTE", "maatregel": "UITSTEL"}]}, {"reden": "VRIJE TEKST"}]
)
def test_a_code_that_nobody_described_is_counted_and_guessed_by_nobody(desk: Desk, reading: dict[str, Any]) -> None:
    number = desk.other.decides(desk.handed_over()["kenmerk"], **reading)
    assert desk.run().skipped == {"code-onbekend": 1}
    assert desk.other.told(number) == ("OVERGESLAGEN", ["code-onbekend"])
    assert desk.heard(DECIDED) == []


def test_a_task_and_what_someone_can_pay_reach_the_cjib(desk: Desk) -> None:
    request = desk.handed_over(**TASK)
    desk.other.decides(request["kenmerk"], delen=[{"deel": "VERHOGING", "maatregel": "VERVALT"}], na_taak=True, tot="2027-01-31")
    desk.run()
    assert desk.may(request, "VERHOGING_LATEN_VERVALLEN") == ("MAG_NIET", ["taak-niet-volbracht"])
    assert desk.may(request, "GIJZELING") == ("MAG_NIET", ["taak-loopt"])
    (decided,) = received(desk.hub, TEAM, DECIDED)
    capacity = {"betaalcapaciteit_cent_per_maand": 2_500, "vastgesteld_op": "2026-11-02"}
    accepted(desk.hub, TEAM, NewSignal(type=CAPACITY, data=capacity, cause=decided["delivery_id"]))
    task = {"volbracht_op": "2026-11-02", "uren": 8}
    accepted(desk.hub, TEAM, NewSignal(type=TASK_DONE, data=task, cause=decided["delivery_id"]))
    desk.run()
    said = [(body["soort"], body["keten"] == request["keten"], body["gegevens"]) for body in desk.other.taken[1:]]
    assert said == [("BETAALCAPACITEIT", True, capacity), ("TAAK_VOLBRACHT", True, task)]
    assert desk.may(request, "VERHOGING_LATEN_VERVALLEN") == ("MAG", [])


# --- announced measures and the guard -----------------------------------------------------


def test_an_announced_step_reaches_the_helper_of_this_request_and_nobody_else(desk: Desk) -> None:
    request = desk.handed_over()
    desk.other.plans(request["kenmerk"])
    alone = desk.other.plans(None)
    assert desk.run().accepted == 2
    assert desk.heard(PLANNED) == [
        {"cjib_zaaknummer": FINE, "maatregelsoort": "DWANG", "gepland_op": "2026-11-23", "betrokkene_geinformeerd": "JA", "contactrol": "inning-noord"}
    ]  # fmt: skip
    assert desk.other.told(alone) == ("AANGENOMEN", [])
    assert desk.heard(PLANNED, POLICE) == []


def test_before_a_step_the_guard_is_asked_and_a_pause_closes_it(desk: Desk) -> None:
    request = desk.handed_over()
    steps = ("INNING", "INNAME_RIJBEWIJS", "VERHAAL", "BUITENGEBRUIKSTELLING", "AANMANING_1", "AANMANING_2", "GIJZELING")
    assert all(desk.may(request, step) == ("MAG", []) for step in steps)
    desk.other.decides(request["kenmerk"])
    desk.run()
    assert all(desk.may(request, step) == ("MAG_NIET", ["pauze-loopt"]) for step in steps)
    tick(desk.hub, desk.clock, "2027-03-03T00:00")
    assert all(desk.may(request, step) == ("MAG", []) for step in steps)


def test_a_question_about_a_keten_that_is_not_there_is_answered_with_no(desk: Desk) -> None:
    assert desk.may({"keten": "bestaat-niet"}, "GIJZELING") == ("MAG_NIET", ["keten-onbekend"])


def test_a_step_announced_during_a_pause_is_put_on_the_worklist(desk: Desk) -> None:
    request = desk.paused()
    desk.other.plans(request["kenmerk"])
    desk.run()
    assert desk.other.worklist == [("maatregel-tijdens-pauze", None)]


# --- terms: the clock is the hub's --------------------------------------------------------


def test_fourteen_days_ahead_the_helper_is_reminded_and_after_four_months_the_cjib_too(desk: Desk) -> None:
    request = desk.paused()
    desk.run("2027-02-15T23:59")
    assert (desk.reminded(), desk.other.worklist) == ([], [])
    desk.run("2027-02-16T00:00")
    assert (desk.reminded(), desk.other.worklist) == ([("einde-nadert", "2027-03-02")], [])
    desk.run("2027-03-02T23:59")
    assert desk.may(request, "GIJZELING") == ("MAG_NIET", ["pauze-loopt"])
    desk.run("2027-03-03T00:00")
    assert desk.other.worklist == [("pauze-verlopen", "2027-03-02")]
    assert desk.reminded()[1:] == [("pauze-verlopen", "2027-03-02")]
    reminder = desk.other.taken[-1]
    assert (reminder["soort"], reminder["keten"]) == ("HERINNERING", request["keten"])
    assert desk.run().read == 0


def test_eight_months_more_are_asked_with_proof_and_guarded_in_the_same_way(desk: Desk) -> None:
    request = desk.paused()
    tick(desk.hub, desk.clock, "2027-02-22T10:00")
    (decided,) = received(desk.hub, TEAM, DECIDED)
    desk.ask(decided["delivery_id"], **LONGER)
    desk.run()
    longer = desk.other.taken[-1]
    assert (longer["soort"], longer["keten"]) == ("PAUZEVERZOEK", request["keten"])
    assert longer["gegevens"] == SEEN | LONGER
    too_long = desk.other.decides(longer["kenmerk"], tot="2027-11-03")
    granted = desk.other.decides(longer["kenmerk"], tot="2027-11-02")
    desk.run()
    assert (desk.other.told(too_long), desk.other.told(granted)) == (("GEWEIGERD", ["pauze-te-lang"]), ("AANGENOMEN", []))
    desk.run("2027-10-19T00:00")
    assert desk.reminded()[-1] == ("einde-nadert", "2027-11-02")
    assert desk.may(request, "INNING") == ("MAG_NIET", ["pauze-loopt"])
    desk.run("2027-11-03T00:00")
    assert desk.other.worklist == [("pauze-verlopen", "2027-11-02")]
    assert desk.may(request, "INNING") == ("MAG", [])


def test_a_request_on_which_nobody_decides_comes_back_on_the_worklist(desk: Desk) -> None:
    desk.handed_over()
    desk.run("2026-11-10T00:00")
    assert desk.other.worklist == [("geen-besluit", "2026-11-09")]


# --- taking back --------------------------------------------------------------------------


def test_a_withdrawn_request_reaches_the_cjib_and_is_confirmed_once_it_acted(desk: Desk) -> None:
    desk.other.status["INTREKKING"] = "VERWERKT"
    sent = desk.ask()
    desk.run()
    accepted(desk.hub, TEAM, NewSignal(type=WITHDRAWN, data={"redencode": "ANDERS"}, cause=sent.signal_id))
    assert desk.run().answers == {"accepted": 1}
    first, second = desk.other.taken
    assert (second["soort"], second["betreft"], second["gegevens"]) == ("INTREKKING", first["kenmerk"], {"redencode": "ANDERS"})
    assert desk.heard(CONFIRMED) == [{"resultaat": "VERWERKT"}]


def test_a_confirmation_may_come_later(desk: Desk) -> None:
    sent = desk.ask()
    desk.run()
    accepted(desk.hub, TEAM, NewSignal(type=WITHDRAWN, data={"redencode": "ANDERS"}, cause=sent.signal_id))
    desk.run()
    assert desk.heard(CONFIRMED) == []
    desk.other.say("BEVESTIGING", bericht=desk.other.taken[-1]["kenmerk"], uitkomst="NIET_GEVONDEN")
    assert desk.run().accepted == 1
    assert desk.heard(CONFIRMED) == [{"resultaat": "NIET_GEVONDEN"}]


def test_the_cjib_takes_a_decision_back_and_decides_again(desk: Desk) -> None:
    request = desk.paused()
    desk.other.say("INTREKKING", betreft=1, reden="PAUZE_GESTOPT")
    assert desk.run("2026-12-01T09:00").accepted == 1
    assert desk.heard(WITHDRAWN) == [{"redencode": "ANDERS"}]
    assert desk.may(request, "INNING") == ("MAG", [])
    desk.other.decides(request["kenmerk"])
    desk.run()
    assert desk.may(request, "INNING") == ("MAG_NIET", ["pauze-loopt"])


def test_what_never_became_a_signal_cannot_be_taken_back(desk: Desk) -> None:
    refused = desk.other.decides(desk.handed_over()["kenmerk"], tot="2027-03-03")
    desk.other.say("INTREKKING", betreft=refused, reden="ONTERECHT")
    report = desk.run()
    assert (report.refused, report.skipped["bericht-niet-bekend"]) == ({"pauze-te-lang": 1}, 1)


def test_what_can_be_taken_back_is_remembered_for_eighteen_months(desk: Desk) -> None:
    desk.paused()
    for more, left in ((int(KEPT.total_seconds() * 1000), 1), (1, 0)):
        desk.clock.now += more
        desk.run()
        with State(desk.folder / "state") as state:
            assert len(state.entries(SENT)) == left


# --- what never goes along ----------------------------------------------------------------


def test_no_other_field_of_either_side_passes(desk: Desk) -> None:
    """Offence, date, other cases, care: in what the CJIB says (see the rig), and words of this test; nobody gets to see them."""
    secrets = ("te hard gereden", "2026-01-17", "412345699", "woont begeleid", "N. Verzonnen", "merkteken-7041")
    with listening() as said:
        request = desk.handed_over()
        desk.other.decides(
            request["kenmerk"], zorg="merkteken-7041", delen=[{"deel": "BOETE", "maatregel": "UITSTEL", "feit": "merkteken-7041"}]
        )
        desk.other.plans(request["kenmerk"], delict={"omschrijving": "merkteken-7041"})
        desk.other.say("VRAAG", keten=request["keten"], stap="GIJZELING", aanleiding="merkteken-7041")
        desk.other.say("INTREKKING", betreft=1, reden="ONTERECHT", toelichting="merkteken-7041")
        said.write(counted(desk.run()))
    seen = [json.dumps([item for who in (TEAM, POLICE, "cjib") for item in received(desk.hub, who)]), said.getvalue()]
    seen += [json.dumps(desk.other.held), *(path.read_bytes().decode("latin-1") for path in (desk.folder / "state").iterdir())]
    assert not any(secret in text for secret in secrets for text in seen)
    assert not any(value in text for value in (ASK["persoonskenmerk"], "WAHV") for text in seen)
    assert len(desk.heard(DECIDED)) == len(desk.heard(PLANNED)) == len(desk.heard(WITHDRAWN)) == 1


def test_nothing_that_is_remembered_points_at_a_person(desk: Desk) -> None:
    desk.paused()
    kept = b"".join(file.read_bytes() for file in (desk.folder / "state").iterdir())
    assert not any(value.encode() in kept for value in (FINE, "MACHT-2026-88", "loket-12", "0344"))


# --- what goes wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "variant", "error"),
    [
        (Fault.CLIENT_ERROR, 0, RefusedError),
        (Fault.CLIENT_ERROR, 1, StopError),
        (Fault.SERVER_ERROR, 0, RetryLaterError),
        (Fault.RATE_LIMIT, 0, RetryLaterError),
        (Fault.TRUNCATED, 0, RetryLaterError),
        (Fault.ENCODING, 0, StopError),
        (Fault.TIMEOUT, 0, RetryLaterError),
    ],
)
def test_a_cjib_that_fails_ends_the_run_and_the_next_one_makes_it_good(
    desk: Desk, fault: Fault, variant: int, error: type[Exception]
) -> None:
    request = desk.handed_over()
    number = desk.other.decides(request["kenmerk"])
    desk.ask()
    desk.other.spoil(fault, variant)
    with pytest.raises(error) as raised:
        desk.run(timeout_seconds=0.1)
    assert FINE not in f"{raised.value} {raised.value.hint}"  # type: ignore[attr-defined]
    desk.other.mend()
    report = desk.run()
    assert (report.accepted, report.delivered) == (1, 1)
    assert desk.other.told(number) == ("AANGENOMEN", [])
    assert (len(desk.other.taken), len(desk.heard(DECIDED))) == (2, 1)


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.TRUNCATED, Fault.TIMEOUT])
def test_a_failure_while_handing_over_repeats_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """The CJIB gave its messages and fails at the first delivery."""
    desk.ask()
    post = HttpClient.post

    def spoilt(*given: Any, **named: Any) -> Any:
        desk.other.spoil(fault)
        return post(*given, **named)

    with monkeypatch.context() as patch, pytest.raises(RetryLaterError):
        patch.setattr(HttpClient, "post", spoilt)
        desk.run(timeout_seconds=0.1)
    desk.other.mend()
    assert desk.run().delivered == 1
    assert len(desk.other.taken) == 1


def test_what_the_cjib_will_never_take_is_counted_and_does_not_hold_up_the_rest(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.ask()
    post = HttpClient.post

    def spoilt(*given: Any, **named: Any) -> Any:
        desk.other.spoil(Fault.CLIENT_ERROR, 0)
        return post(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(HttpClient, "post", spoilt)
        assert desk.run().refused == {"http-422": 1}
    desk.other.mend()
    desk.ask()
    assert desk.run().delivered == 1


@pytest.mark.parametrize("says", [[{"soort": "BESLUIT"}], [{"nummer": "1"}], [{"nummer": 2}, {"nummer": 1}], ["tekst"], [{"nummer": True}]])
def test_messages_without_rising_numbers_stop_the_run(desk: Desk, says: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.other, "_answer", lambda _: {"berichten": says})
    with pytest.raises(StopError, match="none to this question"):
        desk.run()


def test_another_address_takes_nothing_and_loses_nothing(desk: Desk) -> None:
    desk.ask()
    with pytest.raises(RefusedError, match="404"):
        desk.run(url=f"{desk.other.url}/elders")
    assert desk.run().delivered == 1


class KilledError(BaseException):
    """Stands for the end of the process."""


def test_a_kill_at_any_step_loses_nothing_and_repeats_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round the CJIB decides and asks, a helper asks, and the run dies one step later, until one gets to its end."""
    numbers: list[int] = []
    rounds = 0
    for rounds in range(1, 100):
        request = desk.handed_over()
        numbers += [desk.other.decides(request["kenmerk"]), desk.other.asks_whether(request["keten"], "INNING")]
        desk.ask()
        step = partial(next, iter(range(rounds)), None)
        with monkeypatch.context() as patch:
            for owner, name in ((HttpClient, "post"), (State, "put"), (Hurried, "publish"), (Hurried, "may"), (HubMailbox, "done")):
                patch.setattr(owner, name, dying(getattr(owner, name), step))
            try:
                desk.run()
            except KilledError:
                pass
            else:
                break
        desk.run()
    assert rounds > 10
    assert len(desk.other.taken) == 2 * rounds
    assert len({body["kenmerk"] for body in desk.other.taken}) == 2 * rounds
    assert len(desk.heard(DECIDED)) == rounds
    assert [desk.other.told(number) for number in numbers] == [("AANGENOMEN", []), ("MAG_NIET", ["pauze-loopt"])] * rounds


def dying(work: Callable[..., Any], step: Callable[[], int | None]) -> Callable[..., Any]:
    """Return the work with a step before it and one after it; at the step that is none the process ends."""

    def done(*given: Any, **named: Any) -> Any:
        look(step)
        found = work(*given, **named)
        look(step)
        return found

    return done


def look(step: Callable[[], int | None]) -> None:
    if step() is None:
        raise KilledError


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(tmp_path / "home", monkeypatch)
    with Cjib(TOKEN) as other:
        sent = cli.publish(ASK, participant=TEAM, type_=REQUESTED)
        monkeypatch.setenv("HUB_CJIB_TOKEN", TOKEN)
        first = cli("connector", "run", "cjib", "--url", other.url, "--json")
        number = other.decides(other.taken[0]["kenmerk"])
        second = cli("connector", "run", "cjib", "--url", other.url, "--json")
        assert other.told(number) == ("AANGENOMEN", [])
    assert (sent.code, first.code, first.json["delivered"], second.code, second.json["accepted"]) == (0, 0, 1, 0, 1)
    assert not any(secret in ran.said for secret in (FINE, TOKEN) for ran in (first, second))
