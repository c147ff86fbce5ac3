"""The DDAS export, the pure part: what an arrear becomes, in which month, and what is left out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.ddas import consumer
from consumers.ddas.settings import DdasSettings
from consumers.ddas.translate import (
    ANSWER,
    ARREAR,
    REASONS,
    TYPES,
    WITHDRAWN,
    Melding,
    Period,
    Reason,
    standing,
    vroegsignaal,
    vroegsignaalzaak,
    whole_euros,
)
from hub.client import Exchanged

OCTOBER = Period.of("2026-10")
NOVEMBER = Period.of("2026-11")


def data(**changed: Any) -> dict[str, Any]:
    """What schuldhulp sees of an arrear."""
    return {
        "gemeentecode": "0772", "achternaam": "Van Voorbeeld", "voorletters": None, "geboortedatum": None, "postcode": "5611 ab",
        "huisnummer": 12, "huisletter": None, "huisnummertoevoeging": None, "telefoon": None, "email": None, "partnersoort": "HUUR",
        "bedrag_cent": 128450, "crisissignaal": False, "betrokkene_geinformeerd": "JA", "contactrol": "incasso",
    } | changed  # fmt: skip


def arrear(
    id_: str = "d1", at: str = "2026-10-05T08:00", *, replaces: str | None = None, waited: bool = False, **changed: Any
) -> Exchanged:
    return Exchanged(id=id_, type=ARREAR, own=False, time=utc(at), waited=waited, replaces=replaces, data=data(**changed))


def taken_back(cause: str, *, own: bool = False, at: str = "2026-10-20T08:00") -> Exchanged:
    return Exchanged(id=f"t-{cause}", type=WITHDRAWN, own=own, time=utc(at), cause=cause, data={"redencode": "OPGELOST"})


def answer(said: str, day: str, cause: str = "d1", id_: str | None = None, replaces: str | None = None) -> Exchanged:
    content = {"resultaat": said, "resultaat_op": day}
    return Exchanged(
        id=id_ or f"a-{said}-{day}", type=ANSWER, own=True, time=utc(f"{day}T12:00"), cause=cause, replaces=replaces, data=content
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def one(*history: Exchanged) -> Melding:
    (found,) = standing(history)
    return found


@pytest.mark.parametrize(("cents", "euros"), [(1, 0), (49, 0), (50, 1), (149, 1), (150, 2), (250, 3), (128450, 1285)])
def test_amounts_are_rounded_to_whole_euros(cents: int, euros: int) -> None:
    assert whole_euros(cents) == euros


@pytest.mark.parametrize(
    ("kind", "partner"), [("HUUR", "Huur"), ("ZORG", "Zorg"), ("ENERGIE", "Energie"), ("WATER", "Water"), ("ONBEKEND", None)]
)
def test_the_kind_of_partner_is_told_and_an_unknown_one_left_out(kind: str, partner: str | None) -> None:
    assert vroegsignaal(one(arrear(partnersoort=kind)), OCTOBER).signaalpartner.type == partner


@pytest.mark.parametrize(("letter", "addition", "told"), [(None, None, None), ("C", None, "C"), (None, "bis", "bis"), ("C", "2", "C2")])
def test_the_letter_of_a_house_is_not_lost(letter: str | None, addition: str | None, told: str | None) -> None:
    client = vroegsignaal(one(arrear(huisletter=letter, huisnummertoevoeging=addition)), OCTOBER).client
    assert (client.postcode, client.huisnummer, client.huisnummertoevoeging) == ("5611AB", "12", told)


def test_nothing_of_name_telephone_or_customer_is_told() -> None:
    text = vroegsignaal(one(arrear(telefoon="+31612345678", klantnummer="KL-1")), OCTOBER).model_dump_json(by_alias=True)
    assert not any(secret in text for secret in ("Voorbeeld", "3161234", "KL-1", "incasso"))


def test_urgent_is_told_as_it_was_received_and_left_out_where_it_was_not() -> None:
    assert vroegsignaal(one(arrear(crisissignaal=True)), OCTOBER).crisissignaal is True
    old = arrear()
    del old.data["crisissignaal"]  # type: ignore[union-attr]
    assert vroegsignaal(one(old), OCTOBER).crisissignaal is None


def test_the_day_of_a_signal_that_waited_for_room_is_not_known() -> None:
    assert vroegsignaal(one(arrear()), OCTOBER).signaaldatum == date(2026, 10, 5)
    assert vroegsignaal(one(arrear(waited=True)), OCTOBER).signaaldatum is None


@pytest.mark.parametrize(
    ("at", "month"),
    [("2026-09-30T21:59", "2026-09"), ("2026-09-30T22:00", "2026-10"), ("2026-10-31T22:59", "2026-10"), ("2026-10-31T23:00", "2026-11")],
)
def test_months_are_dutch_ones_also_where_summer_time_ends(at: str, month: str) -> None:
    melding = one(arrear(at=at))
    told = [name for name in ("2026-09", "2026-10", "2026-11") if melding.left_out(Period.of(name)) is None]
    assert told == [month]


@pytest.mark.parametrize(("month", "last"), [("2026-02", 28), ("2028-02", 29), ("2026-12", 31), ("2026-11", 30)])
def test_a_period_ends_on_the_last_day_of_its_month(month: str, last: int) -> None:
    assert Period.of(month).last.day == last


def test_the_latest_version_counts_under_the_first_id() -> None:
    melding = one(
        arrear("d1"), arrear("d2", "2026-11-02T08:00", replaces="d1", bedrag_cent=5000), arrear("d3", replaces="d2", bedrag_cent=7000)
    )
    told = vroegsignaal(melding, OCTOBER)
    assert (told.id, told.bedrag, told.signaaldatum, melding.corrections) == ("d1", 70, date(2026, 10, 5), 2)


@pytest.mark.parametrize("cause", ["d1", "d2"])
def test_what_is_withdrawn_is_in_no_delivery(cause: str) -> None:
    melding = one(arrear("d1"), arrear("d2", replaces="d1"), taken_back(cause), answer("AANBOD_GEDAAN", "2026-11-03"))
    assert {melding.left_out(period) for period in (OCTOBER, NOVEMBER)} == {"ingetrokken"}


def test_a_withdrawal_of_something_else_changes_nothing() -> None:
    assert one(arrear(), taken_back("van-iets-anders")).left_out(OCTOBER) is None


def test_without_an_answer_a_signal_is_at_its_beginning() -> None:
    melding = one(arrear())
    assert vroegsignaal(melding, OCTOBER).status == "Nog niet opgepakt"
    assert vroegsignaalzaak(melding, OCTOBER) is None


def test_an_offer_is_told_in_its_own_month_with_the_signal_of_an_earlier_one() -> None:
    melding = one(
        arrear(), answer("AANBOD_GEDAAN", "2026-11-09"), answer("AANBOD_GEDAAN", "2026-11-03"), answer("AFGESLOTEN", "2026-12-01")
    )
    assert melding.left_out(OCTOBER) is None
    assert vroegsignaal(melding, OCTOBER).status == "Nog niet opgepakt"
    assert vroegsignaalzaak(melding, OCTOBER) is None
    assert melding.left_out(NOVEMBER) is None
    assert vroegsignaal(melding, NOVEMBER).status == "Opgepakt"
    zaak = vroegsignaalzaak(melding, NOVEMBER)
    assert zaak is not None
    assert zaak.model_dump(by_alias=True) == {"datumOpgepakt": date(2026, 11, 3), "vroegsignalen": ({"ID": "d1"},)}
    assert melding.left_out(Period.of("2026-12")) is None
    assert vroegsignaal(melding, Period.of("2026-12")).status == "Opgepakt"
    assert melding.left_out(Period.of("2027-01")) == "buiten-periode"


def test_an_answer_that_is_dated_before_the_signal_came_tells_nothing_of_that_month() -> None:
    melding = one(arrear(at="2026-11-05T08:00"), answer("AANBOD_GEDAAN", "2026-10-31"))
    assert melding.left_out(OCTOBER) == "buiten-periode"
    assert melding.left_out(NOVEMBER) is None


def test_closed_without_an_offer_has_no_status_since_nobody_said_why() -> None:
    melding = one(arrear(), answer("AFGESLOTEN", "2026-10-09"))
    assert vroegsignaal(melding, OCTOBER).status is None
    assert vroegsignaalzaak(melding, OCTOBER) is None


def test_an_answer_to_a_corrected_version_is_an_answer() -> None:
    melding = one(arrear("d1"), arrear("d2", replaces="d1"), answer("AANBOD_GEDAAN", "2026-10-09", cause="d2"))
    assert vroegsignaal(melding, OCTOBER).status == "Opgepakt"


def test_an_answer_that_was_taken_back_was_not_given_and_one_that_was_corrected_says_the_new() -> None:
    offered = answer("AANBOD_GEDAAN", "2026-10-09", id_="a1")
    assert vroegsignaal(one(arrear(), offered, taken_back("a1", own=True)), OCTOBER).status == "Nog niet opgepakt"
    later = answer("AANBOD_GEDAAN", "2026-10-12", cause="niet-meer-genoemd", id_="a2", replaces="a1")
    zaak = vroegsignaalzaak(one(arrear(), offered, later), OCTOBER)
    assert zaak is not None
    assert zaak.datum_opgepakt == date(2026, 10, 12)


def test_an_answer_to_what_is_not_kept_any_more_is_left_alone() -> None:
    assert standing([answer("AANBOD_GEDAAN", "2026-10-09")]) == []


def test_content_that_is_gone_is_not_made_up() -> None:
    gone = Exchanged(id="d1", type=ARREAR, own=False, time=utc("2026-10-05T08:00"), data=None)
    with pytest.raises(ValueError, match="not kept"):
        vroegsignaal(one(gone), OCTOBER)


IDS = st.sampled_from(["d1", "d2", "d3", "a1", "a2"])
ANYTHING = st.builds(
    lambda id_, kind, cause, replaces, waited, day, said: Exchanged(
        id=id_, type=kind, own=kind == ANSWER or (kind == WITHDRAWN and id_ in {"a1", "a2"}), time=datetime(2026, day[0], day[1], 12, tzinfo=UTC),
        waited=waited, cause=cause, replaces=replaces,
        data={ARREAR: data(), ANSWER: {"resultaat": said, "resultaat_op": f"2026-{day[0]:02d}-{day[1]:02d}"}, WITHDRAWN: {}}[kind],
    ),
    IDS, st.sampled_from(TYPES), st.none() | IDS, st.none() | IDS, st.booleans(),
    st.tuples(st.integers(9, 12), st.integers(1, 30)), st.sampled_from(["AANBOD_GEDAAN", "AFGESLOTEN"]),
)  # fmt: skip


@given(st.lists(ANYTHING, max_size=12))
def test_every_delivery_of_an_arrear_is_in_the_file_or_in_one_count(history: list[Exchanged]) -> None:
    """Whatever was exchanged in whatever order, nothing is lost and nothing told twice."""
    meldingen = standing(history)
    assert len({melding.id for melding in meldingen}) == len(meldingen)
    received = {item.id for item in history if item.type == ARREAR and not item.own}
    assert {melding.id for melding in meldingen} <= received
    for period in (OCTOBER, NOVEMBER):
        for melding in meldingen:
            if melding.left_out(period) is None:
                told = vroegsignaal(melding, period)
                zaak = vroegsignaalzaak(melding, period)
                assert (zaak is not None) == (told.status == "Opgepakt")
                assert zaak is None or zaak.datum_opgepakt <= period.last


def test_the_readme_lists_every_reason_and_setting() -> None:
    readme = Path(consumer.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert set(REASONS) == set(get_args(Reason))
    for code, sentence in REASONS.items():
        assert f"| `{code}` | {sentence} |" in readme
    for name, field in DdasSettings.model_fields.items():
        assert f"`{name.replace('_', '-')}`" in readme
        assert field.description
