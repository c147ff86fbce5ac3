"""Section 4 of the design: what a contract may say, each sentence of it, and how it may change."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from avro.schema import parse as parse_avro

from hub.carryover import CarryOver
from hub.domain.conditions import ConditionError, Environment
from hub.domain.contract import CLASSES, INFORMED, Contract, Leaf
from hub.domain.faults import Fault
from hub.domain.formats import FORMATS
from hub.domain.loading import Loaded, load
from hub.domain.ruleset import RuleSet
from hub.errors import FaultsError
from hub.keys import Keys
from hub.rulebook import Rulebooks, incompatible
from hub.storage.database import Database
from hub.storage.names import Names

TYPE: Final = "nl.test.ding-gebeurd.v1"
FILE: Final = f"schemas/{TYPE}.avsc"
QUESTION: Final = "nl.test.vraag-gesteld.v1"
PARTICIPANTS: Final = """participants:
  - {id: bron, name: Bron, oin: "00000099000000010000"}
  - {id: doel, name: Doel, oin: "00000099000000020000"}
  - {id: loket, name: Loket, oin: "0000009900000003{gemeentecode}", per_municipality: all}
"""

GOOD: Final = """{"type": "record", "name": "DingGebeurd", "namespace": "nl.test.v1",
 "doc": "Er is iets gebeurd.",
 "signal": {
  "type": "nl.test.ding-gebeurd.v1",
  "publishers": ["bron",
                 "loket"],
  "subject": ["bsn",
              "adres.postcode"],
  "municipality": "gemeentecode",
  "secrecy": "geheim",
  "retention": "P6M"},
 "fields": [
  {"name": "gemeentecode", "type": "string", "format": "gemeentecode", "privacy": "organisation"},
  {"name": "bsn", "type": "string", "format": "bsn", "privacy": "identifier"},
  {"name": "geheim", "type": "boolean", "privacy": "code"},
  {"name": "soort", "type": {"type": "enum", "name": "Soort", "symbols": ["HUUR", "ZORG"], "default": "HUUR"}, "privacy": "sensitive"},
  {"name": "kenmerk", "type": ["null", "string"], "default": null, "pattern": "[A-Z]{2}[0-9]{4}", "privacy": "code"},
  {"name": "achternaam", "type": "string", "privacy": "identifier"},
  {"name": "sinds", "type": "string", "format": "gba-datum", "privacy": "code"},
  {"name": "gezien_op", "type": {"type": "long", "logicalType": "timestamp-millis"}, "privacy": "code"},
  {"name": "adres", "type": {"type": "record", "name": "Adres", "fields": [
    {"name": "postcode", "type": "string", "format": "postcode", "privacy": "address"},
    {"name": "huisnummer", "type": "int", "privacy": "address"}]}},
  {"name": "vorderingen", "type": {"type": "array", "items": {"type": "record", "name": "Vordering", "fields": [
    {"name": "soort", "type": "Soort", "privacy": "code"},
    {"name": "bedrag_cent", "type": "long", "privacy": "financial"},
    {"name": "vervalt_op", "type": ["null", {"type": "int", "logicalType": "date"}], "privacy": "code"}]}}},
  {"name": "zaken", "type": {"type": "array", "items": "string"}, "format": "cjib-nummer", "privacy": "sanction"},
  {"name": "betrokkene_geinformeerd", "privacy": "code", "type": {"type": "enum", "name": "Geinformeerd", "default": "NVT",
   "symbols": ["JA", "NEE_SPOED", "NEE_VEILIGHEID", "NEE_NIET_BEREIKBAAR", "NVT"]}},
  {"name": "contactrol", "type": "string", "pattern": "[a-z-]{1,60}", "privacy": "organisation"}
 ]}
"""
LAST: Final = '  {"name": "contactrol", "type": "string", "pattern": "[a-z-]{1,60}", "privacy": "organisation"}\n'


# --- helpers, also for the tests of conditions, views and data ---


def field(name: str, type_: Any, **more: Any) -> dict[str, Any]:
    """Return a field of class code, unless `more` says otherwise; a string may hold anything then."""
    bound = {"pattern": ".*"} if "string" in (type_ if isinstance(type_, list) else [type_]) else {}
    return {"name": name, "type": type_, "privacy": "code", **bound, **more}


def record(name: str, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def enum(name: str, *symbols: str) -> dict[str, Any]:
    return {"type": "enum", "name": name, "symbols": list(symbols), "default": symbols[-1]}


DATE: Final = {"type": "int", "logicalType": "date"}
MOMENT: Final = {"type": "long", "logicalType": "timestamp-millis"}


def schema_of(*fields: dict[str, Any], **signal: Any) -> dict[str, Any]:
    """Return the schema of a type without subject of its own."""
    about = {"type": TYPE, "publishers": ["bron", "loket"], "subject": "@keten", "retention": "P6M", **signal}
    return {"type": "record", "name": "Ding", "namespace": "nl.test.v1", "signal": about, "fields": list(fields)}


def load_schema(schema: dict[str, Any] | str, **others: str) -> Loaded:
    text = schema if isinstance(schema, str) else json.dumps(schema, indent=1)
    return load({"rules/participants.yaml": PARTICIPANTS, FILE: text, **{f"schemas/{name}.avsc": other for name, other in others.items()}})


def contract_of(*fields: dict[str, Any], **signal: Any) -> Contract:
    return load_schema(schema_of(*fields, **signal)).unwrap().types[TYPE].contract


def line_of(text: str, marker: str) -> int:
    """Return the line on which the marker stands; it must stand on one line only."""
    found = [number for number, line in enumerate(text.splitlines(), 1) if marker in line]
    assert len(found) == 1, f"{marker!r} stands on lines {found}"
    return found[0]


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    return text.replace(old, new)


def with_field(text: str) -> str:
    """Return the good schema with one more field, on a line of its own."""
    return changed(GOOD, LAST, f"{LAST.rstrip()},\n{text}\n")


def faults(loaded: Loaded) -> list[tuple[str, int, str]]:
    return [(fault.file, fault.line, fault.what) for fault in loaded.faults]


def only_fault(text: str, marker: str, what: str, fix: str = "") -> None:
    """Check that the schema has one fault, at the line of the marker, that says `what` (a pattern)."""
    loaded = load_schema(text)
    assert [(fault.file, fault.line) for fault in loaded.faults] == [(FILE, line_of(text, marker))], faults(loaded)
    assert re.search(what, loaded.faults[0].what), loaded.faults[0].what
    assert fix in loaded.faults[0].fix
    assert loaded.ruleset is None


# --- a contract that is right ---


def test_a_contract_is_what_its_file_says() -> None:
    contract = load_schema(GOOD).unwrap().types[TYPE].contract
    assert contract.type == TYPE
    assert contract.publishers == ("bron", "loket")
    assert contract.subject == ("bsn", "adres.postcode")
    assert contract.municipality == "gemeentecode"
    assert contract.secrecy == "geheim"
    assert contract.retention == "P6M"
    assert contract.answers == ()
    assert contract.raw == json.loads(GOOD)


def test_every_leaf_has_a_kind_a_class_and_a_place() -> None:
    leaves = load_schema(GOOD).unwrap().types[TYPE].contract.leaves
    kinds = {name: (leaf.kind, leaf.nullable, leaf.in_array, leaf.privacy) for name, leaf in leaves.items()}
    assert kinds == {
        "gemeentecode": ("string", False, False, "organisation"),
        "bsn": ("string", False, False, "identifier"),
        "geheim": ("boolean", False, False, "code"),
        "soort": ("enum", False, False, "sensitive"),
        "kenmerk": ("string", True, False, "code"),
        "achternaam": ("string", False, False, "identifier"),
        "sinds": ("gba-datum", False, False, "code"),
        "gezien_op": ("timestamp", False, False, "code"),
        "adres.postcode": ("string", False, False, "address"),
        "adres.huisnummer": ("int", False, False, "address"),
        "vorderingen.soort": ("enum", False, True, "code"),
        "vorderingen.bedrag_cent": ("long", False, True, "financial"),
        "vorderingen.vervalt_op": ("date", True, True, "code"),
        "zaken": ("string", False, True, "sanction"),
        "betrokkene_geinformeerd": ("enum", False, False, "code"),
        "contactrol": ("string", False, False, "organisation"),
    }
    assert leaves["vorderingen.soort"].symbols == ("HUUR", "ZORG")
    assert leaves["zaken"] == Leaf(("zaken",), "string", nullable=False, in_array=True, privacy="sanction", format="cjib-nummer")


def test_a_contract_is_plain_avro_for_the_reference_implementation() -> None:
    parsed: Any = parse_avro(GOOD)
    assert parsed.fullname == "nl.test.v1.DingGebeurd"


def test_a_field_in_a_record_that_may_be_null_may_be_null() -> None:
    contract = contract_of(field("adres", ["null", record("Adres", field("nummer", "int"))]))
    assert contract.leaves["adres.nummer"].nullable


def test_a_named_type_is_used_again_by_its_name() -> None:
    contract = contract_of(field("een", enum("Soort", "A", "B")), field("twee", ["null", "Soort"]), field("drie", array("Soort")))
    assert [leaf.symbols for leaf in contract.leaves.values()] == [("A", "B")] * 3


def test_a_contract_stays_as_its_file_says_after_everything_is_made_of_it() -> None:
    rules = load_schema(GOOD).unwrap().types[TYPE]
    assert rules.wire is not None
    assert rules.check_json is not None
    assert rules.contract.raw == json.loads(GOOD)
    assert "__" not in json.dumps(rules.contract.raw)


# --- the form of the file ---


def test_broken_json_is_reported_on_its_line() -> None:
    text = changed(GOOD, '"retention": "P6M"},', '"retention": "P6M",},')
    only_fault(text, '"retention"', "not valid JSON")


def test_a_key_that_stands_twice_is_reported_on_the_line_of_the_second() -> None:
    text = changed(GOOD, '"secrecy": "geheim",', '"secrecy": "geheim",\n  "retention": "P1Y",')
    only_fault(text, '"P6M"', "duplicate key `retention`")


@pytest.mark.parametrize(
    "text", ["", "[]", "5", '"x"', "null", '{"type": "enum"}', '{"type": "record"}', '{"type": "record", "fields": {}}']
)
def test_what_is_no_record_with_fields_is_no_contract(text: str) -> None:
    loaded = load_schema(text)
    assert [(fault.file, fault.line) for fault in loaded.faults] == [(FILE, 1)]


def test_an_emoji_that_a_tool_wrote_as_an_escape_is_valid_json() -> None:
    assert load_schema(changed(GOOD, "Er is iets gebeurd.", r"Gebeurd \ud83d\ude00 \/ klaar.")).faults == ()


@pytest.mark.parametrize(
    "broken",
    [
        '{"name": "x", "type": "int", "privacy": ["code"]}',
        '{"name": "x", "type": "string", "privacy": "identifier", "format": ["bsn"]}',
        '{"name": "x", "type": {"type": "int", "logicalType": []}, "privacy": "code"}',
        '{"name": "x", "type": {"type": {"type": "int"}}, "privacy": "code"}',
        '{"name": "x", "type": {"type": "enum", "name": "E", "symbols": 5, "default": "A"}, "privacy": "code"}',
        '{"name": "x", "type": {"type": "record", "name": "R", "fields": 5}}',
        '{"name": "x", "type": {"type": "record", "name": "R"}}',
        '{"name": "x", "privacy": "code"}',
        '{"type": "int", "privacy": "code"}',
        "5",
    ],
)
def test_a_field_of_the_wrong_form_is_a_fault_on_its_line_and_never_a_crash(broken: str) -> None:
    text = with_field("  " + broken)
    assert [(fault.file, fault.line) for fault in load_schema(text).faults] == [(FILE, line_of(text, "  " + broken))]


@pytest.mark.parametrize(
    "union",
    [["null", "string", "int"], ["string", "int"], ["null"], ["null", "null"], [], [["null", "int"], "null"], {"type": ["null", "int"]}],
)
def test_the_only_union_is_null_and_one_type(union: Any) -> None:
    text = with_field(f'  {{"name": "x", "privacy": "code", "type": {json.dumps(union)}}}')
    loaded = load_schema(text)
    assert {(fault.file, fault.line) for fault in loaded.faults} == {(FILE, line_of(text, '"x"'))}


def test_null_stands_first_in_a_union() -> None:
    text = with_field('  {"name": "x", "privacy": "code", "type": ["int", "null"]}')
    only_fault(text, '"x"', "`x` names null last")


@pytest.mark.parametrize("name", ["in", "true", "false", "null", "Naam", "naam-2", "_naam", "2naam", "náám", "na am", ""])
def test_a_field_name_that_conditions_cannot_read_is_refused(name: str) -> None:
    only_fault(with_field(f'  {{"type": "int", "privacy": "code", "name": "{name}"}}'), f'"name": "{name}"', "field name")


@pytest.mark.parametrize("name", ["as", "if", "for", "type", "package", "size", "has", "int", "s", "e", "today", "x9_", "break", "void"])
def test_a_field_name_that_loads_can_be_read_by_conditions(name: str) -> None:
    inside = record("Binnen", field(name, "int"))
    contract = contract_of(field(name, "int"), field("los", inside), field("lijst", array(record("Item", field(name, "int")))))
    environment = Environment(contract, {})
    data = {name: 1, "los": {name: 1}, "lijst": [{name: 1}]}
    for text in (f"s.{name} == 1", f"s.los.{name} == 1", f"s.lijst.all(x, x.{name} == 1)"):
        try:
            condition = environment.compile(text)
        except ConditionError as exc:
            pytest.fail(f"{text}: {exc.faults}")
        values = {variable: environment.readers[variable](data) for variable in condition.variables}
        assert condition.holds(environment.activation(values)) is True


def test_a_field_name_stands_once_in_a_record() -> None:
    only_fault(with_field('  {"name": "bsn", "type": "string", "privacy": "identifier"}'), '"bsn", "type": "string", "privacy"', "bsn")


def test_a_name_that_is_no_avro_name_is_refused() -> None:
    text = changed(GOOD, '"name": "Vordering"', '"name": "Een vordering"')
    assert {fault.file for fault in load_schema(text).faults} == {FILE}


# --- privacy ---


@pytest.mark.parametrize("privacy", sorted(CLASSES))
def test_every_class_of_the_list_loads(privacy: str) -> None:
    assert contract_of(field("x", "int", privacy=privacy)).leaves["x"].privacy == privacy


def test_the_classes_are_those_of_the_design() -> None:
    assert set(CLASSES) == {"organisation", "code", "identifier", "address", "financial", "sensitive", "sanction"}


@pytest.mark.parametrize(("privacy", "reason"), [("free-text", "the story stays at the source"), ("special", "AVG art. 9")])
@pytest.mark.parametrize(
    "type_",
    [
        '"string"',
        '{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "privacy": "code"}]}',
        '{"type": "array", "items": {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "privacy": "code"}]}}',
    ],
    ids=["leaf", "record", "array of records"],
)
def test_free_text_and_special_categories_are_refused_by_name_with_the_reason(privacy: str, reason: str, type_: str) -> None:
    text = with_field(f'  {{"name": "x", "type": {type_},\n   "privacy": "{privacy}"}}')
    only_fault(text, f'"{privacy}"', f"`x` has class {privacy}, which no hub schema may hold", reason)


@pytest.mark.parametrize("more", ["", ', "privacy": null', ', "privacy": "secret"', ', "privacy": "Code"', ', "privcay": "code"'])
def test_a_leaf_without_a_class_of_the_list_does_not_load(more: str) -> None:
    only_fault(with_field(f'  {{"name": "x", "type": "int"{more}}}'), '"x"', "`x` is not classified", "organisation, code, identifier")


@pytest.mark.parametrize(("name", "inside"), [("huisnummer", "adres"), ("bedrag_cent", "vorderingen")])
def test_a_leaf_deep_inside_is_reported_on_its_own_line_by_its_dotted_name(name: str, inside: str) -> None:
    text = re.sub(rf'("{name}", "type": "[a-z]+"), "privacy": "[a-z]+"', r"\1", GOOD)
    only_fault(text, f'"{name}"', f"`{inside}.{name}` is not classified")


def test_a_leaf_in_a_record_that_may_be_null_is_reported_on_its_own_line() -> None:
    text = with_field(
        '  {"name": "x", "type": ["null", {"type": "record", "name": "R", "fields": [\n   {"name": "diep", "type": "int"}]}]}'
    )
    only_fault(text, '"diep"', "`x.diep` is not classified")


def test_a_record_needs_no_class_but_may_carry_one() -> None:
    contract = contract_of(
        field("los", record("Los", field("a", "int")), privacy="address"), field("vrij", record("Vrij", field("b", "int")))
    )
    assert [leaf.privacy for leaf in contract.leaves.values()] == ["code", "code"]


def test_a_record_carries_no_class_that_does_not_exist() -> None:
    text = with_field('  {"name": "x", "type": {"type": "record", "name": "R", "fields": []}, "privacy": "secret"}')
    only_fault(text, '"x"', "x")


# --- no hidden free text ---


@pytest.mark.parametrize(
    "type_", [enum("E", "A"), "boolean", "int", "long", DATE, MOMENT, ["null", "boolean"], array("int"), array(enum("F", "A"))], ids=str
)
def test_class_code_is_an_enum_a_boolean_a_number_or_a_date(type_: Any) -> None:
    assert contract_of(field("x", type_)).leaves["x"].privacy == "code"


def test_class_code_is_a_date_with_unknown_parts_or_a_string_with_a_pattern() -> None:
    sinds = {"name": "x", "type": "string", "format": "gba-datum", "privacy": "code"}
    assert contract_of(sinds, field("y", "string", pattern="[A-Z]{3}")).leaves["y"].kind == "string"


@pytest.mark.parametrize(
    "type_",
    ['"string"', '["null", "string"]', '{"type": "array", "items": "string"}', '"string", "maxLength": 10', '"string", "format": "brin"'],
)
def test_a_string_of_class_code_without_a_pattern_is_refused(type_: str) -> None:
    only_fault(with_field(f'  {{"name": "x", "privacy": "code", "type": {type_}}}'), '"x"', "`x` has class code but could hold any text")


@pytest.mark.parametrize("longest", [1, 200])
def test_a_string_may_hold_up_to_200_characters(longest: int) -> None:
    assert load_schema(with_field(f'  {{"name": "x", "type": "string", "privacy": "identifier", "maxLength": {longest}}}')).faults == ()


@pytest.mark.parametrize("longest", ["201", "0", "-1", '"200"', "1.5", "null", "true", "100000"])
def test_a_string_that_could_hold_more_is_refused(longest: str) -> None:
    text = with_field(f'  {{"name": "x", "type": "string", "privacy": "identifier",\n   "maxLength": {longest}}}')
    only_fault(text, '"maxLength"', "`x` may hold more than 200 characters")


@pytest.mark.parametrize("pattern", ['"["', "5", "null"])
def test_a_pattern_is_a_regular_expression(pattern: str) -> None:
    text = with_field(f'  {{"name": "x", "type": "string", "privacy": "identifier",\n   "pattern": {pattern}}}')
    assert {(fault.file, fault.line) for fault in load_schema(text).faults} == {(FILE, line_of(text, '"pattern": ' + pattern))}


@pytest.mark.parametrize("attribute", ['"pattern": "[0-9]+"', '"maxLength": 10'])
def test_a_bound_for_text_on_something_else_would_do_nothing_and_is_refused(attribute: str) -> None:
    only_fault(with_field(f'  {{"name": "x", "type": "int", "privacy": "code", {attribute}}}'), '"x"', "`x`")


# --- formats ---


def test_the_formats_are_those_of_the_design() -> None:
    wanted = {"bsn", "gemeentecode", "bag-id", "postcode", "oin", "cjib-nummer", "gba-datum", "email", "phone", "brin"}
    assert set(FORMATS) == wanted
    for name in wanted:
        assert contract_of(field("x", "string", format=name)).leaves["x"].format == name


def test_a_format_that_does_not_exist_is_refused() -> None:
    text = with_field('  {"name": "x", "type": "string", "privacy": "identifier",\n   "format": "iban"}')
    only_fault(text, '"iban"', "`x` has a format that does not exist", "bsn, gemeentecode")


@pytest.mark.parametrize("type_", ['"int"', '"boolean"', '"long"', '{"type": "int", "logicalType": "date"}', '"Soort"'])
@pytest.mark.parametrize("name", ["bsn", "gba-datum"])
def test_a_format_is_for_strings(type_: str, name: str) -> None:
    text = with_field(f'  {{"name": "x", "type": {type_}, "privacy": "code",\n   "format": "{name}"}}')
    only_fault(text, f'"format": "{name}"}}', "`x`")


# --- publishers, subject, municipality, answers ---


def test_everyone_may_publish_a_type_for_everyone() -> None:
    contract = contract_of(field("x", "int"), publishers=["*"])
    assert contract.may_publish("bron")
    assert contract.may_publish("whoever")


def test_only_the_roles_that_are_named_may_publish() -> None:
    contract = contract_of(field("x", "int"), publishers=["bron"])
    assert contract.may_publish("bron")
    assert not contract.may_publish("loket")


def test_a_publisher_that_is_no_role_is_refused_on_its_line() -> None:
    only_fault(changed(GOOD, '                 "loket"]', '                 "lokket"]'), '"lokket"', "no participant has the role `lokket`")


@pytest.mark.parametrize("publishers", ["[]", '"bron"', "null", "[5]", "{}"])
def test_publishers_are_a_list_of_roles(publishers: str) -> None:
    text = changed(GOOD, '["bron",\n                 "loket"]', publishers)
    only_fault(text, '"publishers"', "publisher")


def test_publishers_must_be_stated() -> None:
    text = changed(GOOD, '  "publishers": ["bron",\n                 "loket"],\n', "")
    only_fault(text, '"signal": {', "`publishers` is a list of names")


@pytest.mark.parametrize("name", ["bsnn", "soort", "contactrol", "adres", "vorderingen.bedrag_cent"])
def test_a_subject_field_that_identifies_no_one_is_refused_on_its_line(name: str) -> None:
    text = changed(GOOD, '"adres.postcode"],', f'"{name}"],')
    only_fault(text, f'              "{name}"],', f"subject field `{name}` is no identifier or address")


def test_an_identifier_in_an_array_is_no_subject_field() -> None:
    text = with_field('  {"name": "bsns", "type": {"type": "array", "items": "string"}, "format": "bsn", "privacy": "identifier"}')
    only_fault(changed(text, '"adres.postcode"],', '"bsns"],'), '              "bsns"],', "subject field `bsns`")


@pytest.mark.parametrize("subject", ['"bsn"', "[]", "5", '"@Keten"', "{}", "true"])
def test_a_subject_is_a_list_or_the_keten_or_null(subject: str) -> None:
    text = changed(GOOD, '["bsn",\n              "adres.postcode"]', subject)
    only_fault(text, '"subject"', "`subject` must be stated", '"@keten", or null')


def test_a_subject_must_be_stated_even_if_it_is_none() -> None:
    text = changed(GOOD, '  "subject": ["bsn",\n              "adres.postcode"],\n', "")
    only_fault(text, '"signal": {', "`subject` must be stated")


def test_a_subject_can_be_inherited_from_the_keten() -> None:
    contract = contract_of(field("x", "int"), subject="@keten")
    assert contract.inherits_subject


def test_an_anonymous_contract_has_no_subject() -> None:
    contract = contract_of(field("x", "int"), field("y", "string", privacy="organisation"), subject=None)
    assert contract.subject is None
    assert not contract.inherits_subject


@pytest.mark.parametrize("privacy", ["identifier", "address"])
def test_an_anonymous_contract_holds_nothing_that_points_at_a_person(privacy: str) -> None:
    inside = field("los", record("Los", field("lijst", array(record("Item", field("naam", "string", privacy=privacy))))))
    loaded = load_schema(schema_of(inside, subject=None))
    assert [fault.what for fault in loaded.faults] == ["an anonymous signal holds `los.lijst.naam`, which points at a person"]
    assert loaded.faults[0].line == line_of(json.dumps(schema_of(inside, subject=None), indent=1), '"subject"')


@pytest.mark.parametrize("key", ["betrokkene_geinformeerd", "contactrol"])
def test_a_contract_about_a_person_has_the_two_fields_on_how_it_was_done(key: str) -> None:
    text = changed(GOOD, f'"{key}"', '"iets_anders"')
    found = load_schema(text).faults
    assert [fault.line for fault in found] == [text.splitlines().index(' "fields": [') + 1]
    assert f"`{key}`" in found[0].what


@pytest.mark.parametrize(
    "type_",
    [
        '"string", "pattern": "JA"',
        '{"type": "enum", "name": "G", "symbols": ["JA", "NEE"], "default": "JA"}',
        '{"type": "enum", "name": "G", "symbols": ["JA", "NEE_SPOED", "NEE_VEILIGHEID", "NEE_NIET_BEREIKBAAR"], "default": "JA"}',
        '{"type": "array", "items": {"type": "enum", "name": "G", "default": "NVT", "symbols": '
        '["JA", "NEE_SPOED", "NEE_VEILIGHEID", "NEE_NIET_BEREIKBAAR", "NVT"]}}',
    ],
    ids=["text", "other symbols", "a symbol less", "array"],
)
def test_whether_the_person_was_told_is_an_enum_of_five(type_: str) -> None:
    schema = json.loads(GOOD)
    told = next(f for f in schema["fields"] if f["name"] == "betrokkene_geinformeerd")
    told.update(json.loads(f'{{"type": {type_}}}'))
    what = [fault.what for fault in load_schema(schema).faults]
    assert what == ["a contract about a person has the enum `betrokkene_geinformeerd`"]
    assert INFORMED == ("JA", "NEE_SPOED", "NEE_VEILIGHEID", "NEE_NIET_BEREIKBAAR", "NVT")


@pytest.mark.parametrize(
    "changes", [{"type": "int"}, {"privacy": "identifier"}, {"type": {"type": "array", "items": "string"}}, {"type": "Soort"}], ids=str
)
def test_the_contact_is_a_desk_code_and_never_a_name(changes: dict[str, Any]) -> None:
    schema = json.loads(GOOD)
    schema["fields"][-1].update(changes)
    if changes.get("type") == "int":
        del schema["fields"][-1]["pattern"]
    assert "a contract about a person has `contactrol`, a desk code" in [fault.what for fault in load_schema(schema).faults]


@pytest.mark.parametrize("subject", ["@keten", None])
def test_a_contract_without_subject_fields_needs_neither_of_the_two(subject: str | None) -> None:
    assert contract_of(field("x", "int"), subject=subject).leaves.keys() == {"x"}


@pytest.mark.parametrize("name", ["bsn", "gemeente", "adres", "adres.postcode", "soort"])
def test_the_municipality_is_a_field_with_format_gemeentecode(name: str) -> None:
    text = changed(GOOD, '"municipality": "gemeentecode"', f'"municipality": "{name}"')
    only_fault(text, '"municipality"', f"`municipality` names `{name}`")


def test_the_municipality_is_always_there() -> None:
    schema = json.loads(GOOD)
    schema["fields"][0]["type"] = ["null", "string"]
    assert [fault.what for fault in load_schema(schema).faults] == [
        "`municipality` names `gemeentecode`, which is not a required string with format gemeentecode"
    ]


def test_the_municipality_may_stand_in_a_record_but_not_in_an_array() -> None:
    inside = record("Waar", field("code", "string", format="gemeentecode", privacy="organisation"))
    assert contract_of(field("waar", inside), municipality="waar.code").municipality == "waar.code"
    assert load_schema(schema_of(field("waar", ["null", inside]), municipality="waar.code")).faults
    assert load_schema(schema_of(field("waar", array(inside)), municipality="waar.code")).faults


def test_a_contract_may_have_no_municipality_of_its_own() -> None:
    assert contract_of(field("x", "int")).municipality is None


@pytest.mark.parametrize("name", ["bsn", "geheimm", "soort"])
def test_secrecy_names_a_required_boolean(name: str) -> None:
    text = changed(GOOD, '"secrecy": "geheim"', f'"secrecy": "{name}"')
    only_fault(text, '"secrecy"', f"`secrecy` names `{name}`")


def test_a_contract_answers_types_that_exist() -> None:
    question = schema_of(field("x", "int"), type=QUESTION)
    loaded = load_schema(schema_of(field("x", "int"), answers=[QUESTION]), **{QUESTION: json.dumps(question)})
    assert loaded.unwrap().types[TYPE].contract.answers == (QUESTION,)


def test_an_answer_to_a_type_that_does_not_exist_is_reported_on_its_line() -> None:
    text = changed(GOOD, '"retention": "P6M"', f'"answers": ["{TYPE}",\n   "nl.test.bestaat-niet.v1"],\n  "retention": "P6M"')
    only_fault(text, "bestaat-niet", "answers a type that does not exist: nl.test.bestaat-niet.v1")


@pytest.mark.parametrize("answers", ['"nl.test.x.v1"', "null", "[5]", "{}"])
def test_answers_are_a_list_of_types(answers: str) -> None:
    text = changed(GOOD, '"retention": "P6M"', f'"answers": {answers},\n  "retention": "P6M"')
    only_fault(text, '"answers"', "`answers` is a list of names")


@pytest.mark.parametrize("key", ["subjects", "municipalty", "doc", "version"])
def test_an_unknown_key_in_signal_is_refused(key: str) -> None:
    only_fault(
        changed(GOOD, '"retention"', f'"{key}": null,\n  "retention"'), f'"{key}": null', f"unknown key `{key}` in `signal`", "publishers"
    )


@pytest.mark.parametrize("signal", ["", ' "signal": null,\n', ' "signal": "nl.test.x.v1",\n', ' "signal": [],\n'])
def test_a_contract_says_of_which_signal_it_is(signal: str) -> None:
    start, end = GOOD.index(' "signal": {'), GOOD.index(' "fields": [\n  {"name": "gemeentecode"')
    loaded = load_schema(GOOD[:start] + signal + GOOD[end:])
    assert faults(loaded) == [(FILE, 1, "the attribute `signal` is missing")]


@pytest.mark.parametrize("retention", ['"6 maanden"', "6", "null", '""', '"P"', '"6M"', "[]", '"P6M "'])
def test_retention_is_an_iso_duration(retention: str) -> None:
    only_fault(changed(GOOD, '"retention": "P6M"', f'"retention": {retention}'), '"retention"', "`retention` is an ISO 8601 duration")


@pytest.mark.parametrize("retention", ["-P6M", "P0D", "PT0S", "PT", "P1.5M", "P99999999999Y"])
def test_retention_is_a_time_that_passes_and_that_a_calendar_can_count(retention: str) -> None:
    only_fault(changed(GOOD, '"retention": "P6M"', f'"retention": "{retention}"'), '"retention"', "retention")


# --- type names ---


@pytest.mark.parametrize(
    "name",
    [
        "nl.test.ding-gebeurd",
        "nl.test.ding-gebeurd.v0",
        "nl.test.ding-gebeurd.v01",
        "nl.test.ding-gebeurd.1",
        "nl.test.Ding.v1",
        "nl.test.ding_gebeurd.v1",
        "nl.test.2ding.v1",
        "nl.test.ding-.v1",
        "nl.test.v1.ding.v2",
        "nl..ding.v1",
        "ding.v1.",
        "v1",
        "https://test.nl/ding.v1",
    ],
)
def test_a_type_name_is_a_reverse_domain_with_one_version(name: str) -> None:
    text = changed(GOOD, f'"type": "{TYPE}"', f'"type": "{name}"')
    loaded = load({"rules/participants.yaml": PARTICIPANTS, f"schemas/{name.replace('/', '')}.avsc": text})
    assert [(fault.line, fault.what) for fault in loaded.faults] == [
        (line_of(text, f'"type": "{name}"'), "the type name is no reverse domain with one version")
    ]


@pytest.mark.parametrize("value", ["null", "5", "[]"])
def test_a_type_name_is_text(value: str) -> None:
    only_fault(changed(GOOD, f'"type": "{TYPE}"', f'"type": {value}'), f'  "type": {value}', "the type name is no reverse domain")


def test_a_type_name_is_never_that_of_an_organisation() -> None:
    text = changed(GOOD, TYPE, "nl.bron.ding-gebeurd.v1")
    loaded = load({"rules/participants.yaml": PARTICIPANTS, "schemas/nl.bron.ding-gebeurd.v1.avsc": text})
    assert [fault.line for fault in loaded.faults] == [line_of(text, "nl.bron.ding-gebeurd.v1")]


def test_the_file_has_the_name_of_the_type() -> None:
    text = changed(GOOD, TYPE, "nl.test.ding-gebeurd.v2")
    only_fault(text, "ding-gebeurd.v2", "the file name is not the type name", "nl.test.ding-gebeurd.v2.avsc")


def test_types_under_the_name_of_the_hub_are_its_own() -> None:
    name = "nl.signaalhub.ding-gebeurd.v1"
    loaded = load({"rules/participants.yaml": PARTICIPANTS, f"schemas/{name}.avsc": changed(GOOD, TYPE, name)})
    assert [fault.what for fault in loaded.faults] == ["types under nl.signaalhub are the hub's own"]


# --- types of values ---


@pytest.mark.parametrize(
    "type_", ['"float"', '"double"', '["null", "double"]', '{"type": "array", "items": "float"}', '{"type": "double"}']
)
def test_amounts_are_never_floats(type_: str) -> None:
    only_fault(with_field(f'  {{"name": "x", "privacy": "financial", "type": {type_}}}'), '"x"', "`x` is a float", "eurocents in a long")


@pytest.mark.parametrize(
    "type_",
    ['"bytes"', '"null"', '{"type": "map", "values": "string"}', '{"type": "fixed", "name": "F", "size": 4}', '"Onbekend"',
     '{"type": "bytes", "logicalType": "decimal", "precision": 4}', '["null", "bytes"]', '{"type": "array", "items": "bytes"}'],
)  # fmt: skip
def test_types_that_contracts_do_not_use_are_refused(type_: str) -> None:
    only_fault(with_field(f'  {{"name": "x", "privacy": "code", "type": {type_}}}'), '"x"', "which contracts do not use")


@pytest.mark.parametrize("default", ["", ', "default": "C"', ', "default": null', ', "default": 0'])
def test_an_enum_has_a_default_that_is_one_of_its_symbols(default: str) -> None:
    text = with_field(f'  {{"name": "x", "privacy": "code", "type": {{"type": "enum", "name": "E", "symbols": ["A", "B"]{default}}}}}')
    only_fault(text, '"x"', "enum `x` has no default")


def test_the_default_of_a_field_is_not_that_of_its_enum() -> None:
    text = with_field('  {"name": "x", "privacy": "code", "type": {"type": "enum", "name": "E", "symbols": ["A"]}, "default": "A"}')
    only_fault(text, '"x"', "enum `x` has no default")


@pytest.mark.parametrize(
    "type_",
    [("int", "timestamp-millis"), ("long", "date"), ("string", "date"), ("long", "timestamp-micros"), ("int", "time-millis"),
     ("long", "local-timestamp-millis"), ("string", "uuid"), ("int", "datum")],
)  # fmt: skip
def test_dates_are_date_on_int_and_moments_timestamp_millis_on_long(type_: tuple[str, str]) -> None:
    base, logical = type_
    text = with_field(f'  {{"name": "x", "privacy": "identifier", "type": {{"type": "{base}", "logicalType": "{logical}"}}}}')
    only_fault(text, '"x"', f"`x` has logical type {logical} on {base}")


@pytest.mark.parametrize(
    ("type_", "default"),
    [('"int"', '"x"'), ('"int"', "1099511627776"), ('"int"', "1.5"), ('"Soort"', '"FOUT"'), ('["null", "string"]', '"x"'),
     ('"string", "maxLength": 2', '"abc"'), ('"string", "format": "bsn"', '"123456789"'), ('"string"', '"a\\nb"'), ('"boolean"', "1"),
     ('{"type": "array", "items": "int"}', '["x"]'),
     ('{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "privacy": "code"}]}', "{}")],
)  # fmt: skip
def test_a_default_is_a_value_that_the_field_may_hold(type_: str, default: str) -> None:
    """What a publisher leaves out gets the default, and nothing checks it after that."""
    text = with_field(f'  {{"name": "x", "privacy": "identifier", "default": {default}, "type": {type_}}}')
    loaded = load_schema(text)
    assert loaded.ruleset is None
    assert len(loaded.faults) == 1


# --- records and arrays ---


def test_a_named_type_is_defined_once() -> None:
    text = with_field('  {"name": "x", "privacy": "code", "type": {"type": "enum", "name": "Soort", "symbols": ["A"], "default": "A"}}')
    only_fault(text, '"x"', "the named type `Soort` is defined twice", "refer to it by name")


def test_a_record_is_defined_once() -> None:
    fields = '[{"name": "a", "type": "int", "privacy": "code"}]'
    text = with_field(f'  {{"name": "x", "type": {{"type": "record", "name": "Adres", "fields": {fields}}}}}')
    only_fault(text, '"x"', "the named type `Adres` is defined twice")


@pytest.mark.parametrize("type_", ['"Adres"', '["null", "Adres"]', '{"type": "array", "items": "Adres"}'])
def test_a_record_is_used_once(type_: str) -> None:
    only_fault(with_field(f'  {{"name": "x", "type": {type_}}}'), '"x"', "`x` uses a record a second time", "a record of its own")


@pytest.mark.parametrize("type_", ['["null", "DingGebeurd"]', '{"type": "array", "items": "DingGebeurd"}'])
def test_a_record_does_not_hold_itself(type_: str) -> None:
    only_fault(with_field(f'  {{"name": "x", "type": {type_}}}'), '"x"', "`x` uses a record a second time")


def test_an_array_holds_no_array() -> None:
    text = with_field('  {"name": "x", "privacy": "code", "type": {"type": "array", "items": {"type": "array", "items": "int"}}}')
    only_fault(text, '"x"', "`x` is an array within an array")


def test_an_array_holds_no_array_further_down() -> None:
    inner = '{"type": "record", "name": "R", "fields": [\n   {"name": "b", "privacy": "code", "type": {"type": "array", "items": "int"}}]}'
    text = with_field(f'  {{"name": "x", "type": {{"type": "array", "items": {inner}}}}}')
    only_fault(text, '"b"', "`x.b` is an array within an array")


@pytest.mark.parametrize("items", ['["null", "int"]', '["null", "Soort"]'])
def test_the_items_of_an_array_are_never_null(items: str) -> None:
    only_fault(
        with_field(f'  {{"name": "x", "privacy": "code", "type": {{"type": "array", "items": {items}}}}}'),
        '"x"',
        "`x` has items that may be null",
    )


def test_every_fault_of_a_file_is_reported_at_once() -> None:
    text = changed(GOOD, '"retention": "P6M"', '"retention": "lang"')
    text = changed(text, '"bedrag_cent", "type": "long", "privacy": "financial"', '"bedrag_cent", "type": "double", "privacy": "financial"')
    text = changed(text, '"huisnummer", "type": "int", "privacy": "address"', '"huisnummer", "type": "int"')
    text = changed(text, '"secrecy": "geheim"', '"secrecy": "bsn"')
    assert [fault.line for fault in load_schema(text).faults] == [
        line_of(text, marker) for marker in ('"secrecy"', '"retention"', '"huisnummer"', '"bedrag_cent"')
    ]


def test_a_fault_reads_as_file_line_what_and_fix() -> None:
    text = changed(GOOD, '"retention": "P6M"', '"retention": "lang"')
    assert [str(fault) for fault in load_schema(text).faults] == [
        f'{FILE}:{line_of(text, "retention")}: `retention` is an ISO 8601 duration; for example "P6M"'
    ]


# --- what may change within a version ---

OLD: Final = schema_of(
    field("soort", enum("Soort", "HUUR", "ZORG", "ONBEKEND")), field("aantal", "int"), field("op", DATE),
    field("los", record("Los", field("a", "int"))),
)  # fmt: skip


@pytest.fixture
def rulebooks() -> Iterator[Rulebooks]:
    """The rule sets of a hub in memory, with the old content of the type in use."""
    database = Database("sqlite://")
    database.create()
    books = Rulebooks(database, lambda: 0, CarryOver(Names(database), Keys({1: bytes(32)}), lambda: 0))
    books.adopt(load_schema(OLD).unwrap())
    yield books
    database.close()


def broken_by(rulebooks: Rulebooks, ruleset: RuleSet) -> list[Fault]:
    """Return what a rule set would break."""
    with rulebooks._database.read() as connection:
        return incompatible(connection, ruleset)


def edited(**changes: Any) -> dict[str, Any]:
    """Return the old content with fields added (`_add`), left out (None) or changed."""
    schema = copy.deepcopy(OLD)
    schema["fields"] += changes.pop("_add", [])
    for name, change in changes.items():
        place = next(i for i, f in enumerate(schema["fields"]) if f["name"] == name)
        if change is None:
            del schema["fields"][place]
        else:
            schema["fields"][place].update(change)
    return schema


COMPATIBLE: Final = {
    "the same again": edited(),
    "a field that may be left out": edited(_add=[field("x", ["null", "int"], default=None)]),
    "a field with a default": edited(_add=[field("x", "int", default=0)]),
    "a symbol more": edited(soort={"type": enum("Soort", "HUUR", "ZORG", "ENERGIE", "ONBEKEND")}),
    "another explanation": edited(aantal={"doc": "Hoeveel het er zijn."}),
    "another class": edited(aantal={"privacy": "financial"}),
    "a longer retention": edited() | {"signal": {**OLD["signal"], "retention": "P1Y"}},
}
INCOMPATIBLE: Final = {
    "a field that must be there": edited(_add=[field("x", "int")]),
    "a field that may be null but has no default": edited(_add=[field("x", ["null", "int"])]),
    "a field less": edited(aantal=None),
    "a nested field less": edited(los={"type": record("Los", field("b", "int", default=0))}),
    "another name": edited(aantal={"name": "hoeveel"}),
    "another type": edited(aantal={"type": "string", "pattern": ".*"}),
    "another record": edited(los={"type": record("Los", field("a", "boolean"))}),
    "an array of it": edited(aantal={"type": array("int")}),
    "another name of the record": edited() | {"name": "IetsAnders"},
}


@pytest.mark.parametrize("schema", COMPATIBLE.values(), ids=COMPATIBLE.keys())
def test_a_compatible_change_within_a_version_is_taken_up(rulebooks: Rulebooks, schema: dict[str, Any]) -> None:
    ruleset = load_schema(schema).unwrap()
    assert broken_by(rulebooks, ruleset) == []
    rulebooks.adopt(ruleset)
    assert rulebooks.current.ruleset.version == ruleset.version


@pytest.mark.parametrize("schema", INCOMPATIBLE.values(), ids=INCOMPATIBLE.keys())
def test_an_incompatible_change_within_a_version_is_refused_and_the_old_one_stays(rulebooks: Rulebooks, schema: dict[str, Any]) -> None:
    before = rulebooks.current
    ruleset = load_schema(schema).unwrap()
    assert {fault.file for fault in broken_by(rulebooks, ruleset)} == {FILE}
    with pytest.raises(FaultsError) as caught:
        rulebooks.adopt(ruleset)
    assert {(fault.file, fault.fix) for fault in caught.value.faults} == {(FILE, "undo the change, or make a new version beside this one")}
    assert rulebooks.current is before


def test_a_change_is_held_against_every_content_that_was_ever_stored(rulebooks: Rulebooks) -> None:
    extra = field("x", "int", default=0)
    rulebooks.adopt(load_schema(edited(_add=[extra])).unwrap())
    rulebooks.adopt(load_schema(edited(_add=[extra, field("y", "int", default=0)])).unwrap())
    renamed = edited(_add=[{**extra, "type": "string", "pattern": ".*", "default": ""}, field("y", "int", default=0)])
    with pytest.raises(FaultsError):
        rulebooks.adopt(load_schema(renamed).unwrap())


def test_a_new_version_may_break_and_both_run_side_by_side(rulebooks: Rulebooks) -> None:
    second = "nl.test.ding-gebeurd.v2"
    new = schema_of(field("heel_anders", "boolean"), type=second)
    book = rulebooks.adopt(load_schema(OLD, **{second: json.dumps(new)}).unwrap())
    assert {TYPE, second} <= book.contract_ids.keys()
    assert book.contract_ids[TYPE] != book.contract_ids[second]


def test_a_changed_class_or_logical_type_is_another_content_with_another_id(rulebooks: Rulebooks) -> None:
    """Avro's own canonical form leaves both out, so it cannot tell contents apart."""
    before = rulebooks.current
    after = rulebooks.adopt(load_schema(edited(aantal={"privacy": "sensitive"})).unwrap())
    assert after.ruleset.version != before.ruleset.version
    assert after.contract_ids[TYPE] != before.contract_ids[TYPE]
    assert rulebooks.schema(before.contract_ids[TYPE]) == OLD
