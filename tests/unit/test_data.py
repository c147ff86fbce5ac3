"""The check of data against its contract: every fault at once, nothing guessed, nothing repeated."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.codec import UnreadableError, read_avro, to_json, write_avro
from hub.domain.contract import Contract, Leaf
from hub.domain.data import Issue, checker, parse_moment
from hub.domain.formats import FORMATS
from hub.domain.terms import AMSTERDAM
from hub.domain.view import parse_wire
from tests.unit.test_contract import DATE, MOMENT, array, contract_of, enum, field, record

BSN: Final = "999990019"
NAIVE: Final = datetime(2026, 11, 2)  # noqa: DTZ001
CONTRACT: Final = contract_of(
    field("soort", enum("Soort", "HUUR", "ZORG")),
    field("nul_soort", ["null", "Soort"], default=None),
    field("aantal", "int"),
    field("bedrag", "long"),
    field("nul_bedrag", ["null", "long"], default=None),
    field("aan", "boolean"),
    field("op", DATE),
    field("nul_op", ["null", DATE], default=None),
    field("moment", MOMENT),
    {"name": "naam", "type": "string", "privacy": "identifier"},
    {"name": "kort", "type": ["null", "string"], "privacy": "identifier", "maxLength": 3, "default": None},
    field("kenmerk", ["null", "string"], pattern="[A-Z]{2}", default=None),
    field("bsn", ["null", "string"], format="bsn", default=None),
    field("sinds", ["null", "string"], format="gba-datum", default=None),
    field("soorten", array("Soort"), default=[]),
    field("namen", array("string"), privacy="identifier", default=[]),
    field("dagen", ["null", array(DATE)], default=None),
    field("los", record("Los", field("nummer", "int"), field("letter", ["null", "string"], default=None))),
    field("nul_los", ["null", record("NulLos", field("nummer", "int"))], default=None),
    field(
        "lijst",
        array(record("Post", field("bedrag", "long"), field("diep", record("Diep", field("dag", DATE), field("s", ["null", "Soort"]))))),
    ),
)
SMALL: Final = {
    "soort": "HUUR", "aantal": 1, "bedrag": 2, "aan": True, "op": "2026-11-02", "moment": "2026-11-02T09:00:00+01:00",
    "naam": "Jansen", "los": {"nummer": 1}, "lijst": [],
}  # fmt: skip
CHECK_JSON: Final = checker(CONTRACT, json=True)
CHECK_WIRE: Final = checker(CONTRACT, json=False)
WIRE: Final = parse_wire(CONTRACT.raw)
LOGICAL: Final = fastavro.parse_schema(CONTRACT.raw)
GOOD_WIRE: Final = CHECK_JSON(SMALL)[0]


def issues_of(**changed: Any) -> list[Issue]:
    """Return what is wrong with the small record, as JSON, after these changes."""
    return CHECK_JSON(SMALL | changed)[1]


def wire_issues_of(**changed: Any) -> list[Issue]:
    return CHECK_WIRE(GOOD_WIRE | changed)[1]


# --- what is right ---


def test_what_is_left_out_gets_the_default_and_everything_else_its_wire_value() -> None:
    values, issues = CHECK_JSON(SMALL)
    assert issues == []
    assert values == {
        "soort": "HUUR", "nul_soort": None, "aantal": 1, "bedrag": 2, "nul_bedrag": None, "aan": True, "op": 20_759, "nul_op": None,
        "moment": 1_793_606_400_000, "naam": "Jansen", "kort": None, "kenmerk": None, "bsn": None, "sinds": None, "soorten": [], "namen": [],
        "dagen": None, "los": {"nummer": 1, "letter": None}, "nul_los": None, "lijst": [],
    }  # fmt: skip


def test_wire_values_that_are_right_stay_as_they_are() -> None:
    values, issues = CHECK_WIRE(GOOD_WIRE)
    assert issues == []
    assert values == GOOD_WIRE


def test_everything_that_may_be_there_may_be_there() -> None:
    full = SMALL | {
        "nul_soort": "ZORG", "nul_bedrag": 2**40, "nul_op": "1970-01-01", "kort": "abc", "kenmerk": "AB", "bsn": BSN, "sinds": "20260900",
        "soorten": ["HUUR", "ZORG"], "namen": ["a", ""], "dagen": ["1969-12-31"], "los": {"nummer": 1, "letter": "x"}, "nul_los": {"nummer": 2},
        "lijst": [{"bedrag": 1, "diep": {"dag": "2026-02-28", "s": None}}, {"bedrag": 2, "diep": {"dag": "2026-03-01", "s": "HUUR"}}],
    }  # fmt: skip
    values, issues = CHECK_JSON(full)
    assert issues == []
    assert values["dagen"] == [-1]
    assert [item["diep"]["dag"] for item in values["lijst"]] == [20_512, 20_513]
    assert CHECK_WIRE(values) == (values, [])


def test_the_check_changes_nothing_of_what_it_was_given() -> None:
    given_data = SMALL | {"los": {"nummer": 1}}
    CHECK_JSON(given_data)
    assert given_data == SMALL


# --- numbers ---


@pytest.mark.parametrize("issues", [issues_of, wire_issues_of])
@pytest.mark.parametrize(
    "value", [1.9, 1.0, -0.0, True, False, "1", "", None, [1], {"int": 1}, ("int", 1), Decimal(1), b"1", float("nan")], ids=repr
)
def test_only_a_whole_number_is_an_int(value: Any, issues: Any) -> None:
    """The Avro library would write 1.9 as 1 and true as 1, without a word."""
    assert issues(aantal=value) == [("verkeerd-type", "aantal")]
    assert issues(bedrag=value) == [("verkeerd-type", "bedrag")]


@pytest.mark.parametrize("issues", [issues_of, wire_issues_of])
def test_a_number_must_fit_its_type(issues: Any) -> None:
    assert issues(aantal=2**31 - 1, bedrag=2**63 - 1) == issues(aantal=-(2**31), bedrag=-(2**63)) == []
    assert issues(aantal=2**40) == issues(aantal=2**31) == issues(aantal=-(2**31) - 1) == [("getal-te-groot", "aantal")]
    assert issues(bedrag=2**63) == issues(bedrag=-(2**63) - 1) == [("getal-te-groot", "bedrag")]
    assert issues(nul_bedrag=2**63) == [("getal-te-groot", "nul_bedrag")]


def test_an_int_that_came_too_large_in_avro_is_seen_after_decoding() -> None:
    """The library decodes it without complaint."""
    long = fastavro.parse_schema({"type": "record", "name": "X", "fields": [{"name": "aantal", "type": "long"}]})
    short = fastavro.parse_schema({"type": "record", "name": "X", "fields": [{"name": "aantal", "type": "int"}]})
    decoded = read_avro(short, write_avro(long, {"aantal": 2**40}))
    assert wire_issues_of(**decoded) == [("getal-te-groot", "aantal")]


@pytest.mark.parametrize("value", [1, 0, "true", "JA", None, [], {}], ids=repr)
def test_only_true_and_false_are_a_boolean(value: Any) -> None:
    assert issues_of(aan=value) == wire_issues_of(aan=value) == [("verkeerd-type", "aan")]


# --- text ---


@pytest.mark.parametrize("value", [1, None, True, ["x"], {"string": "x"}, ("string", "x"), b"x"], ids=repr)
def test_only_text_is_a_string(value: Any) -> None:
    assert issues_of(naam=value) == wire_issues_of(naam=value) == [("verkeerd-type", "naam")]


@pytest.mark.parametrize("issues", [issues_of, wire_issues_of])
@pytest.mark.parametrize(
    "text",
    [
        "x" * 201,
        "a\nb",
        "a\r",
        "\n",
        "a\tb",
        "\x00",
        "a\x1f",
        "a\x7f",
        "a\x85b",
        "a\u2028b",
        "a\u2029b",
        "\ud800",
        "a\udfff",
        "\ud83d \ude00",
    ],
    ids=ascii,
)
def test_text_is_one_line_of_at_most_200_characters(text: str, issues: Any) -> None:
    assert issues(naam=text) == [("tekst-ongeldig", "naam")]


@pytest.mark.parametrize("text", ["x" * 200, "", " ", "é" * 200, "😀" * 200, "Van 't Hof-Öztürk", "a\u00a0b", "\u202e"], ids=ascii)
def test_any_other_text_is_text(text: str) -> None:
    assert issues_of(naam=text) == wire_issues_of(naam=text) == []


def test_a_contract_may_allow_less() -> None:
    assert issues_of(kort="abc") == []
    assert issues_of(kort="abcd") == [("tekst-ongeldig", "kort")]


@pytest.mark.parametrize("text", ["A", "ABC", "ab", "AB ", " AB", "xABx", ""])
def test_a_pattern_fits_the_whole_text(text: str) -> None:
    assert issues_of(kenmerk=text) == [("patroon-klopt-niet", "kenmerk")]


def test_a_format_is_checked_under_its_own_code() -> None:
    assert issues_of(bsn="123456789") == wire_issues_of(bsn="123456789") == [("bsn-ongeldig", "bsn")]
    assert issues_of(sinds="20261301") == [("gba-datum-ongeldig", "sinds")]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_is_checked_at_admission(name: str) -> None:
    check = checker(contract_of(field("x", "string", format=name)), json=True)
    assert check({"x": "onzin!"})[1] == [(FORMATS[name][1], "x")]


def test_every_item_of_an_array_of_strings_is_checked() -> None:
    assert issues_of(namen=["goed", "fout\n", 5, "x" * 201]) == [
        ("tekst-ongeldig", "namen[1]"),
        ("verkeerd-type", "namen[2]"),
        ("tekst-ongeldig", "namen[3]"),
    ]


@pytest.mark.parametrize("value", ["huur", "", "HUUR ", "FOUT"])
def test_an_enum_is_one_of_its_symbols(value: str) -> None:
    assert issues_of(soort=value) == wire_issues_of(soort=value) == [("waarde-onbekend", "soort")]
    assert issues_of(nul_soort=value) == [("waarde-onbekend", "nul_soort")]
    assert issues_of(soorten=["HUUR", value]) == [("waarde-onbekend", "soorten[1]")]


@pytest.mark.parametrize("value", [0, None, True, ["HUUR"], {"Soort": "HUUR"}, ("Soort", "HUUR")], ids=repr)
def test_an_enum_is_text(value: Any) -> None:
    assert issues_of(soort=value) == wire_issues_of(soort=value) == [("verkeerd-type", "soort")]


# --- dates and moments ---


@pytest.mark.parametrize("text", ["0001-01-01", "1969-12-31", "2028-02-29", "9999-12-31"])
def test_a_date_is_a_day_of_the_calendar(text: str) -> None:
    values, issues = CHECK_JSON(SMALL | {"op": text})
    assert issues == []
    assert date(1970, 1, 1).toordinal() + values["op"] == date.fromisoformat(text).toordinal()


@pytest.mark.parametrize(
    "text",
    ["2026-02-29", "2026-13-01", "2026-1-1", "20260101", "2026-W45-1", "02-11-2026", "2026-11-02T00:00:00Z", " 2026-11-02", "2026-11-02\n", "",
     "0000-01-01", "10000-01-01", "２０２６-11-02"],
)  # fmt: skip
def test_what_is_no_day_is_no_date(text: str) -> None:
    assert issues_of(op=text) == [("datum-ongeldig", "op")]


@pytest.mark.parametrize("value", [20_759, 20_759.0, True, None, [], date(2026, 11, 2), datetime(2026, 11, 2, tzinfo=UTC)], ids=repr)
def test_a_date_in_json_is_text(value: Any) -> None:
    assert issues_of(op=value) == [("verkeerd-type", "op")]


@pytest.mark.parametrize("value", ["2026-11-02", 20_759.0, True, None, date(2026, 11, 2), datetime(2026, 11, 2, tzinfo=UTC)], ids=repr)
def test_a_date_on_the_wire_is_a_number_of_days(value: Any) -> None:
    """The Avro library would take all of these, and cut the time off in UTC."""
    assert wire_issues_of(op=value) == [("verkeerd-type", "op")]


def test_a_date_on_the_wire_lies_on_the_calendar() -> None:
    assert wire_issues_of(op=-719_162) == wire_issues_of(op=2_932_896) == []
    assert wire_issues_of(op=-719_163) == wire_issues_of(op=2_932_897) == [("getal-te-groot", "op")]


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-02T09:00:00+01:00", 1_793_606_400_000),
        ("2026-11-02T08:00:00Z", 1_793_606_400_000),
        ("2026-11-02T08:00:00.123Z", 1_793_606_400_123),
        ("2026-11-02T08:00:00.1239Z", 1_793_606_400_123),
        ("2026-10-25T02:30:00+02:00", 1_792_888_200_000),
        ("2026-10-25T02:30:00+01:00", 1_792_891_800_000),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_a_moment_is_an_instant_to_the_millisecond(text: str, ms: int) -> None:
    assert parse_moment(text) == ms
    assert CHECK_JSON(SMALL | {"moment": text})[0]["moment"] == ms


@pytest.mark.parametrize(
    "text",
    ["2026-11-02T09:00:00", "2026-11-02 09:00:00", "2026-11-02", "09:00:00Z", "2026-11-02T24:00:00Z", "2026-11-02T09:61:00Z", "2026-02-29T09:00:00Z",
     "nu", "", "1793606400000", "2026-11-02T09:00:00 Europe/Amsterdam", "20261102T090000Z", "2026-W45-1T09:00:00Z", "2026-11-02T090000Z"],
)  # fmt: skip
def test_a_moment_without_zone_or_out_of_form_is_none(text: str) -> None:
    assert parse_moment(text) is None
    assert issues_of(moment=text) == [("tijdstip-ongeldig", "moment")]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.999-01:00"])
def test_a_moment_that_lies_outside_the_calendar_in_utc_is_none(text: str) -> None:
    """Nobody could read it back: the year would be 0 or 10000."""
    assert issues_of(moment=text) == [("tijdstip-ongeldig", "moment")]


@pytest.mark.parametrize("value", [1_793_606_400_000, 1.5, True, None, datetime(2026, 11, 2, tzinfo=UTC)], ids=repr)
def test_a_moment_in_json_is_text(value: Any) -> None:
    assert issues_of(moment=value) == [("verkeerd-type", "moment")]


@pytest.mark.parametrize("value", ["2026-11-02T08:00:00Z", 1.5, True, None, NAIVE, datetime(2026, 11, 2, tzinfo=UTC)], ids=repr)
def test_a_moment_on_the_wire_is_a_number_of_milliseconds(value: Any) -> None:
    assert wire_issues_of(moment=value) == [("verkeerd-type", "moment")]


def test_a_moment_on_the_wire_lies_on_the_calendar() -> None:
    assert wire_issues_of(moment=-62_135_596_800_000) == wire_issues_of(moment=253_402_300_799_999) == []
    assert wire_issues_of(moment=-62_135_596_800_001) == wire_issues_of(moment=253_402_300_800_000) == [("getal-te-groot", "moment")]


@settings(deadline=None)
@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_any_moment_reads_back_as_it_was_written(ms: int) -> None:
    text = to_json(read_avro(fastavro.parse_schema(MOMENT), write_avro("long", ms)))
    assert parse_moment(text) == ms


# --- fields too many and too few ---


def test_a_field_that_is_not_in_the_contract_is_refused_and_its_name_not_repeated() -> None:
    assert issues_of(**{BSN: 1}) == wire_issues_of(**{BSN: 1}) == [("veld-onbekend", "")]
    assert issues_of(los={"nummer": 1, BSN: "x"}) == [("veld-onbekend", "los")]
    assert issues_of(lijst=[{"bedrag": 1, "diep": {"dag": "2026-01-01", "s": None, BSN: 1}}]) == [("veld-onbekend", "lijst[0].diep")]
    assert BSN not in str(issues_of(**{BSN: BSN, "los": {BSN: BSN, "nummer": BSN}, "lijst": [{BSN: BSN}]}))


def test_every_field_that_must_be_there_is_named() -> None:
    assert CHECK_JSON({})[1] == CHECK_WIRE({})[1] == [
        ("veld-ontbreekt", name) for name in ("soort", "aantal", "bedrag", "aan", "op", "moment", "naam", "los", "lijst")
    ]  # fmt: skip


def test_a_field_that_may_be_null_but_has_no_default_must_be_there() -> None:
    assert issues_of(lijst=[{"bedrag": 1, "diep": {"dag": "2026-01-01"}}]) == [("veld-ontbreekt", "lijst[0].diep.s")]


@pytest.mark.parametrize("name", ["soort", "aantal", "bedrag", "aan", "op", "moment", "naam", "los", "lijst", "soorten", "namen"])
def test_null_is_no_value_of_a_field_that_may_not_be_null(name: str) -> None:
    assert issues_of(**{name: None}) == wire_issues_of(**{name: None}) == [("verkeerd-type", name)]


@pytest.mark.parametrize("value", [None, 1, "x", [], ("nummer", 1), [("nummer", 1)]], ids=repr)
def test_a_record_is_an_object(value: Any) -> None:
    assert issues_of(los=value) == [("verkeerd-type", "los")]
    assert CHECK_JSON(value)[1] == [("verkeerd-type", "")]
    assert issues_of(lijst=[value]) == [("verkeerd-type", "lijst[0]")]


@pytest.mark.parametrize("value", [1, "x", {}, ({"bedrag": 1},), {"0": 1}], ids=repr)
def test_an_array_is_a_list(value: Any) -> None:
    assert issues_of(lijst=value) == wire_issues_of(lijst=value) == [("verkeerd-type", "lijst")]


@pytest.mark.parametrize("value", [("Los", {"nummer": 1}), {"Los": {"nummer": 1}}, {"-type": "Los", "nummer": 1}], ids=repr)
def test_no_other_way_of_writing_a_union_is_taken(value: Any) -> None:
    """The Avro library takes the tuple form, and a type hint inside a record."""
    assert issues_of(nul_los=value)
    assert wire_issues_of(nul_los=value)


def test_all_faults_come_at_once_each_with_its_path() -> None:
    data = SMALL | {
        "soort": "FOUT", "aantal": 1.9, "bedrag": 2**63, "op": "gisteren", "naam": "x\n", "extra": 1, "los": {"letter": 5},
        "lijst": [{"bedrag": 1, "diep": {"dag": "2026-01-01", "s": None}}, {"bedrag": "1", "diep": {"dag": "x", "s": "FOUT", "y": 1}}, 5],
    }  # fmt: skip
    del data["moment"]
    assert CHECK_JSON(data)[1] == [
        ("waarde-onbekend", "soort"), ("verkeerd-type", "aantal"), ("getal-te-groot", "bedrag"), ("datum-ongeldig", "op"),
        ("veld-ontbreekt", "moment"), ("tekst-ongeldig", "naam"), ("veld-ontbreekt", "los.nummer"), ("verkeerd-type", "los.letter"),
        ("verkeerd-type", "lijst[1].bedrag"), ("datum-ongeldig", "lijst[1].diep.dag"), ("waarde-onbekend", "lijst[1].diep.s"),
        ("veld-onbekend", "lijst[1].diep"), ("verkeerd-type", "lijst[2]"), ("veld-onbekend", ""),
    ]  # fmt: skip


# --- what passes can be encoded, and decodes to the same ---

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200)
_IN_UTC = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
_IN_DUTCH_TIME = st.datetimes(datetime(1941, 1, 1), datetime(9999, 12, 30), timezones=st.just(AMSTERDAM))  # noqa: DTZ001


def _json_value(leaf: Leaf) -> st.SearchStrategy[Any]:
    by_kind: dict[str, st.SearchStrategy[Any]] = {
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "boolean": st.booleans(),
        "enum": st.sampled_from(leaf.symbols or ("",)),
        "date": st.dates().map(date.isoformat),
        "timestamp": (_IN_UTC | _IN_DUTCH_TIME).map(datetime.isoformat),
        "gba-datum": st.dates(min_value=date(1000, 1, 1)).map(lambda day: f"{day:%Y%m}00"),
        "string": {"bsn": st.just(BSN)}.get(leaf.format or "", st.just("AB") if leaf.dotted == "kenmerk" else _TEXT),
    }
    value = by_kind[leaf.kind]
    return value.map(lambda text: text[:3]) if leaf.dotted == "kort" else value


def _json_record(avro: dict[str, Any], contract: Contract, path: str = "") -> st.SearchStrategy[dict[str, Any]]:
    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    for one in avro["fields"]:
        type_, null = one["type"], False
        if isinstance(type_, list):
            type_, null = type_[1], True
        many = isinstance(type_, dict) and type_["type"] == "array"
        inner = type_["items"] if many else type_
        here = f"{path}{one['name']}"
        nested = isinstance(inner, dict) and inner["type"] == "record"
        value = _json_record(inner, contract, f"{here}.") if nested else _json_value(contract.leaves[here])
        value = st.lists(value, max_size=3) if many else value
        (optional if "default" in one else required)[one["name"]] = st.none() | value if null else value
    return st.fixed_dictionaries(required, optional=optional)


RECORDS: Final = _json_record(CONTRACT.raw, CONTRACT)
ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["HUUR", "2026-11-02", BSN]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["nummer", "bedrag", "diep", "dag", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(RECORDS)
def test_whatever_passes_the_check_can_be_encoded_and_decodes_to_the_same(data: dict[str, Any]) -> None:
    values, issues = CHECK_JSON(data)
    assert issues == []
    encoded = write_avro(WIRE, values)
    assert read_avro(WIRE, encoded) == values
    assert CHECK_WIRE(values) == (values, [])
    assert CHECK_JSON(to_json(read_avro(LOGICAL, encoded))) == (values, [])


@settings(deadline=None)
@given(RECORDS, st.sampled_from([f["name"] for f in CONTRACT.raw["fields"]]), ANYTHING)
def test_whatever_is_put_into_a_field_is_refused_or_can_be_encoded(data: dict[str, Any], name: str, value: Any) -> None:
    for check in (CHECK_JSON, CHECK_WIRE):
        values, issues = check({**(data if check is CHECK_JSON else CHECK_JSON(data)[0]), name: value})
        if not issues:
            assert read_avro(WIRE, write_avro(WIRE, values)) == values
            assert to_json(read_avro(LOGICAL, write_avro(WIRE, values)))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_bytes_that_are_no_record_are_unreadable_and_nothing_else(data: bytes) -> None:
    try:
        decoded = read_avro(WIRE, data)
    except UnreadableError as exc:
        assert exc.args == ()
    else:
        CHECK_WIRE(decoded)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 255))
def test_a_damaged_record_is_unreadable_or_checked_like_any_other(place: int, value: int) -> None:
    encoded = bytearray(write_avro(WIRE, GOOD_WIRE))
    encoded[place % len(encoded)] = value
    try:
        decoded = read_avro(WIRE, bytes(encoded))
    except UnreadableError:
        return
    values, issues = CHECK_WIRE(decoded)
    if not issues:
        assert to_json(read_avro(LOGICAL, write_avro(WIRE, values)))


def test_bytes_after_a_record_are_noticed() -> None:
    encoded = write_avro(WIRE, GOOD_WIRE)
    assert read_avro(WIRE, encoded) == GOOD_WIRE
    for wrong in (encoded + b"\x00", encoded[:-1], encoded + encoded, b""):
        with pytest.raises(UnreadableError):
            read_avro(WIRE, wrong)
    assert fastavro.schemaless_reader(io.BytesIO(encoded + b"\x00"), WIRE, None) == GOOD_WIRE
