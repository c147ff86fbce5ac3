"""Views: a recipient's schema holds what was granted and nothing else, and transforms show less of it."""

from __future__ import annotations

import copy
import json
import re
from datetime import date
from typing import Any, Final

import fastavro
import pytest
from avro.schema import parse as parse_avro
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.codec import read_avro, to_json, write_avro
from hub.domain.contract import Contract
from hub.domain.data import checker
from hub.domain.loading import Loaded, load
from hub.domain.transforms import Circumstances, ViewError
from hub.domain.view import View, derive, field_grant
from tests.unit.test_contract import (
    DATE,
    FILE,
    MOMENT,
    PARTICIPANTS,
    TYPE,
    array,
    changed,
    contract_of,
    enum,
    field,
    line_of,
    record,
    schema_of,
)

HOUSE: Final = (
    field("postcode", "string", format="postcode", privacy="address"),
    field("huisnummer", "int", privacy="address"),
    field("huisletter", ["null", "string"], privacy="address", default=None),
    field("huisnummertoevoeging", ["null", "string"], privacy="address", default=None),
)
CONTRACT: Final = contract_of(
    field("soort", enum("Soort", "HUUR", "ZORG", "ANDERS"), doc="Het soort."),
    field("nul_soort", ["null", "Soort"], default=None),
    field("datum", DATE),
    field("nul_datum", ["null", DATE], default=None),
    field("gba", "string", format="gba-datum", privacy="identifier"),
    field("nul_gba", ["null", "string"], format="gba-datum", default=None),
    field("moment", MOMENT),
    field("aantal", "int"),
    field("bedrag_cent", "long", privacy="financial"),
    field("nul_bedrag", ["null", "long"], default=None),
    field("aan", "boolean"),
    field("nul_aan", ["null", "boolean"], default=None),
    field("naam", "string", privacy="identifier", maxLength=50),
    field("nul_naam", ["null", "string"], privacy="identifier", default=None),
    *HOUSE,
    field("nul_postcode", ["null", "string"], format="postcode", privacy="address", default=None),
    field("soorten", array("Soort")),
    field("namen", array("string"), privacy="identifier"),
    field("bedragen", array("long")),
    field("nul_bedragen", ["null", array("long")], default=None),
    field("dagen", array(DATE)),
    field("gba_dagen", array("string"), format="gba-datum"),
    field("nul_gba_dagen", ["null", array("string")], format="gba-datum", default=None),
    field("postcodes", array("string"), format="postcode", privacy="address"),
    field("a_b", "int"),
    field("a", record("A", field("b", "int"))),
    field("los", record("Los", field("nummer", "int"), field("soort", "Soort"), field("diep", record("Diep", field("dag", DATE))), *HOUSE)),
    field("nul_los", ["null", record("NulLos", field("dag", DATE), field("letter", ["null", "string"], default=None))], default=None),
    field(
        "lijst",
        array(
            record("Post", field("soort", "Soort"), field("bedrag", "long"), field("nul_dag", ["null", DATE]), field("geheim", "string"))
        ),
    ),
)
DATA: Final = {
    "soort": "HUUR", "datum": "2008-11-02", "gba": "19800229", "moment": "2026-11-02T08:00:00.123Z", "aantal": 3, "bedrag_cent": 5000,
    "aan": True, "naam": "Jansen", "postcode": "3511 AB", "huisnummer": 12, "soorten": ["HUUR", "ZORG"], "namen": ["Jan", "Piet"],
    "bedragen": [4999, 5000], "dagen": ["2026-01-31"], "gba_dagen": ["20260100", "00000000"], "postcodes": ["1234AB", "9999 ZZ"], "a_b": 1,
    "a": {"b": 2}, "los": {"nummer": 7, "soort": "ZORG", "diep": {"dag": "2026-05-01"}, "postcode": "1111AA", "huisnummer": 1},
    "lijst": [{"soort": "HUUR", "bedrag": 1, "nul_dag": None, "geheim": "x"}, {"soort": "ANDERS", "bedrag": 2, "nul_dag": "2026-02-28", "geheim": "y"}],
}  # fmt: skip
ADDRESS: Final = ("postcode", "huisnummer", "huisletter", "huisnummertoevoeging")
BY: Final = Circumstances(pseudonym=lambda value: f"pseudoniem-van-{value}", today=date(2026, 11, 2))
FLOW: Final = f"""flow: proef
purpose: Proef
activity: https://example.org/proef
grants:
  - id: proef.een
    signal: {TYPE}
    to: doel
    legal_basis: [wet-1]
    fields: []
    retention: P6M
    explain: U krijgt dit.
"""
Field = str | tuple[str, str]


def view_of(*fields: Field, grant: str = "proef.een", publisher: bool = False, contract: Contract = CONTRACT) -> View:
    grants = [field_grant(contract, *(item if isinstance(item, tuple) else (item, None))) for item in fields]
    return derive(contract, grant, "proef", "Een doel", grants, shows_publisher=publisher)


def received(view: View, by: Circumstances = BY, **changed: Any) -> dict[str, Any]:
    """Return what the recipient decodes, under the schema that it is given."""
    wire, issues = checker(CONTRACT, json=True)(DATA | changed)
    assert not issues
    before = copy.deepcopy(wire)
    encoded = write_avro(view.wire, view.project(wire, "bron", by))
    assert wire == before
    found: dict[str, Any] = to_json(read_avro(fastavro.parse_schema(view.schema), encoded))
    return found


def shown(*fields: Field, by: Circumstances = BY, **changed: Any) -> dict[str, Any]:
    return received(view_of(*fields), by, **changed)


def load_flow(flow: str) -> Loaded:
    grounds = "grounds:\n  - {id: wet-1, text: Wet 1, status: vastgesteld, source: test}\n"
    contract = json.dumps(schema_of(*CONTRACT.raw["fields"]))
    return load({"rules/participants.yaml": PARTICIPANTS, "rules/grounds.yaml": grounds, "rules/proef.yaml": flow, FILE: contract})


def refusal(*fields: Field) -> tuple[str, str]:
    with pytest.raises(ViewError) as caught:
        view_of(*fields)
    return caught.value.what, caught.value.fix


def names(avro: Any) -> Any:
    """Return the names of all fields in a schema, nested as they are."""
    if isinstance(avro, list):
        return names(avro[1])
    if isinstance(avro, dict) and avro["type"] == "array":
        return names(avro["items"])
    if isinstance(avro, dict) and avro["type"] == "record":
        return {one["name"]: names(one["type"]) for one in avro["fields"]}
    return None


# --- what was granted, and nothing else ---


def test_a_view_holds_the_granted_fields_only_in_the_order_of_the_contract() -> None:
    view = view_of("naam", "soort")
    assert list(names(view.schema)) == ["soort", "naam"]
    assert received(view) == {"soort": "HUUR", "naam": "Jansen"}


def test_a_field_in_a_record_is_granted_without_its_neighbours() -> None:
    view = view_of("los.nummer", "los.diep.dag")
    assert names(view.schema) == {"los": {"nummer": None, "diep": {"dag": None}}}
    assert received(view) == {"los": {"nummer": 7, "diep": {"dag": "2026-05-01"}}}


def test_a_field_in_the_items_of_an_array_is_granted_without_its_neighbours() -> None:
    view = view_of("lijst.bedrag", "lijst.nul_dag")
    assert names(view.schema) == {"lijst": {"bedrag": None, "nul_dag": None}}
    assert received(view) == {"lijst": [{"bedrag": 1, "nul_dag": None}, {"bedrag": 2, "nul_dag": "2026-02-28"}]}


def test_a_record_that_is_not_there_is_null_and_one_that_is_shows_what_was_granted() -> None:
    view = view_of("nul_los.dag")
    assert received(view) == {"nul_los": None}
    assert received(view, nul_los={"dag": "2026-01-01", "letter": "x"}) == {"nul_los": {"dag": "2026-01-01"}}


def test_values_of_every_type_arrive_as_they_were() -> None:
    plain = [
        "soort",
        "nul_soort",
        "datum",
        "moment",
        "aantal",
        "bedrag_cent",
        "aan",
        "nul_aan",
        "naam",
        "soorten",
        "bedragen",
        "dagen",
        "nul_bedragen",
    ]
    assert shown(*plain) == {name: DATA.get(name) for name in plain}


def test_a_view_says_what_it_was_made_for_and_keeps_the_explanations() -> None:
    schema = view_of("soort", "naam").schema
    assert {key: schema[key] for key in ("name", "namespace", "signal", "grant", "flow", "purpose")} == {
        "name": "Ding", "namespace": "nl.signaalhub.view.proef.een", "signal": TYPE, "grant": "proef.een", "flow": "proef", "purpose": "Een doel",
    }  # fmt: skip
    assert schema["fields"][0] == {
        "name": "soort", "privacy": "code", "doc": "Het soort.",
        "type": {"type": "enum", "name": "Soort", "symbols": ["HUUR", "ZORG", "ANDERS"], "default": "ANDERS"},
    }  # fmt: skip
    assert schema["fields"][1] == {"name": "naam", "type": "string", "privacy": "identifier", "maxLength": 50, "pattern": ".*"}


def test_a_named_type_is_written_out_where_it_is_first_granted_and_named_after_that() -> None:
    schema = view_of("nul_soort", "soorten", "los.soort", "lijst.soort").schema
    types = {one["name"]: one["type"] for one in schema["fields"]}
    assert types["nul_soort"] == ["null", {"type": "enum", "name": "Soort", "symbols": ["HUUR", "ZORG", "ANDERS"], "default": "ANDERS"}]
    assert types["soorten"] == {"type": "array", "items": "Soort"}
    assert types["los"]["fields"][0]["type"] == types["lijst"]["items"]["fields"][0]["type"] == "Soort"
    assert shown("nul_soort", "soorten", "los.soort", "lijst.soort")["lijst"] == [{"soort": "HUUR"}, {"soort": "ANDERS"}]


def test_a_view_is_plain_avro_and_leaves_no_trace_of_the_library() -> None:
    schema = view_of("nul_soort", "soorten", ("datum", "leeftijdsklasse"), ("nul_soort", "aanwezig"), "lijst.bedrag").schema
    parsed: Any = parse_avro(json.dumps(schema))
    assert parsed.fullname == "nl.signaalhub.view.proef.een.Ding"
    assert "__" not in json.dumps(schema)


@pytest.mark.parametrize("grant", ["proef", "proef-een.twee", "a.b.c", "proef.een-2", "proef.2015", "a..b", "a.", "a.-b"])
def test_any_grant_id_that_loads_gives_a_name_that_every_avro_reader_takes(grant: str) -> None:
    flow = changed(FLOW, "id: proef.een", f"id: {grant}")
    loaded = load_flow(changed(flow, "fields: []", "fields: [aantal]"))
    if loaded.ruleset is None:
        assert [fault.line for fault in loaded.faults] == [line_of(flow, f"id: {grant}")]
        assert re.search(r"\.(\d|\.|-|$)", grant)
    else:
        assert parse_avro(json.dumps(loaded.ruleset.grants[grant].view.schema))


def test_making_views_changes_nothing_of_the_contract() -> None:
    before = json.dumps(CONTRACT.raw)
    view_of("nul_soort", ("soort", "waarden(HUUR;anders:X)"), "lijst.bedrag", "los.soort", publisher=True)
    assert json.dumps(CONTRACT.raw) == before


def test_who_published_is_shown_only_when_it_is_granted() -> None:
    assert received(view_of("aantal", publisher=True)) == {"aantal": 3, "uitgever": "bron"}
    assert "uitgever" not in received(view_of("aantal"))


def test_a_default_of_a_field_does_not_name_what_was_not_granted() -> None:
    inside = record("R", field("a", "int"), field("geheim", "string", privacy="identifier"))
    contract = contract_of(field("los", inside, default={"a": 1, "geheim": "wie"}), field("x", "int"))
    assert "geheim" not in json.dumps(view_of("los.a", contract=contract).schema)


# --- what cannot be granted ---


@pytest.mark.parametrize("name", ["los", "lijst", "nul_los", "los.diep"])
def test_a_record_named_whole_is_refused_with_the_fields_to_choose_from(name: str) -> None:
    what, fix = refusal(name)
    assert what == f"`{name}` is a record: grant each field in it by name"
    assert fix.startswith(f"choose from {name}.")


@pytest.mark.parametrize("name", ["nam", "los.nummr", "lijst.bedrag.cent", "soort.HUUR", "lijst[0].bedrag", "", "uitgever", "*"])
def test_a_field_that_does_not_exist_is_refused(name: str) -> None:
    what, fix = refusal(name)
    assert what == f"`{name}` is no field of {TYPE}"
    assert fix.startswith("known: soort, nul_soort, ")


@pytest.mark.parametrize(
    ("fields", "twice"),
    [
        (("aantal", "aantal"), "aantal"),
        (("lijst.bedrag", "aantal", "lijst.bedrag"), "lijst.bedrag"),
        ((("datum", "jaar"), ("datum", "jaar")), "datum_jaar"),
        ((("bedrag_cent", "klasse(1)"), ("bedrag_cent", "klasse(2)")), "bedrag_cent_klasse"),
        (("soort", ("soort", "waarden(HUUR;anders:X)")), "soort"),
    ],
)
def test_two_fields_with_one_name_are_refused(fields: tuple[Field, ...], twice: str) -> None:
    assert refusal(*fields) == (f"`{twice}` is granted twice", "keep one of the two")


def test_a_transform_may_not_take_the_name_of_another_field() -> None:
    contract = contract_of(field("datum", DATE), field("datum_jaar", "int"))
    with pytest.raises(ViewError):
        view_of("datum_jaar", ("datum", "jaar"), contract=contract)


def test_one_field_may_be_shown_in_several_ways() -> None:
    assert shown("datum", ("datum", "jaar"), ("datum", "maand"), ("datum", "leeftijdsklasse")) == {
        "datum": "2008-11-02", "datum_jaar": 2008, "datum_maand": "2008-11", "datum_leeftijdsklasse": "VAN_18_TOT_27",
    }  # fmt: skip


@pytest.mark.parametrize("part", range(1, 15))
def test_whoever_gets_part_of_a_house_address_gets_all_of_it(part: int) -> None:
    some = [name for i, name in enumerate(ADDRESS) if part >> i & 1]
    for prefix in ("", "los."):
        what, fix = refusal(*(prefix + name for name in some))
        assert what == "the grant shows part of a house address"
        assert fix == f"also grant {', '.join(sorted(prefix + name for name in ADDRESS if name not in some))}, or use pc4"


def test_a_whole_house_address_may_be_granted() -> None:
    assert shown(*ADDRESS) == {"postcode": "3511 AB", "huisnummer": 12, "huisletter": None, "huisnummertoevoeging": None}


def test_each_house_in_a_contract_stands_by_itself() -> None:
    assert shown(*(f"los.{name}" for name in ADDRESS))["los"]["postcode"] == "1111AA"
    assert refusal(*ADDRESS, "los.huisnummer")[0] == "the grant shows part of a house address"


def test_less_than_a_house_may_be_shown() -> None:
    assert shown(("postcode", "pc4"), ("huisletter", "aanwezig")) == {"postcode_pc4": "3511", "huisletter_aanwezig": False}
    assert refusal(("postcode", "pc4"), "huisnummer")[0] == "the grant shows part of a house address"


# --- transforms ---


def test_a_pseudonym_stands_for_the_value() -> None:
    assert shown(("naam", "pseudoniem"), ("nul_naam", "pseudoniem"), ("namen", "pseudoniem"), ("lijst.geheim", "pseudoniem")) == {
        "naam_pseudoniem": "pseudoniem-van-Jansen",
        "nul_naam_pseudoniem": None,
        "namen_pseudoniem": ["pseudoniem-van-Jan", "pseudoniem-van-Piet"],
        "lijst": [{"geheim_pseudoniem": "pseudoniem-van-x"}, {"geheim_pseudoniem": "pseudoniem-van-y"}],
    }
    assert shown(("nul_naam", "pseudoniem"), nul_naam="Smit") == {"nul_naam_pseudoniem": "pseudoniem-van-Smit"}


def test_a_date_can_be_shown_as_its_year_or_month() -> None:
    assert shown(("datum", "jaar"), ("nul_datum", "jaar"), ("nul_los.dag", "jaar"), ("dagen", "jaar"), ("lijst.nul_dag", "jaar")) == {
        "datum_jaar": 2008,
        "nul_datum_jaar": None,
        "dagen_jaar": [2026],
        "nul_los": None,
        "lijst": [{"nul_dag_jaar": None}, {"nul_dag_jaar": 2026}],
    }
    assert shown(("datum", "maand"), ("nul_datum", "maand"), ("dagen", "maand"), ("los.diep.dag", "maand"), datum="0987-06-05") == {
        "datum_maand": "0987-06",
        "nul_datum_maand": None,
        "dagen_maand": ["2026-01"],
        "los": {"diep": {"dag_maand": "2026-05"}},
    }
    assert shown(("nul_los.dag", "maand"), nul_los={"dag": "2026-12-31"}) == {"nul_los": {"dag_maand": "2026-12"}}


@pytest.mark.parametrize(
    ("gba", "year", "month"),
    [
        ("20260901", 2026, "2026-09"),
        ("20260900", 2026, "2026-09"),
        ("20260000", 2026, None),
        ("00000000", None, None),
        ("00010101", 1, "0001-01"),
    ],
)
def test_of_a_date_with_unknown_parts_the_known_part_is_shown(gba: str, year: int | None, month: str | None) -> None:
    assert shown(("gba", "jaar"), ("gba", "maand"), gba=gba) == {"gba_jaar": year, "gba_maand": month}
    assert shown(("nul_gba", "jaar"), ("nul_gba", "maand"), nul_gba=gba) == {"nul_gba_jaar": year, "nul_gba_maand": month}


def test_a_date_with_unknown_parts_that_is_not_there_is_null() -> None:
    assert shown(("nul_gba", "jaar"), ("nul_gba", "maand"), ("nul_gba", "leeftijdsklasse")) == {
        "nul_gba_jaar": None, "nul_gba_maand": None, "nul_gba_leeftijdsklasse": None,
    }  # fmt: skip


def test_unknown_parts_may_stand_in_an_array_too() -> None:
    assert shown(("gba_dagen", "jaar"), ("gba_dagen", "maand"), ("gba_dagen", "leeftijdsklasse")) == {
        "gba_dagen_jaar": [2026, None],
        "gba_dagen_maand": ["2026-01", None],
        "gba_dagen_leeftijdsklasse": ["ONBEKEND", "ONBEKEND"],
    }
    assert shown(("nul_gba_dagen", "jaar"), nul_gba_dagen=["00000000"]) == {"nul_gba_dagen_jaar": [None]}
    assert shown(("nul_gba_dagen", "jaar")) == {"nul_gba_dagen_jaar": None}


@pytest.mark.parametrize(
    ("born", "today", "expected"),
    [
        ("2008-11-02", date(2026, 11, 1), "ONDER_18"),
        ("2008-11-02", date(2026, 11, 2), "VAN_18_TOT_27"),
        ("1999-11-02", date(2026, 11, 1), "VAN_18_TOT_27"),
        ("1999-11-02", date(2026, 11, 2), "VAN_27_TOT_67"),
        ("1959-11-02", date(2026, 11, 1), "VAN_27_TOT_67"),
        ("1959-11-02", date(2026, 11, 2), "VANAF_67"),
        ("2008-02-29", date(2026, 2, 28), "ONDER_18"),
        ("2008-02-29", date(2026, 3, 1), "VAN_18_TOT_27"),
        ("2000-02-29", date(2027, 2, 28), "VAN_18_TOT_27"),
        ("2000-02-29", date(2027, 3, 1), "VAN_27_TOT_67"),
        ("2008-12-31", date(2026, 12, 30), "ONDER_18"),
        ("2008-12-31", date(2026, 12, 31), "VAN_18_TOT_27"),
        ("2009-01-01", date(2026, 12, 31), "ONDER_18"),
        ("2026-11-02", date(2026, 11, 2), "ONDER_18"),
        ("2027-01-01", date(2026, 11, 2), "ONDER_18"),
        ("0001-01-01", date(2026, 11, 2), "VANAF_67"),
    ],
)
def test_an_age_class_changes_on_the_birthday(born: str, today: date, expected: str) -> None:
    """Whoever was born on 29 February has their birthday on 1 March in other years."""
    by = Circumstances(BY.pseudonym, today)
    assert shown(("datum", "leeftijdsklasse"), by=by, datum=born) == {"datum_leeftijdsklasse": expected}
    assert shown(("gba", "leeftijdsklasse"), by=by, gba=born.replace("-", "")) == {"gba_leeftijdsklasse": expected}


@pytest.mark.parametrize("gba", ["00000000", "19800000", "19800500", "20100000"])
def test_an_age_of_which_a_part_is_unknown_is_unknown(gba: str) -> None:
    assert shown(("gba", "leeftijdsklasse"), gba=gba) == {"gba_leeftijdsklasse": "ONBEKEND"}


def test_an_age_class_of_no_date_is_null_and_of_an_array_an_array() -> None:
    assert shown(("nul_datum", "leeftijdsklasse"), ("dagen", "leeftijdsklasse")) == {
        "nul_datum_leeftijdsklasse": None, "dagen_leeftijdsklasse": ["ONDER_18"],
    }  # fmt: skip


@pytest.mark.parametrize(("postcode", "four"), [("3511 AB", "3511"), ("3511AB", "3511"), ("1234ab", "1234")])
def test_of_a_postcode_the_digits_can_be_shown(postcode: str, four: str) -> None:
    assert shown(("postcode", "pc4"), postcode=postcode) == {"postcode_pc4": four}
    assert shown(("nul_postcode", "pc4"), ("postcodes", "pc4")) == {"nul_postcode_pc4": None, "postcodes_pc4": ["1234", "9999"]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-(2**63), "ONDER_5000"), (0, "ONDER_5000"), (4999, "ONDER_5000"), (5000, "VAN_5000_TOT_25000"), (5001, "VAN_5000_TOT_25000"),
        (24_999, "VAN_5000_TOT_25000"), (25_000, "VANAF_25000"), (2**63 - 1, "VANAF_25000"),
    ],
)  # fmt: skip
def test_a_class_of_an_amount_holds_its_lower_edge_and_not_its_upper(value: int, expected: str) -> None:
    assert shown(("bedrag_cent", "klasse(5000;25000)"), bedrag_cent=value) == {"bedrag_cent_klasse": expected}


@pytest.mark.parametrize(
    ("value", "expected"), [(-6, "ONDER_MIN_5"), (-5, "VAN_MIN_5_TOT_0"), (-1, "VAN_MIN_5_TOT_0"), (0, "VAN_0_TOT_5"), (5, "VANAF_5")]
)
def test_the_edges_of_a_class_may_be_negative(value: int, expected: str) -> None:
    assert shown(("bedrag_cent", "klasse(-5; 0; 5)"), bedrag_cent=value) == {"bedrag_cent_klasse": expected}


def test_a_class_of_nothing_is_null_and_of_an_array_an_array() -> None:
    fields = [(name, "klasse(5000)") for name in ("aantal", "nul_bedrag", "bedragen", "nul_bedragen", "lijst.bedrag")]
    assert shown(*fields) == {
        "aantal_klasse": "ONDER_5000",
        "nul_bedrag_klasse": None,
        "bedragen_klasse": ["ONDER_5000", "VANAF_5000"],
        "nul_bedragen_klasse": None,
        "lijst": [{"bedrag_klasse": "ONDER_5000"}, {"bedrag_klasse": "ONDER_5000"}],
    }
    assert shown(("nul_bedragen", "klasse(2)"), nul_bedragen=[1, 2]) == {"nul_bedragen_klasse": ["ONDER_2", "VANAF_2"]}


def test_two_classes_that_would_have_one_name_stay_apart() -> None:
    assert shown(("a_b", "klasse(1)"), ("a.b", "klasse(2)")) == {"a_b_klasse": "VANAF_1", "a": {"b_klasse": "VANAF_2"}}


def test_a_class_does_not_clash_with_an_enum_of_the_contract() -> None:
    contract = contract_of(field("soort", enum("AantalKlasse", "A", "B")), field("aantal", "int"))
    assert parse_avro(json.dumps(view_of("soort", ("aantal", "klasse(1)"), contract=contract).schema))


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("nul_datum", "2026-01-01"),
        ("nul_naam", ""),
        ("nul_bedrag", 0),
        ("nul_aan", False),
        ("nul_soort", "HUUR"),
        ("nul_postcode", "1234AB"),
    ],
)
def test_only_whether_something_is_there_can_be_shown(name: str, there: Any) -> None:
    assert shown((name, "aanwezig")) == {f"{name}_aanwezig": False}
    assert shown((name, "aanwezig"), **{name: there}) == {f"{name}_aanwezig": True}


def test_presence_is_never_null_and_works_inside_records_and_items() -> None:
    assert shown(("lijst.nul_dag", "aanwezig"), ("los.huisletter", "aanwezig"), ("nul_los.letter", "aanwezig")) == {
        "los": {"huisletter_aanwezig": False},
        "nul_los": None,
        "lijst": [{"nul_dag_aanwezig": False}, {"nul_dag_aanwezig": True}],
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"), [("nul_bedragen", None, False), ("nul_bedragen", [1], True), ("bedragen", [1, 2], True)]
)
def test_presence_of_an_array_is_one_answer(name: str, value: Any, *, expected: bool) -> None:
    assert shown((name, "aanwezig"), **{name: value}) == {f"{name}_aanwezig": expected}


def test_of_an_enum_some_symbols_can_be_shown_and_the_rest_as_one() -> None:
    transform = "waarden(HUUR;anders:IETS_ANDERS)"
    view = view_of(*((name, transform) for name in ("soort", "nul_soort", "soorten", "los.soort", "lijst.soort")))
    assert received(view) == {
        "soort": "HUUR",
        "nul_soort": None,
        "soorten": ["HUUR", "IETS_ANDERS"],
        "los": {"soort": "IETS_ANDERS"},
        "lijst": [{"soort": "HUUR"}, {"soort": "IETS_ANDERS"}],
    }
    assert received(view, soort="ZORG", nul_soort="ANDERS")["soort"] == "IETS_ANDERS"
    assert "ZORG" not in json.dumps(view.schema)


def test_the_rest_may_be_shown_as_one_of_the_symbols_or_be_everything() -> None:
    assert shown(("soort", "waarden(HUUR;anders:HUUR)"), soort="ZORG") == {"soort": "HUUR"}
    assert shown(("soort", "waarden(anders:ONDERZOEK)")) == {"soort": "ONDERZOEK"}


def test_a_transform_says_in_the_view_what_it_is_and_drops_what_no_longer_holds() -> None:
    schema = view_of(("nul_naam", "pseudoniem"), ("postcode", "pc4"), ("bedrag_cent", "klasse(1)")).schema
    fields = {one["name"]: one for one in schema["fields"]}
    assert fields["nul_naam_pseudoniem"] == {
        "name": "nul_naam_pseudoniem", "type": ["null", "string"], "privacy": "identifier", "transform": "pseudoniem",
    }  # fmt: skip
    assert fields["postcode_pc4"] == {"name": "postcode_pc4", "type": "string", "privacy": "address", "transform": "pc4"}
    assert fields["bedrag_cent_klasse"]["transform"] == "klasse(1)"


WRONG: Final = {
    "jaar": ["soort", "aantal", "naam", "moment", "aan", "postcode"],
    "maand": ["bedrag_cent", "naam", "moment"],
    "leeftijdsklasse": ["aantal", "naam", "moment"],
    "pc4": ["naam", "aantal", "gba", "datum"],
    "klasse(1)": ["naam", "datum", "moment", "soort", "aan"],
    "waarden(HUUR;anders:X)": ["naam", "aantal", "aan"],
    "pseudoniem": ["aantal", "datum", "aan", "soort", "moment"],
}


@pytest.mark.parametrize(("how", "name"), [(how, name) for how, names_ in WRONG.items() for name in names_])
def test_a_transform_that_does_not_fit_the_field_is_refused(how: str, name: str) -> None:
    assert f"`{name}`" in refusal((name, how))[0]


@pytest.mark.parametrize("how", ["jaren", "Jaar", "hash", "jaar()x", "klasse(1", "jaar jaar", "*", "md5"])
def test_the_list_of_transforms_is_closed(how: str) -> None:
    what, fix = refusal(("datum", how))
    assert what == f"`{how}` is no transform"
    assert fix == "known: pseudoniem, jaar, maand, leeftijdsklasse, pc4, klasse, aanwezig, waarden"


@pytest.mark.parametrize(
    ("name", "how"),
    [("datum", "jaar(1)"), ("datum", "maand(x)"), ("naam", "pseudoniem(2)"), ("postcode", "pc4(4)"), ("aan", "aanwezig(1)")],
)
def test_what_takes_no_arguments_is_given_none(name: str, how: str) -> None:
    assert refusal((name, how))[0].endswith("takes no arguments")


@pytest.mark.parametrize(
    "how", ["klasse", "klasse()", "klasse(a)", "klasse(2;1)", "klasse(1;1)", "klasse(1.5)", "klasse(1;)", "klasse(1,2)"]
)
def test_the_edges_of_classes_are_whole_numbers_that_go_up(how: str) -> None:
    assert refusal(("bedrag_cent", how))[0] == "`klasse` takes whole numbers that go up"


@pytest.mark.parametrize(
    "how",
    ["waarden", "waarden()", "waarden(HUUR)", "waarden(FOUT;anders:X)", "waarden(HUUR;anders:X;anders:Y)", "waarden(HUUR;anders:)",
     "waarden(HUUR;anders:x y)", "waarden(HUUR;HUUR;anders:X)"],
)  # fmt: skip
def test_the_symbols_to_show_are_of_the_enum_and_one_stands_for_the_rest(how: str) -> None:
    assert refusal(("soort", how))[0].startswith("`waarden` needs")


def test_a_fault_in_the_fields_of_a_grant_stands_on_the_line_of_the_field() -> None:
    fields = ["aantal", "naam_fout", "los", "{datum: pc4}", "{soort: waarden(HUUR;HUUR;anders:X)}"]
    flow = changed(FLOW, "fields: []", "fields:" + "".join(f"\n      - {item}" for item in fields))
    found = load_flow(flow).faults
    assert [fault.line for fault in found] == [line_of(flow, marker) for marker in ("naam_fout", "- los", "pc4", "waarden")]


# --- any grant, any data ---

_PLAIN: Final = sorted(name for name in CONTRACT.leaves if name.rpartition(".")[2] not in ADDRESS)
_HOW: Final = ("pseudoniem", "jaar", "maand", "leeftijdsklasse", "pc4", "klasse(1;5000)", "aanwezig", "waarden(HUUR;anders:X)")


def _fits(item: tuple[str, str]) -> bool:
    try:
        field_grant(CONTRACT, *item)
    except ViewError:
        return False
    return True


_TRANSFORMED: Final = [item for name in sorted(CONTRACT.leaves) for how in _HOW if _fits(item := (name, how))]


def _paths(value: Any, path: str = "") -> set[str]:
    """Return the dotted names of everything in what was received."""
    if isinstance(value, list):
        return set().union(*(_paths(item, path) for item in value)) if any(isinstance(i, dict) for i in value) else {path}
    if isinstance(value, dict):
        return set().union(*(_paths(item, f"{path}.{name}".lstrip(".")) for name, item in value.items()))
    return {path}


def test_every_transform_was_tried_on_something() -> None:
    assert {how for _, how in _TRANSFORMED} == set(_HOW)


@pytest.mark.parametrize("item", _TRANSFORMED, ids=lambda item: f"{item[0]}: {item[1]}")
def test_every_transform_gives_what_its_schema_promises(item: tuple[str, str]) -> None:
    suffix = "" if item[1].startswith("waarden") else f"_{item[1].partition('(')[0]}"
    filled: dict[str, Any] = {"nul_los": {"dag": "2026-01-01"}, "nul_bedragen": [1], "nul_gba_dagen": ["20260101"]}
    empty: dict[str, Any] = {}
    for more in (empty, filled):
        assert _paths(shown(item, **more)) - {"nul_los"} <= {item[0] + suffix}


@settings(deadline=None)
@given(st.lists(st.sampled_from(_PLAIN), unique=True), st.lists(st.sampled_from(_TRANSFORMED), unique=True, max_size=6))
def test_no_delivered_byte_decodes_to_a_field_that_was_not_granted(plain: list[str], transformed: list[tuple[str, str]]) -> None:
    try:
        view = view_of(*plain, *transformed)
    except ViewError as exc:
        assert exc.what.endswith("is granted twice")
        return
    granted = {grant.shown_as for grant in view.grants}
    parents = {name.rpartition(".")[0] for name in granted}
    found = received(view)
    assert _paths(found) - {""} <= granted | parents
    top = {name.partition(".")[0] for name in granted}
    assert found.keys() == top
