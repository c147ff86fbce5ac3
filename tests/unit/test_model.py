"""The shipped processes, searched by the steps that their rules name; `make proof` takes every real one and prints the table."""

from __future__ import annotations

from typing import Final

import pytest

from tests.proof.model import explore, shipped, survey, table

NAMES: Final = sorted(shipped().machines)
FIGURES: Final = {
    "adresonderzoek": (4, 4, 1, 1),
    "cjib-pauze": (12, 12, 1, 3),
    "uitkering-pauze": (8, 8, 3, 1),
}
"""States, those that are reached, those that are final, and the longest of the shortest paths to an end."""
PEOPLE: Final = {
    "adresonderzoek": set(),
    "cjib-pauze": {"taak-volbracht"},
    "uitkering-pauze": set(),
}
"""Where no term alone leads to an end: someone has to decide."""
OPEN: Final = {
    ("uitkering-pauze", "maatregel-uitvoeren"): {"doorgang"},
    ("cjib-pauze", "inning-voortzetten"): {
        "verzocht", "verlenging-open", "afgewezen", "gijzeling-aangehouden", "gijzeling-verlenging-gevraagd", "geregeld",
        "taak-afgesproken", "taak-volbracht", "beeindigd", "afgesloten",
    },
    ("cjib-pauze", "gijzeling-uitvoeren"): {"verzocht", "verlenging-open", "afgewezen", "geregeld", "beeindigd", "afgesloten"},
    ("cjib-pauze", "verhoging-innen"): {
        "verzocht", "verlenging-open", "afgewezen", "gijzeling-aangehouden", "gijzeling-verlenging-gevraagd", "geregeld", "beeindigd",
        "afgesloten",
    },
    ("cjib-pauze", "verhoging-laten-vervallen"): {
        "verzocht", "verlenging-gevraagd", "gijzeling-verlenging-gevraagd", "verlenging-open", "afgewezen", "gepauzeerd",
        "gijzeling-aangehouden", "geregeld", "beeindigd", "taak-volbracht", "afgesloten",
    },
}  # fmt: skip
"""Where each guard says yes."""
TERMS: Final = {
    "adresonderzoek": {
        "afgerond": ("zaak-gesloten",), "gesloten": (), "ingetrokken": ("zaak-gesloten",),
        "loopt": ("onderzoek-duurt-lang", "zaak-gesloten"),
    },
    "cjib-pauze": {
        "afgesloten": (), "afgewezen": ("zaak-gesloten",), "beeindigd": ("zaak-gesloten",),
        "gepauzeerd": ("einde-nadert", "pauze-verlopen"), "geregeld": ("regeling-afgelopen",),
        "gijzeling-aangehouden": ("einde-nadert", "pauze-verlopen"),
        "gijzeling-verlenging-gevraagd": ("geen-besluit", "einde-nadert", "pauze-verlopen-zonder-antwoord"),
        "taak-afgesproken": ("einde-nadert", "taak-niet-op-tijd"), "taak-volbracht": ("geen-besluit",),
        "verlenging-gevraagd": ("geen-besluit", "einde-nadert", "pauze-verlopen-zonder-antwoord"),
        "verlenging-open": ("geen-besluit", "verzoek-vervallen"), "verzocht": ("geen-besluit", "verzoek-vervallen"),
    },
    "uitkering-pauze": {
        "aangekondigd": ("geen-reactie",), "afgerond": (), "doorgang": ("melding-vervalt",),
        "geescaleerd": ("besluit-bleef-uit",),
        "gepauzeerd": ("geen-besluit",), "ingesteld": ("herziening-nadert", "herziening-verlopen"), "uitgevoerd": (), "vervallen": (),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_state_is_reached_and_left_or_final_and_every_path_can_end(name: str) -> None:
    found = survey(shipped().machines[name])
    assert not found.unreached
    assert not found.stuck
    assert not found.endless
    assert not [state.name for state in found.states if state.name in found.final and state.exits], "a final state is left"
    assert (len(found.states), len(found.states) - len(found.unreached), len(found.final), found.longest) == FIGURES[name]
    assert {state.name for state in found.states if state.waits is None} == PEOPLE[name]


def test_the_table_says_it_in_one_line_a_state() -> None:
    head, titles, *rows = table(survey(shipped().machines["uitkering-pauze"]))
    assert head == "uitkering-pauze: 8 states, 8 reachable, 3 final; longest shortest path to an end 1; states without exit: none"
    assert titles.split() == ["state", "from", "start", "to", "end", "by", "terms", "alone", "terms", "guards", "closed", "guards", "open"]
    assert rows[0].split() == ["aangekondigd", "1", "1", "2", "geen-reactie", "maatregel-uitvoeren", "-"]
    assert len(rows) == 8


@pytest.mark.parametrize("name", NAMES)
def test_each_state_has_the_terms_of_the_rule_text(name: str) -> None:
    assert {state.name: state.terms for state in survey(shipped().machines[name]).states} == TERMS[name]


@pytest.mark.parametrize(("name", "guard"), sorted(OPEN))
def test_a_guard_says_yes_in_these_states_and_no_others(name: str, guard: str) -> None:
    found = survey(shipped().machines[name])
    assert {state.name for state in found.states if guard not in state.closed} == OPEN[name, guard]
    assert set(found.guards) == {other for process, other in OPEN if process == name}


@pytest.mark.parametrize("name", NAMES)
def test_real_steps_lead_to_every_state_and_refuse_no_fact(name: str) -> None:
    machine = shipped().machines[name]
    found = explore(shipped(), machine, most=120)
    assert found.states == set(machine.states)
    assert not found.facts_refused
