"""Conditions: what the checker refuses when the rules load, and that an error is never a condition that is met."""

from __future__ import annotations

import json
from datetime import date
from typing import Any, Final

import pytest
from cel_expr_python import cel
from google.protobuf import descriptor_pool, wrappers_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain.celcheck import DATE as A_DATE
from hub.domain.celcheck import Kind
from hub.domain.conditions import ConditionError, Environment, Variable, _message
from hub.domain.data import checker
from hub.domain.decide import Circumstances, Verdict, decide
from hub.domain.loading import load
from hub.domain.signal import Signal
from tests.unit.test_contract import (
    DATE,
    FILE,
    MOMENT,
    PARTICIPANTS,
    TYPE,
    array,
    contract_of,
    enum,
    field,
    line_of,
    record,
    schema_of,
)

KIND: Final = enum("Soort", "HUUR", "ZORG", "ANDERS")
FIELDS: Final = (
    field("soort", KIND),
    field("nul_soort", ["null", "Soort"], default=None),
    field("andere_soort", enum("Ander", "ROOD", "BLAUW")),
    field("datum", DATE),
    field("nul_datum", ["null", DATE], default=None),
    field("gba", "string", format="gba-datum"),
    field("moment", MOMENT),
    field("aantal", "int"),
    field("nul_aantal", ["null", "long"], default=None),
    field("aan", "boolean"),
    field("nul_aan", ["null", "boolean"], default=None),
    field("tekst", "string"),
    field("soorten", array("Soort")),
    field("dagen", array(DATE)),
    field("gba_dagen", array("string"), format="gba-datum"),
    field("getallen", ["null", array("int")], default=None),
    field("los", record("Los", field("nummer", "int"), field("soort", "Soort"), field("diep", record("Diep", field("dag", DATE))))),
    field("nul_los", ["null", record("NulLos", field("nummer", "int"), field("dag", DATE))], default=None),
    field(
        "lijst",
        array(
            record(
                "Post",
                field("soort", "Soort"),
                field("bedrag", "long"),
                field("dag", DATE),
                field("nul_dag", ["null", DATE], default=None),
                field("gba", "string", format="gba-datum"),
                field("moment", MOMENT),
                field("nul_aan", ["null", "boolean"], default=None),
                field("diep", record("PostDiep", field("soort", "Soort"), field("dag", DATE), field("aantal", "int"))),
                field("nul_diep", ["null", record("PostNulDiep", field("aantal", "int"))], default=None),
            )
        ),
    ),
)
POST: Final = {
    "soort": "HUUR", "bedrag": 150_000, "dag": "2026-05-01", "gba": "20260500", "moment": "2026-05-01T10:00:00Z",
    "diep": {"soort": "ZORG", "dag": "2026-01-31", "aantal": 3},
}  # fmt: skip
DATA: Final = {
    "soort": "HUUR", "andere_soort": "ROOD", "datum": "2026-11-02", "gba": "20260900", "moment": "2026-11-02T09:00:00+01:00", "aantal": 3,
    "aan": True, "tekst": "tekst", "soorten": ["HUUR", "ZORG"], "dagen": ["2026-01-01"], "gba_dagen": ["20260100"],
    "los": {"nummer": 7, "soort": "ZORG", "diep": {"dag": "2026-12-01"}}, "lijst": [POST],
}  # fmt: skip
TEXT, INTEGER = cel.Type.STRING, cel.Type.INT
OTHERS: Final = {
    "e.role": Variable(TEXT, TEXT, Kind("enum", ("bron", "loket"))),
    "today": Variable(TEXT, TEXT, A_DATE),
    "cfg.grens": Variable(cel.Type("google.protobuf.Int64Value"), cel.Type.DYN),
}
VALUES: Final = {"e.role": "bron", "today": "2026-11-02", "cfg.grens": None}
CONTRACT: Final = contract_of(*FIELDS)
ENVIRONMENT: Final = Environment(CONTRACT, OTHERS, equated=[date(2026, 11, 4)])


def evaluate(text: str, **changed: Any) -> bool | None:
    """Compile and evaluate over the data, with these fields changed."""
    condition = ENVIRONMENT.compile(text)
    wire, issues = checker(CONTRACT, json=True)(DATA | changed)
    assert not issues
    values = VALUES | {name: read(wire) for name, read in ENVIRONMENT.readers.items()}
    return condition.holds(ENVIRONMENT.activation({name: values[name] for name in condition.variables}))


def refusal(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ConditionError) as caught:
        ENVIRONMENT.compile(text)
    return caught.value.faults


def refused(text: str, what: str, line: int = 1) -> None:
    """Check that the condition is refused for this, on this line of the expression."""
    found = refusal(text)
    assert {at for at, _ in found} == {line}, found
    assert any(what in message for _, message in found), found


# --- conditions that load, and what they give ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s.aan", True),
        ("!s.aan", False),
        ("s.aantal == 3 && s.aan", True),
        ("s.soort == 'HUUR'", True),
        ("'ZORG' == s.soort", False),
        ("s.soort in ['ZORG', 'ANDERS']", False),
        ("'ZORG' in s.soorten", True),
        ("s.soorten[1] == 'ZORG'", True),
        ("s.soorten.exists(x, x == 'ANDERS')", False),
        ("s.datum < '2026-11-03' && s.datum > '2026-11-01'", True),
        ("s.datum == today", True),
        ("s.datum in ['2026-11-02']", True),
        ("s.dagen.all(d, d <= today)", True),
        ("s.gba < '20261000'", True),
        ("s.gba == '20260900'", True),
        ("s.gba_dagen.exists(d, d == '20260100')", True),
        ("s.moment < '2026-11-02T08:00:00.001Z'", True),
        ("s.moment == '2026-11-02T08:00:00.000Z'", True),
        ("s.los.nummer == 7 && s.los.soort != 'HUUR'", True),
        ("s.los.diep.dag > plus(today, 'P4W')", True),
        ("s.lijst.exists(v, v.bedrag > 100000)", True),
        ("s.lijst.exists(v, v.bedrag > 150000)", False),
        ("s.lijst.all(v, v.soort in ['HUUR', 'ZORG'])", True),
        ("s.lijst.exists_one(v, v.diep.soort == 'ZORG' && v.diep.aantal >= 3)", True),
        ("s.lijst[0].bedrag == 150000 && s.lijst[0].soort == 'HUUR'", True),
        ("s.lijst.filter(v, v.bedrag > 1).size() == 1", True),
        ("s.lijst.map(v, v.bedrag)[0] > 100000", True),
        ("size(s.lijst) == 1", True),
        ("e.role == 'bron'", True),
        ("cfg.grens == null || s.aantal > cfg.grens", True),
        ("(s.aan ? s.aantal : 0) == 3", True),
        ("s.tekst.startsWith('te') && s.tekst.matches('[a-z]+')", True),
    ],
)
def test_a_condition_over_every_kind_of_field_gives_what_it_says(text: str, *, expected: bool) -> None:
    assert evaluate(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s.lijst.exists(v, v.dag == '2026-05-01')", True),
        ("s.lijst.exists(v, v.dag < today)", True),
        ("s.lijst.all(v, v.dag < plus(today, '-P1M'))", True),
        ("s.lijst.all(v, v.diep.dag >= '2026-02-01')", False),
        ("s.lijst.exists(v, v.nul_dag == null)", True),
        ("s.lijst[0].dag < '2026-01-01'", False),
        ("werkdagen(s.lijst[0].diep.dag, 1) == '2026-02-02'", True),
        ("s.lijst.all(v, v.gba == '20260500')", True),
        ("s.lijst.all(v, v.moment < '2026-05-02T00:00:00.000Z')", True),
    ],
)
def test_dates_of_the_items_of_an_array_are_dates_like_any_other(text: str, *, expected: bool) -> None:
    assert evaluate(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s.nul_aan == true", False),
        ("s.nul_aan != true", True),
        ("s.nul_aantal == null", True),
        ("s.nul_aantal != null && s.nul_aantal > 1", False),
        ("s.nul_aantal == null || s.nul_aantal > 1", True),
        ("s.nul_datum == null", True),
        ("s.nul_soort == 'HUUR'", False),
        ("s.nul_los.nummer == null", True),
        ("s.lijst.exists(v, v.nul_aan == true)", False),
    ],
)
def test_what_may_be_null_can_be_asked_for(text: str, *, expected: bool) -> None:
    assert evaluate(text) is expected


def test_what_may_be_null_is_compared_when_it_is_there() -> None:
    assert evaluate("s.nul_aan == true", nul_aan=True) is True
    assert evaluate("s.nul_aantal > 1", nul_aantal=2) is True
    assert evaluate("s.nul_datum > today", nul_datum="2026-11-03") is True
    assert evaluate("s.nul_soort == 'ZORG'", nul_soort="ZORG") is True
    assert evaluate("s.nul_los.nummer == 1 && s.nul_los.dag < today", nul_los={"nummer": 1, "dag": "2026-01-01"}) is True
    assert evaluate("s.getallen.exists(g, g > 1)", getallen=[1, 2]) is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plus(s.datum, 'P4M') == '2027-03-02'", True),
        ("plus('2026-01-31', 'P1M') == '2026-02-28'", True),
        ("plus(plus(s.datum, 'P1Y'), 'P1W') > '2027-11-01'", True),
        ("plus(today, '-P1D') == '2026-11-01'", True),
        ("werkdagen(s.datum, 1) == '2026-11-03'", True),
        ("werkdagen(s.datum, 2) == '2026-11-05'", True),
        ("werkdagen('2026-12-24', s.aantal) == '2026-12-30'", True),
        ("s.datum in [plus('2026-10-02', 'P1M'), today]", True),
    ],
)
def test_dates_are_counted_on_the_dutch_calendar(text: str, *, expected: bool) -> None:
    """Of the working days 4 November 2026 is equated with a holiday here."""
    assert evaluate(text) is expected


@settings(deadline=None)
@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_dates_as_text_order_as_dates_do(one: date, two: date) -> None:
    assert evaluate(f"s.datum < '{two}'", datum=one.isoformat()) is (one < two)


def test_a_condition_knows_its_text_and_only_the_variables_that_it_reads() -> None:
    condition = ENVIRONMENT.compile("s.aan && s.lijst.exists(v, v.bedrag > s.aantal) && today > '2026-01-01'")
    assert condition.variables == {"s.aan", "s.lijst", "s.aantal", "today"}
    assert condition.text.startswith("s.aan && ")


def test_a_limit_is_a_whole_number_or_none() -> None:
    limit = ENVIRONMENT.compile("cfg.grens", number=True)
    assert limit.number(ENVIRONMENT.activation({"cfg.grens": 50})) == 50
    assert limit.number(ENVIRONMENT.activation({"cfg.grens": None})) is None
    with pytest.raises(ValueError, match=r"^$"):
        ENVIRONMENT.compile("s.aantal / 0", number=True).number(ENVIRONMENT.activation({"s.aantal": 1}))
    with pytest.raises(ConditionError):
        ENVIRONMENT.compile("s.aan", number=True)


# --- an error is never a condition that is met ---

ERRORS: Final = {
    "null compared": "s.nul_aantal > 1",
    "null date compared": "s.nul_datum < '2026-01-01'",
    "null in a record that is not there": "s.nul_los.nummer > 0",
    "null denied": "!(s.nul_aantal > 1)",
    "null beside what holds": "s.aan && s.nul_aantal > 1",
    "null in an item": "s.lijst.exists(v, v.nul_diep.aantal > 1)",
    "null flag of an item": "s.lijst.all(v, v.nul_aan && s.aan)",
    "no array": "s.getallen.exists(g, g > 1)",
    "division by zero": "s.aantal / (s.aantal - 3) == 1",
    "rest by zero": "s.aantal % (s.aantal - 3) == 1",
    "index out of range": "s.lijst[5].bedrag > 1",
    "negative index": "s.soorten[-1] == 'HUUR'",
    "overflow": "s.aantal * 9223372036854775807 > 0",
    "no number": "int(s.tekst) > 0",
    "no duration": "plus(s.datum, s.tekst) > today",
    "no date left": "plus(s.datum, 'P9000Y') > today",
    "no days given": "werkdagen(s.datum, cfg.grens) > today",
    "null date counted": "werkdagen(s.nul_datum, 2) > today",
    "no pattern": "s.tekst.matches(s.tekst + '[')",
}


@pytest.mark.parametrize("text", ERRORS.values(), ids=ERRORS.keys())
def test_an_error_is_neither_true_nor_false(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert evaluate(text) is None
    assert capfd.readouterr() == ("", "")


def test_the_library_itself_would_take_an_error_for_true() -> None:
    """The trap that `holds` is there for: the value of an error is a text, and a text is true."""
    environment = cel.NewEnv(variables={"x": cel.Type.INT})
    value = environment.compile("1 / x == 1").eval(environment.Activation({"x": 0}))
    assert value.type() != cel.Type.BOOL
    assert bool(value.value())


def test_an_error_that_decides_nothing_does_no_harm() -> None:
    assert evaluate("s.aan || s.nul_aantal > 1") is True
    assert evaluate("!s.aan && s.nul_aantal > 1") is False


@pytest.mark.parametrize(
    "text", ["s.getallen.all(a, s.getallen.all(b, s.getallen.all(c, a == b)))", "s.getallen.exists(a, a < 0)"], ids=["nested", "long"]
)
def test_a_macro_that_would_run_too_long_is_an_error_and_not_a_crash(text: str) -> None:
    """A publisher chooses how long an array is; it must not be able to stop the router with it."""
    assert evaluate(text, getallen=[1] * 12_000) is None


# --- what the checker refuses ---


@pytest.mark.parametrize(
    "text",
    [
        "s.aantl > 1",
        "s.los.nummr == 1",
        "s.los.diep.dagg > today",
        "s.lijst.exists(v, v.bedrg > 1)",
        "s.lijst.exists(v, v.diep.aantl > 1)",
        "s.lijst[0].bedrg > 1",
        "s.lijst.filter(v, v.bedrg > 1).size() > 0",
        "s.lijst.exists(v, w.bedrag > 1)",
        "s.los.soort.diep == 'HUUR'",
        "aantal > 1",
        "s.bedrag > 1",
        "e.rol == 'bron'",
        "cfg.grenz > 1",
        "c.staat == 'x'",
        "todya > '2026-01-01'",
        "pluss(s.datum, 'P1M') > today",
    ],
)
def test_a_misspelt_name_is_refused(text: str) -> None:
    assert [line for line, _ in refusal(text)] == [1]


@pytest.mark.parametrize(
    "text",
    [
        "s.aantal == '3'",
        "s.aantal > '3'",
        "s.tekst > 1",
        "s.soort == 1",
        "s.datum > 20260101",
        "s.aan == 'true'",
        "s.aantal > 1.5",
        "s.nul_aantal == 'x'",
        "s.lijst.exists(v, v.bedrag == '1')",
        "s.lijst.exists(v, v.dag > 5)",
        "s.lijst.exists(v, v.diep.aantal == true)",
        "s.soorten == 'HUUR'",
        "s.lijst == 1",
        "s.soorten.exists(x, x == 1)",
        "1 in s.soorten",
        "s.aantal in ['3']",
        "s.aan && s.aantal",
        "!s.aantal",
        "s.aantal ? true : false",
        "plus(s.aantal, 'P1M') > today",
        "plus(s.datum, 4) > today",
        "plus(s.datum) > today",
        "werkdagen(s.datum, '5') > today",
        "werkdagen(5, s.datum) > today",
        "s.tekst + 1 == 'x'",
    ],
)
def test_a_wrong_type_is_refused(text: str) -> None:
    assert [line for line, _ in refusal(text)] == [1]


@pytest.mark.parametrize(
    "text",
    [
        "s.soort == 'FOUT'",
        "s.soort != 'FOUT'",
        "'FOUT' == s.soort",
        "'FOUT' != s.soort",
        "s.soort == 'huur'",
        "s.nul_soort == 'FOUT'",
        "s.soort in ['HUUR', 'FOUT']",
        "!(s.soort in ['FOUT'])",
        "'FOUT' in s.soorten",
        "s.soorten[0] == 'FOUT'",
        "s.soorten == ['HUUR', 'FOUT']",
        "s.soorten.exists(x, x == 'FOUT')",
        "s.soorten.all(x, 'FOUT' != x)",
        "s.soorten.exists(x, x in ['FOUT'])",
        "s.los.soort == 'FOUT'",
        "s.lijst.exists(v, v.soort == 'FOUT')",
        "s.lijst.all(v, 'FOUT' != v.soort)",
        "s.lijst.exists_one(v, v.soort in ['HUUR', 'FOUT'])",
        "s.lijst.exists(v, v.diep.soort == 'FOUT')",
        "s.lijst[0].soort == 'FOUT'",
        "s.lijst[0].diep.soort == 'FOUT'",
        "s.lijst.exists(v, s.lijst.exists(w, w.soort == 'FOUT' && v.bedrag > 1))",
        "s.lijst.exists(s, s.soort == 'FOUT')",
        "s.lijst.filter(v, v.soort == 'FOUT').size() == 0",
        "s.lijst.filter(v, v.bedrag > 1).exists(w, w.soort == 'FOUT')",
        "'FOUT' in s.lijst.map(v, v.soort)",
        "s.lijst.map(v, v.soort).exists(x, x == 'FOUT')",
        "['FOUT'].exists(x, x == s.soort)",
        "(s.aan ? s.soort : 'HUUR') == 'FOUT'",
        "(s.aan ? 'HUUR' : s.soort) == 'FOUT'",
        "s.soort == (s.aan ? 'HUUR' : 'FOUT')",
        "s.soort == (s.aan ? 'FOUT' : 'HUUR')",
        "e.role == 'brn'",
        "s.soort == 'bron'",
        "s.andere_soort == 'HUUR'",
        "s.aan && (s.aantal > 1 || s.soort == 'FOUT')",
        "(s.soort == 'FOUT') == s.aan",
        "[s.soort] == ['FOUT']",
    ],
)
def test_an_enum_symbol_that_does_not_exist_is_refused(text: str) -> None:
    refused(text, "is no symbol here; known: ")


@pytest.mark.parametrize(
    "text", ["s.soort < 'HUUR'", "s.soort >= 'HUUR'", "'HUUR' > s.soort", "s.soort > s.nul_soort", "s.lijst.exists(v, v.soort < 'ZORG')"]
)
def test_the_symbols_of_an_enum_have_no_order(text: str) -> None:
    refused(text, "a code has no order")


@pytest.mark.parametrize(
    "text",
    [
        "s.datum < '2026-13-01'",
        "s.datum < '2026-02-29'",
        "s.datum < '2026-1-1'",
        "s.datum < '20260101'",
        "s.datum < '2026-W45-1'",
        "s.datum < '01-01-2026'",
        "s.datum < '2026-01-01T00:00:00Z'",
        "s.datum == ''",
        "'2026-13-01' < s.datum",
        "s.nul_datum < '2026-13-01'",
        "s.datum in ['2026-01-01', '2026-13-01']",
        "'2026-13-01' in s.dagen",
        "s.dagen.exists(d, d < '2026-13-01')",
        "s.dagen[0] == '2026-13-01'",
        "today > '2026-11-31'",
        "s.los.diep.dag > '2026-13-01'",
        "plus(s.datum, 'P1M') > '2026-13-01'",
        "plus('2026-13-01', 'P1M') > today",
        "werkdagen('2026-13-01', 5) > today",
        "werkdagen(s.datum, 5) > '2026-13-01'",
        "(s.aan ? s.datum : today) < '2026-13-01'",
        "s.lijst.exists(v, v.dag < '2026-13-01')",
        "s.lijst.exists(v, v.diep.dag < '2026-13-01')",
        "s.lijst[0].dag < '2026-13-01'",
        "s.lijst.exists(v, v.nul_dag == '2026-13-01')",
    ],
)
def test_a_literal_beside_a_date_that_is_no_date_is_refused(text: str) -> None:
    refused(text, "stands beside a date but is no date jjjj-mm-dd")


@pytest.mark.parametrize(
    "text",
    ["s.gba < '2026-01-01'", "s.gba == '20261301'", "s.gba == '20260005'", "'2026' > s.gba", "s.gba in ['20260100', '2026']",
     "s.gba_dagen.exists(d, d == '2026-01')", "s.lijst.exists(v, v.gba == '2026')"],
)  # fmt: skip
def test_a_literal_beside_a_gba_datum_that_is_none_is_refused(text: str) -> None:
    refused(text, "stands beside a gba-datum but is no jjjjmmdd")


@pytest.mark.parametrize(
    "text",
    ["s.datum == s.gba", "s.datum < s.tekst", "s.tekst > s.datum", "s.datum == s.soort", "s.datum < s.moment", "s.gba < today",
     "s.datum in [s.tekst]", "plus(s.gba, 'P1M') > today", "plus(s.tekst, 'P1M') > today", "werkdagen(s.gba, 5) > today",
     "werkdagen(s.tekst, 5) > today", "s.lijst.exists(v, v.dag < v.gba)", "s.datum < s.tekst + '-01'"],
)  # fmt: skip
def test_a_date_is_compared_with_dates_of_its_own_kind_only(text: str) -> None:
    refused(text, "is compared with something that is no ")


@pytest.mark.parametrize("duration", ["4 maanden", "4M", "", "P", "P1.5M", "PT1H", "PT36H"])
def test_only_a_duration_of_whole_days_or_longer_is_added_to_a_date(duration: str) -> None:
    refused(f"plus(s.datum, '{duration}') > today", f"'{duration}' is no ISO 8601 duration")


@pytest.mark.parametrize(
    "text", ["s.aantal", "s.soort", "s.datum", "'true'", "1", "null", "s.soorten", "s.lijst", "s.nul_aantal", "plus(s.datum, 'P1M')", "[s.aan]", "1.0", "dyn(s.aan)"]
)  # fmt: skip
def test_a_condition_is_true_or_false(text: str) -> None:
    refused(text, "not true or false")


@pytest.mark.parametrize("text", ["s.nul_aan", "(s.nul_aan)", "s.aan ? s.nul_aan : false", "s.lijst[0].nul_aan"])
def test_a_flag_that_may_be_null_is_no_condition_by_itself(text: str) -> None:
    """Null is neither; whoever writes the rule says which it counts as."""
    refused(text, "== true")


def test_a_condition_that_nobody_could_read_is_refused() -> None:
    long = " && ".join(["s.aan"] * 111)
    assert len(long) <= 1000
    assert evaluate(long) is True
    refused(long + " && s.aan", "at most 1000 characters")


@pytest.mark.parametrize(
    "text", ["", " ", "s.aan &&", "s.aan && (", "s.aan; s.aan", "s.aan = true", "s.aan and s.aan", "s['aan']", "'x", "if s.aan"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    assert refusal(text)


def test_every_misspelt_name_is_reported_and_on_its_own_line() -> None:
    assert refusal("s.aan &&\n  s.fout == 1\n  && s.ook_fout") == [
        (2, "undeclared reference to 's.fout'"),
        (3, "undeclared reference to 's.ook_fout'"),
    ]


@pytest.mark.parametrize(
    "text", ["s.soort == 'FOUT'", "s.datum < '2026-13-01'", "s.soort < 'HUUR'", "s.gba < today", "plus(s.datum, 'x') > today"]
)
def test_a_wrong_literal_is_reported_on_its_own_line(text: str) -> None:
    assert {line for line, _ in refusal(f"s.aan &&\n  s.aantal > 1 &&\n  {text}")} == {3}


def test_a_refusal_shows_what_the_rule_said_and_what_is_known() -> None:
    assert refusal("s.soort == 'FOUT'") == [(1, "'FOUT' is no symbol here; known: HUUR, ZORG, ANDERS")]


# --- where the conditions of a rule file stand, and what an error leads to ---

SCHEMA: Final = json.dumps(schema_of(*FIELDS, subject=None))
GROUNDS: Final = "grounds:\n  - {id: wet-1, text: Wet 1, status: vastgesteld, source: test}\n"
GRANT: Final = f"""  - id: {{id}}
    signal: {TYPE}
    to: doel
    legal_basis: [wet-1]
    fields: [aantal]
    retention: P6M
    explain: U krijgt dit.
"""
FLOW: Final = "flow: proef\npurpose: Proef\nactivity: https://example.org/proef\n"


def files(flow: str) -> dict[str, str]:
    return {"rules/participants.yaml": PARTICIPANTS, "rules/grounds.yaml": GROUNDS, "rules/proef.yaml": flow, FILE: SCHEMA}


def verdict(flow: str, **changed: Any) -> Verdict:
    """Decide on the data under the rules of a flow."""
    ruleset = load(files(flow)).unwrap()
    rules = ruleset.types[TYPE]
    wire, issues = rules.check_json(DATA | changed)
    assert not issues
    publisher = ruleset.participants.find("bron")
    assert publisher is not None
    signal = Signal(rules, publisher, "1", bytes(16), 0, wire, b"")
    return decide(ruleset, signal, Circumstances(now_ms=1_793_606_400_000, today=date(2026, 11, 2)))


@pytest.mark.parametrize("text", ERRORS.values(), ids=ERRORS.keys())
def test_an_error_in_a_refusal_refuses_the_signal(text: str) -> None:
    if "cfg." in text:
        text = text.replace("cfg.grens", "s.nul_aantal")
    flow = f"{FLOW}refuse:\n  - signal: {TYPE}\n    when: {json.dumps(text)}\n    code: mijn-code\n    text: Mijn tekst.\n"
    found = verdict(flow)
    assert [fault.code for fault in found.faults] == ["regel-fout"]
    assert found.alarms == ("rules/proef.yaml:5",)


@pytest.mark.parametrize("text", ERRORS.values(), ids=ERRORS.keys())
def test_an_error_in_a_grant_withholds_with_its_own_reason(text: str) -> None:
    if "cfg." in text:
        text = text.replace("cfg.grens", "s.nul_aantal")
    found = verdict(f"{FLOW}grants:\n{GRANT.format(id='proef.een')}    when: {json.dumps(text)}\n")
    assert [(d.recipient, d.outcome, d.reason) for d in found.decisions] == [("doel", "withhold", "voorwaarde-fout")]
    assert found.alarms == ("proef.een",)
    assert found.faults == ()


def test_an_error_in_a_precondition_counts_as_one_that_is_not_met() -> None:
    grants = f"{FLOW}grants:\n{GRANT.format(id='proef.een')}    requires: {{te-weinig: s.nul_aantal > 1}}\n"
    found = verdict(grants)
    assert [fault.code for fault in found.faults] == ["voorwaarde-fout"]
    assert found.alarms == ("proef.een",)
    assert [fault.code for fault in verdict(grants, nul_aantal=1).faults] == ["te-weinig"]
    assert [d.outcome for d in verdict(grants, nul_aantal=2).decisions] == ["deliver"]


def test_an_error_in_one_grant_does_not_touch_another() -> None:
    flow = f"{FLOW}grants:\n{GRANT.format(id='proef.een')}    when: s.nul_aantal > 1\n{GRANT.format(id='proef.twee')}    when: s.aan\n"
    assert [(d.outcome, d.reason) for d in verdict(flow).decisions] == [("withhold", "voorwaarde-fout"), ("deliver", "volgens-regel")]


def test_all_refusals_that_match_are_told() -> None:
    refusals = "".join(
        f"  - signal: {TYPE}\n    when: {when}\n    code: {code}\n    text: Tekst {code}.\n"
        for code, when in (("een", "s.aan"), ("twee", "s.aantal > 5"), ("drie", "s.aantal > 2"), ("vier", "s.nul_aantal > 2"))
    )
    found = verdict(f"{FLOW}refuse:\n{refusals}")
    assert [(fault.code, fault.text) for fault in found.faults][:2] == [("een", "Tekst een."), ("drie", "Tekst drie.")]
    assert [fault.code for fault in found.faults] == ["een", "drie", "regel-fout"]


@pytest.mark.parametrize(
    ("block", "marker"),
    [
        ("    when: s.fout == 1\n", "s.fout"),
        ("    when: |\n      s.aan &&\n      s.fout == 1\n", "s.fout"),
        ("    when: |-\n      s.fout == 1 &&\n      s.aan\n", "s.fout"),
        ("    when: |\n      s.aan &&\n      s.soort == 'FOUT'\n", "'FOUT'"),
        ("    requires:\n      mijn-code: s.fout == 1\n", "s.fout"),
        ("    requires:\n      mijn-code:\n        text: Tekst.\n        condition: s.fout == 1\n", "s.fout"),
        ("    requires:\n      mijn-code:\n        condition: |\n          s.aan\n          && s.fout == 1\n", "s.fout"),
        ("    quota:\n      name: q\n      limit: cfg.fout\n      per: month\n      key: [recipient]\n      overflow: defer\n", "cfg.fout"),
        ("    quota:\n      name: q\n      per: month\n      key: [recipient]\n      overflow: defer\n      exempt: s.fout\n", "s.fout"),
        (f"refuse:\n  - signal: {TYPE}\n    code: mijn-code\n    text: Tekst.\n    when: s.fout == 1\n", "s.fout"),
        (f"refuse:\n  - signal: {TYPE}\n    code: mijn-code\n    text: Tekst.\n    when: |\n      s.aan &&\n      s.datum < 'x'\n", "'x'"),
    ],
)
def test_a_condition_is_reported_on_the_line_of_the_file_where_it_is_wrong(block: str, marker: str) -> None:
    flow = f"{FLOW}grants:\n{GRANT.format(id='proef.een')}{block}"
    assert [(fault.file, fault.line) for fault in load(files(flow)).faults] == [("rules/proef.yaml", line_of(flow, marker))]


def test_arrays_whose_paths_are_spelled_alike_but_for_a_dot_are_two() -> None:
    pool = descriptor_pool.DescriptorPool()
    item = {"type": "record", "name": "Deel", "fields": [{"name": "a", "type": "string"}]}
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    assert _message(item, "s.b_c", pool) != _message(item, "s.b.c", pool)
