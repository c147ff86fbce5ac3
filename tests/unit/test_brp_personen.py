"""The BRP personen API, the pure part: dates, what an answer says, and the steps between two looks.

All persons are invented; their BSNs come from the published test range.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.brp import connector
from connectors.brp.personen import (
    ENDED,
    FIELDS,
    MOST,
    REASONS,
    WITHDRAWN,
    Person,
    Reason,
    Seen,
    Step,
    UnreadableError,
    gba_datum,
    question,
    read,
    step,
)
from connectors.brp.rig import person
from connectors.brp.settings import BrpSettings
from connectors.brp.translate import TYPE, publisher

BSN = "999990019"
NOW = "2026-11-02T09:00:00.000+01:00"
TOLD = Seen("20260914", "2026-09-20T09:00:00.000+02:00", "signaal-1")
ABSENT = object()


def answer(since: str | None = "2026-09-14", place: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """An answer about someone established not to live here, changed; a part is left out with ABSENT."""
    found = person(BSN, since, **more)
    changed = found["verblijfplaats"] | (place or {})
    return found | {"verblijfplaats": {name: value for name, value in changed.items() if value is not ABSENT}}


def look(seen: Seen | None = None, since: str | None = "2026-09-14", place: dict[str, Any] | None = None, **more: Any) -> Step | Reason:
    return step(read(answer(since, place, **more)), seen, "0855", NOW)


def stepped(seen: Seen | None = None, since: str | None = "2026-09-14", place: dict[str, Any] | None = None, **more: Any) -> Step:
    found = look(seen, since, place, **more)
    assert isinstance(found, Step)
    return found


# --- dates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("datum", "gba"),
    [
        ({"type": "Datum", "datum": "2002-07-01", "langFormaat": "1 juli 2002"}, "20020701"),
        ({"type": "JaarMaandDatum", "jaar": 2020, "maand": 3, "langFormaat": "maart 2020"}, "20200300"),
        ({"type": "JaarMaandDatum", "jaar": 2020, "maand": 12}, "20201200"),
        ({"type": "JaarDatum", "jaar": 2020, "langFormaat": "2020"}, "20200000"),
        ({"type": "JaarDatum", "jaar": 985}, "09850000"),
        ({"type": "DatumOnbekend", "onbekend": True, "langFormaat": "onbekend"}, "00000000"),
    ],
)
def test_every_form_of_a_date(datum: Any, gba: str) -> None:
    assert gba_datum(datum) == gba


@pytest.mark.parametrize(
    "datum",
    [
        None, "2002-07-01", 20020701, [], {}, {"type": "Datum"}, {"type": "Datum", "datum": "2002-7-1"}, {"type": "Datum", "datum": 20020701},
        {"type": "Datum", "datum": "2002-07-01T00:00:00"}, {"type": "JaarMaandDatum", "jaar": 2020}, {"type": "JaarMaandDatum", "jaar": 2020, "maand": 13},
        {"type": "JaarMaandDatum", "jaar": 2020, "maand": True}, {"type": "JaarDatum", "jaar": "2020"}, {"type": "JaarDatum", "jaar": 0},
        {"type": "JaarDatum", "jaar": 10_000}, {"type": "WeekDatum", "jaar": 2020}, {"jaar": 2020}, {"type": ["Datum"]},
    ],
)  # fmt: skip
def test_what_is_no_date_is_not_guessed(datum: Any) -> None:
    with pytest.raises(UnreadableError) as raised:
        gba_datum(datum)
    assert str(raised.value) == ""


# --- reading ------------------------------------------------------------------------------


def test_the_question_asks_what_is_needed_and_nothing_that_comes_by_itself() -> None:
    automatic = ("inOnderzoek", "geheimhouding", "opschorting", "indicatieVastgesteld", "rni", "verificatie")
    assert not any(word in name for name in FIELDS for word in automatic)
    assert not any(word in name for name in FIELDS for word in ("naam", "geboorte", "straat", "postcode", "Buitenland"))
    assert question([BSN]) == {"type": "RaadpleegMetBurgerservicenummer", "burgerservicenummer": [BSN], "fields": list(FIELDS)}
    assert MOST == 20


def test_what_is_absent_is_not_so() -> None:
    found = read({"burgerservicenummer": BSN})
    assert found == Person(BSN, "", "", "", "", None, vastgesteld=False, onderzoek=None, geheim=False, opgeschort=False)


def test_the_repr_of_a_person_shows_nothing() -> None:
    assert repr(read(answer())) == "Person()"


@pytest.mark.parametrize(("said", "secret"), [(None, False), (False, False), (0, False), (True, True), (7, True), ("1", True), ({}, True)])
def test_secrecy_in_any_form_counts(said: Any, secret: bool) -> None:  # noqa: FBT001
    assert read(answer(geheimhoudingPersoonsgegevens=said)).geheim is secret


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["Datum", "2026-09-14", "W", "Adres", BSN]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def spoilt(parts: dict[str, Any], place: dict[str, Any], onderzoek: Any) -> dict[str, Any]:
    found = answer()
    return found | parts | {"verblijfplaats": found["verblijfplaats"] | place | {"inOnderzoek": onderzoek}}


ANSWERS = JSON | st.builds(
    spoilt,
    st.dictionaries(st.sampled_from(["gemeenteVanInschrijving", "opschortingBijhouding", "geheimhoudingPersoonsgegevens"]), JSON),
    st.dictionaries(
        st.sampled_from(
            ["type", "functieAdres", "datumVan", "adresseerbaarObjectIdentificatie", "indicatieVastgesteldVerblijftNietOpAdres"]
        ),
        JSON,
    ),
    JSON | st.fixed_dictionaries({"datumIngangOnderzoek": JSON}),
)
MEMORIES = st.none() | st.builds(
    Seen,
    st.sampled_from(["20260914", "20260900", "00000000"]),
    st.just(NOW),
    st.sampled_from([None, "signaal-1"]),
    st.sampled_from([None, "2026-10-01"]),
)


@given(ANSWERS, MEMORIES)
def test_whatever_the_answer_is_there_is_one_step_or_one_reason(said: Any, seen: Seen | None) -> None:
    try:
        found = read(said)
    except UnreadableError:
        return
    outcome = step(found, seen, "0855", NOW)
    if not isinstance(outcome, Step):
        assert outcome in REASONS
        return
    begun = seen is not None and (seen.signal_id is not None or seen.einde is not None)
    assert (outcome.kind == "begin") == (not begun)
    if outcome.kind != "einde":
        assert publisher(outcome.signal) == "burgerzaken.0855"
        assert found.vastgesteld
    again = step(found, outcome.seen if outcome.kind == "einde" else replace(outcome.seen, signal_id="s"), "0855", NOW)
    if outcome.kind == "einde":
        assert isinstance(again, Step)
        assert again.signal == outcome.signal, "asked again before it was told, it is the same"
    elif isinstance(again, Step):
        assert again.kind == "einde", "only someone who moved since has another step at once"


# --- steps --------------------------------------------------------------------------------


def test_a_beginning_is_the_same_signal_as_from_the_lo3_file() -> None:
    begun = stepped()
    assert begun.kind == "begin"
    assert begun.seen == Seen("20260914", NOW)
    assert begun.signal.type == TYPE
    assert begun.signal.data == {
        "gemeentecode": "0855", "bag_id": "0855010000000025", "bsn": BSN, "signaalsoort": "PERSOON_WOONT_HIER_NIET_MEER",
        "niet_woonachtig_sinds": "20260914", "adresonderzoek": "LOOPT", "adresonderzoek_start": "20260914", "geheimhouding": False,
        "betrokkene_geinformeerd": "NVT", "contactrol": "burgerzaken-adresonderzoek",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("datum", "told"),
    [({"type": "DatumOnbekend", "onbekend": True}, "00000000"), ({"type": "JaarDatum", "jaar": 2026}, "20260000"), (ABSENT, "00000000")],
)
def test_unknown_parts_of_the_day_are_passed_on(datum: Any, told: str) -> None:
    found = {"type": True} | ({} if datum is ABSENT else {"datumIngangOnderzoek": datum})
    data = stepped(place={"inOnderzoek": found}).signal.data
    assert data["niet_woonachtig_sinds"] == told
    assert data["adresonderzoek_start"] == (None if datum is ABSENT else told)


def test_a_short_bag_id_is_left_out_and_never_padded() -> None:
    assert stepped(place={"adresseerbaarObjectIdentificatie": "855010000000025"}).signal.data["bag_id"] is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"since": None}, "geen-adresvaststelling"),
        ({"municipality": "0344"}, "andere-gemeente"),
        ({"opschortingBijhouding": {"reden": {"code": "O"}}}, "opgeschort"),
        ({"place": {"functieAdres": {"code": "B"}}}, "briefadres"),
        ({"place": {"functieAdres": ABSENT}}, "briefadres"),
    ],
)
def test_of_whom_nothing_was_told_nothing_begins_and_nothing_ends(changed: dict[str, Any], reason: str) -> None:
    assert look(**changed) == reason
    assert look(Seen("20260914", NOW), **changed) == reason, "a beginning that was never told needs no end"


def test_an_investigation_without_an_establishment_is_nobodys_business() -> None:
    going_on = {"inOnderzoek": {"type": True, "datumIngangOnderzoek": {"type": "Datum", "datum": "2026-09-14"}}}
    assert look(since=None, place=going_on) == "geen-adresvaststelling"


def test_what_stands_is_told_once() -> None:
    assert look(TOLD) == "ongewijzigd"


def test_another_day_is_a_change_of_what_was_told() -> None:
    changed = stepped(TOLD, "2026-09-01")
    assert (changed.kind, changed.signal.type, changed.signal.replaces) == ("wijziging", TYPE, "signaal-1")
    assert changed.signal.data["niet_woonachtig_sinds"] == "20260901"
    assert changed.seen == Seen("20260901", TOLD.begonnen)


GONE: dict[str, Any] = {"since": None}
LATER = {"datumVan": {"type": "Datum", "datum": "2026-10-20"}}


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"since": None, "place": LATER}, "VERHUISD_BINNEN_GEMEENTE"),
        ({"since": None, "place": LATER | {"functieAdres": {"code": "B"}}}, "BRIEFADRES"),
        ({"since": None, "municipality": "0344"}, "VERHUISD_ANDERE_GEMEENTE"),
        ({"since": "2026-10-25", "municipality": "0344"}, "VERHUISD_ANDERE_GEMEENTE"),
        ({"since": None, "place": {"type": "VerblijfplaatsBuitenland"}, "municipality": "1999"}, "VERTROKKEN_BUITENLAND"),
        ({"since": None, "place": {"type": "VerblijfplaatsOnbekend"}, "opschortingBijhouding": {"reden": {"code": "E"}}}, "ADRES_ONBEKEND"),
        ({"since": "2026-10-25", "place": LATER}, "VERHUISD_BINNEN_GEMEENTE"),
    ],
)
def test_an_end_that_the_register_shows_is_told_as_an_outcome(changed: dict[str, Any], outcome: str) -> None:
    ended = stepped(TOLD, **changed)
    assert (ended.kind, ended.signal.type, ended.signal.cause) == ("einde", ENDED, "signaal-1")
    assert ended.signal.data == {"gemeentecode": "0855", "uitkomst": outcome, "afgerond_op": "2026-11-02"}
    assert ended.seen == replace(TOLD, einde="2026-11-02")


@pytest.mark.parametrize(
    "changed",
    [
        GONE,
        {"since": None, "place": {"inOnderzoek": {"type": True, "datumIngangOnderzoek": {"type": "Datum", "datum": "2026-09-14"}}}},
        {"since": None, "place": {"datumVan": {"type": "JaarMaandDatum", "jaar": 2026, "maand": 10}}},
        {"since": None, "place": {"datumVan": ABSENT}},
        {"since": None, "opschortingBijhouding": {"reden": {"code": "O"}}},
        {"opschortingBijhouding": {"reden": {"code": "F"}}},
        {"since": None, "municipality": "1999", "place": {"type": ABSENT}},
        {"place": {"functieAdres": {"code": "B"}}},
    ],
)
def test_an_end_of_which_the_register_does_not_say_how_takes_the_signal_back(changed: dict[str, Any]) -> None:
    ended = stepped(TOLD, **changed)
    assert (ended.kind, ended.signal.type, ended.signal.data, ended.signal.cause) == (
        "einde",
        WITHDRAWN,
        {"redencode": "ANDERS"},
        "signaal-1",
    )


def test_an_end_that_was_begun_keeps_its_day_and_is_finished_first() -> None:
    begun = replace(TOLD, einde="2026-10-30")
    assert stepped(begun, since=None, municipality="0344").signal.data["afgerond_op"] == "2026-10-30"
    assert stepped(begun).kind == "einde", "also when it was established again meanwhile"


def test_the_readme_lists_every_reason_field_and_setting() -> None:
    readme = Path(connector.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert list(REASONS) == list(get_args(Reason))
    for code, sentence in REASONS.items():
        assert f"| `{code}` | {sentence} |" in readme
    for name in (*FIELDS, *(setting.replace("_", "-") for setting in BrpSettings.model_fields)):
        assert f"`{name}`" in readme
