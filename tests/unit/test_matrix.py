"""The matrix shows every grant as the hub applies it, to a program, at a terminal and on a page."""

from __future__ import annotations

import json
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hub import files, matrix, matrixpage
from hub.domain.contract import CLASSES
from hub.domain.grants import ADDRESSEE, PUBLISHER, RECIPIENTS, STARTER
from hub.domain.loading import load
from hub.domain.ruleset import RuleSet
from hub.domain.transforms import TRANSFORMS
from hub.drawing import describe
from tests.unit import test_drawing as sample

ROOT = Path(__file__).resolve().parents[2]
VERSION = "0123abcd" * 8


def content() -> dict[str, str]:
    return files.read(ROOT / "rules", ROOT / "schemas")


def changed(file: str, old: str, new: str, *, count: int = 1) -> RuleSet:
    """Load the shipped files with one text in one of them replaced."""
    texts = content()
    assert old in texts[file]
    return load({**texts, file: texts[file].replace(old, new, count)}).unwrap()


@pytest.fixture(scope="module")
def shipped() -> RuleSet:
    return load(content()).unwrap()


@pytest.fixture(scope="module")
def rows(shipped: RuleSet) -> list[dict[str, Any]]:
    return matrix.rows(shipped)


def row_of(rows: list[dict[str, Any]], grant: str) -> dict[str, Any]:
    return next(row for row in rows if row["grant"] == grant)


class Page(HTMLParser):
    """What a reader, a browser and a screen reader find in a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


# --- rows ---


def test_every_grant_is_a_row_and_the_hubs_own_come_last(shipped: RuleSet, rows: list[dict[str, Any]]) -> None:
    assert Counter(row["grant"] for row in rows) == Counter(list(shipped.grants))
    own = [row["flow"] == "signaalhub" for row in rows]
    assert own == sorted(own)
    assert any(own)


def test_rows_survive_json(rows: list[dict[str, Any]]) -> None:
    assert json.loads(json.dumps(rows)) == rows


def test_a_shipped_grant_shows_exactly_its_fields(rows: list[dict[str, Any]]) -> None:
    row = row_of(rows, "vaste-lasten.huur")
    assert [field["name"] for field in row["fields"]] == [
        "gemeentecode", "achternaam", "voorletters", "geboortedatum", "postcode", "huisnummer", "huisletter", "huisnummertoevoeging",
        "telefoon", "email", "partnersoort", "bedrag_cent", "crisissignaal", "betrokkene_geinformeerd", "contactrol",
    ]  # fmt: skip
    assert row["not_shown"] == [
        "klantnummer", "achterstand_maanden", "natuurlijk_persoon", "persoonlijk_contact_gezocht", "gewezen_op_schuldhulp",
        "herinneringen", "doorgeven_aangeboden", "doorgeven_geweigerd",
    ]  # fmt: skip
    amount = next(field for field in row["fields"] if field["name"] == "bedrag_cent")
    assert amount == {
        "name": "bedrag_cent",
        "from": "bedrag_cent",
        "transform": None,
        "privacy": "financial",
        "doc": "De hoogte van de achterstand in eurocenten.",
    }


def test_a_shipped_grant_says_who_why_and_under_which_terms(rows: list[dict[str, Any]]) -> None:
    row = row_of(rows, "vaste-lasten.huur")
    assert (row["flow"], row["signal"], row["recipient"]) == ("vaste-lasten", "nl.wgs.achterstand-gesignaleerd.v1", "schuldhulp")
    assert row["publishers"] == ["woningcorporatie", "zorgverzekeraar", "energieleverancier", "drinkwaterbedrijf"]
    assert row["purpose"] == "Vroegtijdig hulp aanbieden bij betalingsachterstanden"
    assert row["activity"] == "https://signaalhub.example/verwerkingen/vroegsignalering"
    assert [ground["id"] for ground in row["legal_basis"]] == ["wgs-3-1-b", "wgs-4", "bgs-2"]
    assert row["valid"] == {"from": "2021-01-01", "until": None}
    assert row["when"] == "e.role == 'woningcorporatie'"
    assert row["requires"][2] == {
        "code": "geen-herinnering",
        "condition": "s.herinneringen >= 1",
        "text": "Stuur eerst ten minste een schriftelijke herinnering (Bgs art. 2 onder c).",
    }
    assert row["quota"] == {
        "name": "tijdig-in-zicht", "limit": "cfg.agreement.limit", "per": "month", "key": ["agreement", "recipient"],
        "exempt": "s.crisissignaal",
    }  # fmt: skip
    agreement = row["agreements"][0]
    assert (agreement["id"], agreement["municipalities"], agreement["from"], agreement["until"], agreement["limit"]) == (
        "tijdig-in-zicht", ["0772"], "2018-07-01", None, 50,
    )  # fmt: skip
    assert row["retention"] == "P6M"
    assert row["where"].startswith("rules/vaste-lasten.yaml:")


def test_nested_fields_keep_their_dotted_name_and_meaning(rows: list[dict[str, Any]]) -> None:
    fields = {field["name"]: field["doc"] for field in row_of(rows, "signaalhub.geweigerd")["fields"]}
    assert fields["redenen.code"] == "Redencode."


def test_a_transformed_field_has_its_new_name_and_its_source() -> None:
    ruleset = changed("rules/vaste-lasten.yaml", "voorletters, geboortedatum, postcode", "voorletters, {geboortedatum: jaar}, postcode")
    row = row_of(matrix.rows(ruleset), "vaste-lasten.huur")
    field = next(field for field in row["fields"] if field["from"] == "geboortedatum")
    assert (field["name"], field["transform"], field["privacy"]) == ("geboortedatum_jaar", "jaar", "identifier")
    assert "geboortedatum" not in row["not_shown"]
    assert "geboortedatum_jaar (alleen het jaar)" in matrixpage.as_text([row])
    assert "De precieze waarde van <code>geboortedatum</code>." in matrixpage.as_html([row], VERSION)


def test_codes_that_are_folded_together_are_named(rows: list[dict[str, Any]]) -> None:
    row = row_of(rows, "spookbewoning.uitkomst")
    field = next(field for field in row["fields"] if field["name"] == "uitkomst")
    assert field["transform"] == "waarden(WOONT_OP_ADRES;anders:WOONT_NIET_OP_ADRES)"
    assert "alleen WOONT_OP_ADRES; al het andere als WOONT_NIET_OP_ADRES" in matrixpage.as_html([row], VERSION)


def test_the_publisher_is_shown_only_where_it_is_granted(rows: list[dict[str, Any]]) -> None:
    assert "uitgever" not in [field["name"] for field in row_of(rows, "spookbewoning.verwerkt")["fields"]]
    granted = changed("rules/spookbewoning.yaml", "fields: [resultaat, verwerkt_op]", "fields: [resultaat, uitgever, verwerkt_op]")
    row = row_of(matrix.rows(granted), "spookbewoning.verwerkt")
    assert row["fields"][-1]["name"] == "uitgever"
    assert row["fields"][-1]["privacy"] == "organisation"
    assert row["not_shown"] == []


def test_one_ground_to_be_tested_makes_the_grant_so() -> None:
    texts = content()
    settled = texts["rules/grounds.yaml"].replace("status: te-toetsen", "status: vastgesteld")
    before, found, after = settled.partition("- id: bgs-3\n")
    assert found
    one_open = before + found + after.replace("status: vastgesteld", "status: te-toetsen", 1)

    def status(grounds: str) -> dict[str, str]:
        rows = matrix.rows(load({**texts, "rules/grounds.yaml": grounds}).unwrap())
        assert all((row["status"] == "te-toetsen") == any(g["status"] == "te-toetsen" for g in row["legal_basis"]) for row in rows)
        return {row["grant"]: row["status"] for row in rows if row["flow"] != "signaalhub"}  # the hub's own grounds stand elsewhere

    assert set(status(settled).values()) == {"vastgesteld"}
    assert status(one_open)["vaste-lasten.water"] == "te-toetsen"
    assert status(one_open)["vaste-lasten.huur"] == "vastgesteld"


def test_a_sanction_basis_comes_with_its_own_status() -> None:
    ruleset = changed("rules/spookbewoning.yaml", "legal_basis: [terugk", "sanction_basis: awir\n    legal_basis: [terugk")
    row = row_of(matrix.rows(ruleset), "spookbewoning.verwerkt")
    assert (row["sanction_basis"]["id"], row["sanction_basis"]["status"]) == ("awir", "te-toetsen")
    assert "AVG art. 10     [te toetsen] Awir" in matrixpage.as_text([row])
    assert "Grondslag voor gegevens over straf of verdenking" in matrixpage.as_html([row], VERSION)


def test_who_is_no_role_is_named_in_dutch(rows: list[dict[str, Any]]) -> None:
    assert set(matrix.WHO) == {ADDRESSEE, PUBLISHER, RECIPIENTS, STARTER}
    assert row_of(rows, "signaalhub.ingetrokken")["recipient_name"] == "iedereen die het signaal kreeg"
    assert row_of(rows, "signaalhub.bevestigd")["recipient_name"].startswith("de afzender van het signaal")
    html = matrixpage.as_html(rows, VERSION)
    assert all(f"<code>{row['recipient']}</code>" in html for row in rows if row["recipient"].startswith("$") and not row["reminder"])


# --- processes: what follows on what, and reminders ---


@pytest.fixture(scope="module")
def ruled() -> RuleSet:
    """Return two flows, one of them with a process."""
    return sample.rules()


@pytest.fixture(scope="module")
def paused(ruled: RuleSet) -> list[dict[str, Any]]:
    return matrix.rows(ruled)


def told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["reminder"]]


def test_a_reminder_is_a_row_of_its_own_flow_after_the_grants(paused: list[dict[str, Any]]) -> None:
    reminders = told(paused)
    assert {row["grant"] for row in reminders} == {
        "wachten.pauze-begonnen.loket", "wachten.pauze-begonnen.starter", "wachten.einde-nadert.doel", "wachten.einde-pauze.doel",
        "wachten.einde-pauze.loket", "wachten.toch-genomen.loket", "wachten.toch-genomen.doel",
    }  # fmt: skip
    assert {row["flow"] for row in reminders} == {"pauze"}
    assert [row["flow"] for row in paused] == ["los"] + ["pauze"] * 10 + ["signaalhub"] * 5
    assert paused[4:11] == reminders
    assert row_of(paused, "wachten.pauze-begonnen.starter")["reminder"] == {"process": "wachten", "code": "pauze-begonnen"}
    assert row_of(paused, "wachten.pauze-begonnen.starter")["recipient_name"] == "wie de keten begon"
    assert json.loads(json.dumps(paused)) == paused


def test_what_a_grant_waits_for_is_said(paused: list[dict[str, Any]]) -> None:
    assert [(row["grant"], row["follows"], row["release_on"]) for row in paused if row["follows"] or row["release_on"]] == [
        ("pauze.vraag", sample.REPORT, None), ("pauze.wie", None, sample.LATER),
    ]  # fmt: skip
    text = " ".join(matrixpage.as_text(paused).split())
    assert f"Alleen als de ontvanger in deze keten {sample.REPORT} kreeg" in text
    assert f"Pas als de ontvanger in deze keten {sample.LATER} stuurt" in text
    page = " ".join(Page(matrixpage.as_html(paused, VERSION)).text.split())
    assert f"Deze regel geldt alleen als de ontvanger in deze keten {sample.REPORT} kreeg." in page
    assert f"De ontvanger krijgt dit pas als hij in deze keten {sample.LATER} stuurt." in page


def test_in_the_text_reminders_stand_together_under_their_flow(paused: list[dict[str, Any]]) -> None:
    text = matrixpage.as_text(paused)
    assert text.count("Herinneringen\n") == 1
    part = " ".join(text.partition("FLOW PAUZE")[2].partition("FLOW SIGNAALHUB")[0].partition("\nHerinneringen\n")[2].split())
    assert part.startswith("Van de hub zelf Signaal nl.signaalhub.herinnering.v1 Ziet code: code, staat, uiterlijk")
    assert "Grondslag wet-1 [vastgesteld] Wet 1 wet-2 [te toetsen] Wet 2" in part
    assert "pauze-begonnen -> loket, $starter (vastgesteld) Uitleg De pauze is begonnen. Grondslag wet-1 Staat in rules/pauze.yaml:" in part
    assert "toch-genomen -> loket, doel (te toetsen) Uitleg Het is toch gebeurd. Grondslag loket: wet-1 doel: wet-2, wet-1" in part
    assert "pauze: 7 herinneringen" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_on_the_page_reminders_are_one_table_a_flow(paused: list[dict[str, Any]]) -> None:
    html = matrixpage.as_html(paused, VERSION)
    page = Page(html)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert [name for name in ids if str(name).startswith("herinneringen-")] == ["herinneringen-pauze"]
    assert {f"regel-{row['grant']}" for row in told(paused)} <= set(ids)
    assert (
        html.count("<h4 id=")
        == len([row for row in paused if not row["reminder"]]) + len({r["signal"] for r in paused if not r["reminder"]}) + 0
    )
    for words in ("pauze: 7 herinneringen", "De pauze is bijna voorbij.", "nog te lezen", "gelezen"):
        assert words in page.text
    assert all(row["where"] in page.text for row in told(paused))


def test_each_process_is_drawn_under_its_flow(ruled: RuleSet, paused: list[dict[str, Any]]) -> None:
    processes = [describe(machine) for machine in ruled.machines.values()]
    html = matrixpage.as_html(paused, VERSION, processes)
    assert html.count("<svg ") == 1
    assert html.index('id="flow-pauze"') < html.index("<svg ") < html.index(f'id="signaal-{sample.REPORT}"')
    page = Page(html)
    assert "Proces wachten als tekst" in page.text
    assert "STAPPEN" in page.text
    ids = Counter(attrs["id"] for _, attrs in page.tags if "id" in attrs)
    assert set(ids.values()) == {1}
    assert {attrs["aria-describedby"] for attrs in page.every("svg")} <= set(ids)
    assert "<svg" not in matrixpage.as_html(paused, VERSION)


def test_a_flow_with_a_process_and_no_grant_is_on_the_page(ruled: RuleSet) -> None:
    processes = [describe(machine) for machine in ruled.machines.values()]
    page = Page(matrixpage.as_html([], VERSION, processes))
    assert any(tag.get("id") == "proces-wachten" for tag in page.every("h3"))


# --- words ---


def test_every_class_and_transform_has_a_dutch_word() -> None:
    assert set(matrixpage.CLASSES) == set(CLASSES)
    assert set(matrixpage.WAYS) == set(TRANSFORMS)


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (None, "zoals gestuurd"),
        ("pc4", "alleen de vier cijfers van de postcode"),
        ("klasse(5000;25000)", "alleen de klasse, met als grenzen 5000 en 25000"),
        ("waarden(A; B;anders:C)", "alleen A en B; al het andere als C"),
        ("waarden(anders:C)", "altijd als C"),
    ],
)
def test_a_transform_in_words(transform: str | None, words: str) -> None:
    assert matrixpage._way(transform) == words


@pytest.mark.parametrize(
    ("limit", "start"),
    [
        (None, "Er is geen grens"),
        (50, "Ten hoogste 50 per kalendermaand, geteld per afspraak en ontvanger."),
        ("cfg.agreement.limit", "Ten hoogste het aantal dat de afspraak noemt per kalendermaand"),
        ("cfg.iets", "Ten hoogste de uitkomst van cfg.iets per kalendermaand"),
    ],
)
def test_a_quota_in_words(limit: int | str | None, start: str) -> None:
    quota = {"name": "n", "limit": limit, "per": "month", "key": ["agreement", "recipient"], "exempt": None}
    assert matrixpage._quota_words(quota).startswith(start)


# --- text ---


def test_the_text_has_every_grant_fits_the_width_and_has_no_codes(rows: list[dict[str, Any]]) -> None:
    for width in (60, 100):
        text = matrixpage.as_text(rows, width)
        assert max(len(line) for line in text.splitlines()) <= width
        assert "\x1b" not in text
        assert not any(line != line.rstrip() for line in text.splitlines())
        for row in (row for row in rows if not row["reminder"]):
            assert f"{row['grant']} -> {row['recipient']} ({row['status'].replace('-', ' ')})" in " ".join(text.split())


def test_the_text_shows_markup_as_it_is_and_no_control_codes(rows: list[dict[str, Any]]) -> None:
    row = {**rows[0], "explain": "[red]let op[/red] :smile: \x1b[31mrood"}
    text = matrixpage.as_text([row])
    assert "[red]let op[/red] :smile:  [31mrood" in text
    assert "\x1b" not in text


def test_purposes_that_differ_inside_a_flow_stand_at_their_grant(rows: list[dict[str, Any]]) -> None:
    first, second = rows[0], {**rows[1], "purpose": "Een ander doel"}
    assert first["flow"] == second["flow"]
    assert matrixpage.as_text([first, second]).count("Een ander doel") == 2
    assert "<p>Doel: Een ander doel</p>" in matrixpage.as_html([first, second], VERSION)
    assert "<p>Doel:" not in matrixpage.as_html([first], VERSION)


# --- page ---


def test_the_page_has_every_grant_with_its_status_in_words(rows: list[dict[str, Any]]) -> None:
    html = matrixpage.as_html(rows, VERSION)
    page = Page(html)
    assert VERSION in page.text
    for row in rows:
        assert any(tag.get("id") == f"regel-{row['grant']}" for tag in page.every("strong" if row["reminder"] else "h4"))
        assert row["explain"] in page.text
        assert row["where"] in page.text
        assert all(ground["source"] in page.text for ground in row["legal_basis"])
        assert all(required["text"] in page.text for required in row["requires"])
    waiting = sum(row["status"] == "te-toetsen" for row in rows)
    assert f"Bij {waiting} daarvan is de grondslag nog te toetsen" in page.text


def test_the_page_says_what_nobody_gets_and_what_not_everybody_gets(rows: list[dict[str, Any]]) -> None:
    arrears = [row for row in rows if row["signal"] == "nl.wgs.achterstand-gesignaleerd.v1"]
    text = Page(matrixpage.as_html(arrears, VERSION)).text
    assert "Deze velden krijgt niemand: achterstand_maanden, natuurlijk_persoon," in text
    assert "klantnummer gaat niet mee met vaste-lasten.huur en vaste-lasten.zorg." in text
    assert "zonder regel levert de hub niet" in text


def test_the_page_escapes_what_the_rule_files_say() -> None:
    evil = "<script>alert(1)</script>"
    ruleset = changed("rules/spookbewoning.yaml", "explain: U krijgt dit bericht omdat u een adres", f'explain: "{evil} U" #')
    html = matrixpage.as_html(matrix.rows(ruleset), VERSION)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script" not in html


def test_only_a_web_address_becomes_a_link(rows: list[dict[str, Any]]) -> None:
    html = matrixpage.as_html([{**rows[0], "activity": "javascript:alert(1)"}], VERSION)
    hrefs = [tag["href"] or "" for tag in Page(html).every("a")]
    assert all(href.startswith(("#", "https://")) for href in hrefs)


@pytest.fixture(scope="module")
def whole(shipped: RuleSet, rows: list[dict[str, Any]]) -> str:
    """Return the page of the shipped rules, drawings and all."""
    return matrixpage.as_html(rows, VERSION, [describe(machine) for machine in shipped.machines.values()])


def test_the_page_loads_nothing(whole: str) -> None:
    page = Page(whole)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "use", "image"}
    assert not any("src" in attrs or "srcset" in attrs for _, attrs in page.tags)
    assert "url(" not in whole
    assert "@import" not in whole


def test_the_page_is_sound_for_a_screen_reader(whole: str) -> None:
    page = Page(whole)
    assert page.every("html") == [{"lang": "nl"}]
    ids = Counter(attrs["id"] for _, attrs in page.tags if "id" in attrs)
    assert set(ids.values()) == {1}
    targets = {(tag["href"] or "")[1:] for tag in page.every("a") if (tag["href"] or "").startswith("#")}
    labels = {attrs["aria-labelledby"] for _, attrs in page.tags if "aria-labelledby" in attrs}
    assert targets | labels <= set(ids)
    assert all(tag.get("scope") in {"col", "row"} for tag in page.every("th"))
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4", "h5", "h6"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
