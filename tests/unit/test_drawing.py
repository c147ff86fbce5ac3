"""A process is drawn whole: as data, as text and as SVG, the same every time, and whatever the rules say stays text."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest

import hub
from hub.domain.loading import load
from hub.domain.ruleset import RuleSet
from hub.drawing import BEGAN, as_text, describe
from hub.prose import duration, timing, wrapped
from hub.stepchart import as_svg
from tests.unit.test_contract import changed, enum, field, schema_of

SVG: Final = "{http://www.w3.org/2000/svg}"
REPORT: Final = "nl.test.melding-gedaan.v1"
PAUSE: Final = "nl.test.pauze-gevraagd.v1"
TAKEN: Final = "nl.ander.maatregel-genomen.v1"
LATER: Final = "nl.test.maatregel-gepland.v1"
FLOW: Final = f"""flow: pauze
purpose: Even wachten
activity: https://example.org/pauze
grants:
  - {{id: pauze.melding, signal: {REPORT}, to: loket, legal_basis: [wet-1], fields: [gemeentecode, aantal], retention: P6M, explain: U krijgt dit omdat u helpt.}}
  - {{id: pauze.vraag, signal: {PAUSE}, to: doel, follows: {REPORT}, legal_basis: [wet-2], fields: [aantal], retention: P6M, explain: U krijgt dit omdat u wacht.}}
  - {{id: pauze.wie, signal: {REPORT}, to: doel, release_on: {LATER}, legal_basis: [wet-1], fields: [gemeentecode], retention: P6M, explain: U krijgt dit later.}}
processes:
  - id: wachten
    case: e.correlationid
    scope: subject
    start: {{on: {REPORT}, to: gemeld, when: s.aantal > 0, unmet: {{code: niets-gemeld, text: Er is niets gemeld.}}, set: {{tot: "plus(today, 'P14D')", keer: 0}}}}
    final: [klaar, vervallen]
    sets: {{open: [gemeld, gepauzeerd]}}
    transitions:
      - {{from: open, on: {TAKEN}, to: klaar, fact: true}}
      - from: open
        on: {PAUSE}
        when: s.soort == 'LANG' && c.keer < 2
        to: gepauzeerd
        set: {{keer: c.keer + 1}}
        unmet: {{code: te-vaak, text: Het mag twee keer.}}
        notify: [loket, $starter]
        code: pauze-begonnen
        text: De pauze is begonnen.
      - {{from: [gepauzeerd], on: {LATER}}}
      - {{from: [gepauzeerd], withdrawn: {PAUSE}, to: gemeld}}
      - {{from: open, withdrawn: {REPORT}, to: vervallen}}
    terms:
      - {{in: open, after: P6M, to: vervallen, notify: [], code: lang-stil, text: Er gebeurde een half jaar niets.}}
      - {{in: [gepauzeerd], before: [c.tot, werkdagen(2)], notify: [doel], code: einde-nadert, text: De pauze is bijna voorbij.}}
      - {{in: [gepauzeerd], at: c.tot, to: gemeld, notify: [doel, loket], code: einde-pauze, text: De pauze is voorbij.}}
    guards:
      - {{name: maatregel-nemen, closed_in: [gepauzeerd], code: pauze-loopt, text: Er loopt een pauze.}}
    alarms:
      - {{on: {TAKEN}, in: [gepauzeerd], notify: [loket, doel], code: toch-genomen, text: Het is toch gebeurd.}}
"""
PLAIN: Final = f"""flow: los
purpose: Iets anders
activity: https://example.org/los
grants:
  - {{id: los.gepland, signal: {LATER}, to: loket, legal_basis: [wet-2], fields: [aantal], retention: P1Y, explain: U krijgt dit zo.}}
"""
OWN: Final = {f"own/{path.name}": path.read_text(encoding="utf-8") for path in (Path(hub.__file__).parent / "own").glob("*.[ya][av]*")}


def schema(name: str, **signal: Any) -> str:
    town = field("gemeentecode", "string", format="gemeentecode", privacy="organisation")
    about = {"publishers": ["bron", "doel"], "municipality": "gemeentecode"}
    return json.dumps(schema_of(town, field("aantal", "int"), field("soort", enum("Soort", "LANG", "KORT")), type=name, **about, **signal))


FILES: Final = OWN | {
    "rules/participants.yaml": """participants:
  - {id: bron, name: Bron, oin: "00000099000000010000"}
  - {id: doel, name: Doel, oin: "00000099000000020000"}
  - {id: loket, name: Loket, oin: "0000009900000003{gemeentecode}", per_municipality: all}
""",
    "rules/grounds.yaml": """grounds:
  - {id: wet-1, text: Wet 1, status: vastgesteld, source: gelezen}
  - {id: wet-2, text: Wet 2, status: te-toetsen, source: nog te lezen}
""",
    "rules/pauze.yaml": FLOW,
    "rules/los.yaml": PLAIN,
    **{f"schemas/{name}.avsc": schema(name) for name in (REPORT, PAUSE, TAKEN, LATER)},
}


def rules(flow: str = FLOW) -> RuleSet:
    """Load the sample, with another text for the flow that has a process."""
    return load({**FILES, "rules/pauze.yaml": flow}).unwrap()


def drawn(flow: str = FLOW) -> dict[str, Any]:
    return describe(rules(flow).machines["wachten"])


@pytest.fixture(scope="module")
def process() -> dict[str, Any]:
    return drawn()


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  (our own drawing)


def texts(svg: str) -> list[str]:
    """Return what stands in the drawing, a line a text, without its title and description."""
    return [" ".join("".join(node.itertext()).split()) for node in parsed(svg).iter(f"{SVG}text")]


# --- data ---


def test_the_first_state_comes_first_and_the_final_ones_last(process: dict[str, Any]) -> None:
    assert [(state["name"], state["start"], state["final"]) for state in process["states"]] == [
        ("gemeld", True, False), ("gepauzeerd", False, False), ("klaar", False, True), ("vervallen", False, True),
    ]  # fmt: skip


def test_every_step_says_from_where_to_where_and_why(process: dict[str, Any]) -> None:
    start, gone, taken, asked, back, later = process["steps"]
    assert (start["kind"], start["from"], start["to"], start["when"], start["unmet"]["code"]) == (
        "start", [], "gemeld", "s.aantal > 0", "niets-gemeld",
    )  # fmt: skip
    assert (gone["kind"], gone["what"], gone["from"], gone["to"]) == (
        "withdrawn", "ingetrokken: melding-gedaan", ["gemeld", "gepauzeerd"], "vervallen",
    )  # fmt: skip
    assert (asked["when"], asked["set"]) == ("s.soort == 'LANG' && c.keer < 2", {"keer": "c.keer + 1"})
    assert (asked["code"], asked["text"], asked["tells"]) == ("pauze-begonnen", "De pauze is begonnen.", ["loket", "$starter"])
    assert (back["type"], back["to"]) == (PAUSE, "gemeld")
    assert (later["to"], later["fact"]) == (None, False)
    assert (taken["fact"], taken["unmet"]) == (True, None)


def test_a_term_that_tells_nobody_keeps_its_sentence(process: dict[str, Any]) -> None:
    silent, before, at = process["terms"]
    assert (silent["code"], silent["text"], silent["tells"], silent["written"]) == (
        "lang-stil", "Er gebeurde een half jaar niets.", [], "na P6M",
    )  # fmt: skip
    assert (before["written"], before["to"]) == ("werkdagen(2) voor c.tot", None)
    assert (at["from"], at["to"], at["tells"]) == (["gepauzeerd"], "gemeld", ["doel", "loket"])


def test_guards_and_alarms_are_told(process: dict[str, Any]) -> None:
    assert process["scope"] == "subject"
    assert process["guards"] == [
        {"name": "maatregel-nemen", "closed_in": ["gepauzeerd"], "code": "pauze-loopt", "text": "Er loopt een pauze."}
    ]
    assert process["alarms"] == [
        {
            "type": TAKEN, "what": "maatregel-genomen", "in": ["gepauzeerd"], "code": "toch-genomen", "text": "Het is toch gebeurd.",
            "tells": ["loket", "doel"],
        }
    ]  # fmt: skip


def test_the_data_survive_json(process: dict[str, Any]) -> None:
    assert json.loads(json.dumps(process)) == process


def test_types_that_would_look_the_same_keep_their_whole_name() -> None:
    same = "nl.ander.pauze-gevraagd.v1"
    files = {**FILES, "rules/pauze.yaml": FLOW.replace(TAKEN, same), f"schemas/{same}.avsc": schema(same)}
    steps = describe(load(files).unwrap().machines["wachten"])["steps"]
    assert {step["what"] for step in steps} >= {PAUSE, same, "melding-gedaan", f"ingetrokken: {PAUSE}"}


# --- text ---


@pytest.mark.parametrize("width", [60, 100])
def test_the_text_fits_and_has_no_codes_of_a_terminal(process: dict[str, Any], width: int) -> None:
    text = as_text([process], width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    assert not any(line != line.rstrip() for line in text.splitlines())
    for code in ("niets-gemeld", "te-vaak", "pauze-begonnen", "lang-stil", "einde-nadert", "einde-pauze", "pauze-loopt", "toch-genomen"):
        assert text.count(code) == 1, code


def test_the_text_reads_as_dutch(process: dict[str, Any]) -> None:
    text = " ".join(as_text([process]).split())
    for words in (
        "1 gemeld begin 2 gepauzeerd 3 klaar einde 4 vervallen einde",
        "open gemeld, gepauzeerd",
        "(nog geen zaak) melding-gedaan gemeld als s.aantal > 0 anders niets-gemeld: Er is niets gemeld. zet tot = plus(today, 'P14D'); keer = 0",
        "groep open ingetrokken: melding-gedaan vervallen",
        f"meldt pauze-begonnen aan loket, {BEGAN}: De pauze is begonnen.",
        "gepauzeerd maatregel-gepland (blijft)",
        "groep open maatregel-genomen (feit) klaar",
        "lang-stil Wanneer na 6 maanden In groep open Naar vervallen Hoort het niemand Zegt Er gebeurde een half jaar niets.",
        "maatregel-nemen Niet in gepauzeerd Want pauze-loopt: Er loopt een pauze.",
        "keer melding-gedaan: 0 pauze-gevraagd: c.keer + 1",
        "andere lopende zaken over dezelfde persoon",
    ):
        assert words in text


def test_what_a_process_does_not_have_gets_no_heading() -> None:
    bare = re.sub(r"    terms:.*", "", FLOW, flags=re.DOTALL)
    bare = bare.replace("    sets: {open: [gemeld, gepauzeerd]}\n", "").replace("from: open", "from: [gemeld, gepauzeerd]")
    process = drawn(bare)
    text, svg = as_text([process]), as_svg([process])
    for heading in ("TERMIJNEN", "MAG DIT NU?", "ALARMEN", "GROEPEN VAN STATEN"):
        assert heading not in text
    assert not {"Termijnen", "Mag dit nu?", "Alarmen"} & set(texts(svg))
    assert "Stappen" in texts(svg)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("na P6M", "na 6 maanden"),
        ("P14D voor c.tot", "14 dagen voor c.tot"),
        ("na wettelijk(P6W)", "na wettelijk(6 weken)"),
        ("na plus(c.tot, 'P8M')", "na plus(c.tot, 'P8M')"),
        ("na werkdagen(cfg.P1Y)", "na werkdagen(cfg.P1Y)"),
        ("na PT36H", "na PT36H"),
    ],
)
def test_a_term_in_words(written: str, words: str) -> None:
    assert timing(written) == words


@pytest.mark.parametrize(
    ("iso", "words"), [("P6M", "6 maanden"), ("P1Y", "1 jaar"), ("P1Y6M", "1 jaar en 6 maanden"), ("P2W", "2 weken"), ("PT36H", "PT36H")]
)
def test_a_duration_in_words(iso: str, words: str) -> None:
    assert duration(iso) == words


def test_lines_are_broken_to_fit_even_inside_a_word() -> None:
    assert wrapped("een twee drie", 8) == ["een twee", "drie"]
    assert [len(line) for line in wrapped("x" * 25, 10)] == [10, 10, 5]
    assert wrapped("宽" * 10, 10) == ["宽" * 5] * 2


# --- svg ---


def test_every_state_is_one_column_and_every_code_stands_there_once(process: dict[str, Any]) -> None:
    shown = Counter(texts(as_svg([process])))
    for state in process["states"]:
        assert shown[state["name"]] == 1
    everything = "\n".join(shown.elements())
    for code in ("niets-gemeld", "te-vaak", "pauze-begonnen", "lang-stil", "einde-nadert", "einde-pauze", "pauze-loopt", "toch-genomen"):
        assert everything.count(code) == 1, code
    for words in (
        "melding-gedaan naar gemeld", "als s.soort == 'LANG' && c.keer < 2", "ingetrokken: pauze-gevraagd naar gemeld",
        "maatregel-genomen naar klaar; feit: wordt nooit geweigerd", "termijn: na 6 maanden naar vervallen", "maatregel-nemen",
        f"Hoort het: loket, {BEGAN}", "pauze-loopt: Er loopt een pauze.", "Alarmen",
    ):  # fmt: skip
        assert shown[words] == 1, words


def test_a_screen_reader_finds_a_title_and_every_step_in_words(process: dict[str, Any]) -> None:
    root = parsed(as_svg([process]))
    assert root.get("role") == "img"
    ids = {node.get("id"): node for node in root.iter() if node.get("id")}
    title, told = ids[root.get("aria-labelledby")], ids[root.get("aria-describedby")]
    assert (title.tag, title.text) == (f"{SVG}title", "Proces wachten")
    assert told.tag == f"{SVG}desc"
    for words in (
        "Een zaak begint in gemeld en eindigt in klaar en vervallen.",
        "melding-gedaan: (nog geen zaak) naar gemeld, als s.aantal > 0.",
        "ingetrokken: melding-gedaan: gemeld en gepauzeerd naar vervallen.",
        "termijn einde-nadert, werkdagen(2) voor c.tot: gepauzeerd naar (blijft); doel hoort einde-nadert.",
        "maatregel-nemen: niet in gepauzeerd, pauze-loopt.",
        "alarm toch-genomen: maatregel-genomen in gepauzeerd; loket, doel hoort het.",
    ):
        assert words in str(told.text)


def test_the_drawing_needs_nothing_and_runs_nothing(process: dict[str, Any]) -> None:
    svg = as_svg([process])
    root = parsed(svg)
    assert {node.tag.removeprefix(SVG) for node in root.iter()} <= {"svg", "title", "desc", "g", "path", "circle", "rect", "text", "tspan"}
    names = {name for node in root.iter() for name in node.keys()}  # noqa: SIM118  (an element's keys are its attributes)
    assert not any(name.startswith("on") or "href" in name or name == "style" for name in names)
    assert "url(" not in svg
    assert set(re.findall(r"https?://[^\"' <]+", svg)) == {"http://www.w3.org/2000/svg"}
    colours = {str(node.get(name)) for node in root.iter() for name in ("fill", "stroke") if node.get(name)}
    assert all(re.fullmatch(r"#([0-9a-f])\1\1|none", colour) for colour in colours)  # black, white and grey


def test_everything_lies_inside_the_drawing(process: dict[str, Any]) -> None:
    for given in ([process], [process, process]):
        root = parsed(as_svg(given))
        width, height = int(str(root.get("width"))), int(str(root.get("height")))
        assert root.get("viewBox") == f"0 0 {width} {height}"
        for node in root.iter(f"{SVG}text"):
            widest = 6.5 * len("".join(node.itertext())) / (2 if node.get("text-anchor") == "middle" else 1)
            assert 0 < float(str(node.get("x"))) < width - widest
            assert 0 < float(str(node.get("y"))) < height
        for node in root.iter(f"{SVG}circle"):
            assert 0 < float(str(node.get("cx"))) < width
            assert 0 < float(str(node.get("cy"))) < height


def test_lines_of_text_do_not_overlap(process: dict[str, Any]) -> None:
    found = [node for node in parsed(as_svg([process])).iter(f"{SVG}text") if node.get("text-anchor") != "middle"]
    places = sorted((float(str(node.get("y"))), float(str(node.get("x")))) for node in found)
    assert all(after[0] - before[0] >= 15 for before, after in pairwise(places))


def test_a_name_of_sixty_characters_fits() -> None:
    long = "a" * 60
    process = drawn(FLOW.replace("gepauzeerd", long))
    root = parsed(as_svg([process]))
    (name,) = [node for node in root.iter(f"{SVG}text") if node.text == long]
    assert float(str(name.get("x"))) + 60 * 8 < int(str(root.get("width")))
    assert max(len(line) for line in as_text([process]).splitlines()) <= 100


def test_the_same_rules_give_the_same_drawing(process: dict[str, Any]) -> None:
    again = drawn()
    assert as_svg([again]) == as_svg([process])
    assert as_text([again]) == as_text([process])


def test_what_the_rules_say_stays_text() -> None:
    evil = r"</text></desc><script>alert(1)</script>&amp; \e[31m [red]"
    flow = changed(FLOW, "text: Er loopt een pauze.", f'text: "{evil}"')
    flow = changed(flow, "s.soort == 'LANG'", "s.soort == 'LANG' && '<script>' != \"]]>\"")
    process = drawn(flow)
    svg = as_svg([process])
    assert "<script" not in svg
    assert not any(ord(char) < 32 and char != "\n" for char in svg)
    shown = "\n".join(texts(svg))
    assert "<script>alert(1)</script>&amp;" in shown.replace("\n", "")
    assert "als s.soort == 'LANG' && '<script>' != \"]]>\"" in shown
    text = as_text([process])
    assert "[red]" in text
    assert "\x1b" not in text


def test_several_processes_stand_one_below_the_other(process: dict[str, Any]) -> None:
    other = {**process, "process": "tweede"}
    svg = as_svg([process, other])
    root = parsed(svg)
    heads = {str(node.text): float(str(node.get("y"))) for node in root.iter(f"{SVG}text") if str(node.text).startswith("Proces ")}
    assert list(heads) == ["Proces wachten", "Proces tweede"]
    assert heads["Proces tweede"] > heads["Proces wachten"] + 400
    assert set(Counter(node.get("id") for node in root.iter() if node.get("id")).values()) == {1}
    assert as_text([process, other]).count("STAPPEN") == 2


def test_on_a_page_the_heading_names_the_process(process: dict[str, Any]) -> None:
    assert "Proces wachten" not in texts(as_svg([process], titled=False))
