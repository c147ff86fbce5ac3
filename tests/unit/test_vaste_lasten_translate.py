"""Partners' rows and files: what is read, what is refused and why; columns with BSNs; settings; receipts. All people are invented."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.vaste_lasten.bsn import Tally, could_be_bsn, is_bsn_name
from connectors.vaste_lasten.reading import is_whole, opened
from connectors.vaste_lasten.receipt import ACCEPTED, QUEUED, REFUSED, Answer, Draft
from connectors.vaste_lasten.settings import Columns, Partner, VasteLastenSettings, read_partners
from connectors.vaste_lasten.translate import (
    FILE_REASONS,
    PRECONDITIONS,
    ROW_REASONS,
    Arrear,
    FileCode,
    Layout,
    Reason,
    Refusal,
    RefusedFileError,
    Row,
    RowCode,
    cents,
    day,
    missing_columns,
    phone,
    spreadsheet_text,
    translate,
    whole,
)
from hub.client import Receipt, ReceiptError
from hub.errors import StopError
from tests.partnerfiles import COLUMNS, FIXED, HEADER, ROW, csv_bytes, partner, read_partner, receipt_rows, row, settings_file, workbook
from tests.strategies import make_bsn

KEY = b"k" * 32


@pytest.fixture
def one(tmp_path: Path) -> Partner:
    return read_partner(tmp_path)


def outcome(one: Partner, header: Sequence[str] = HEADER, **changed: str) -> Arrear | Refusal:
    return translate(Row(2, [*(ROW | changed).values()]), Layout.of(header, one))


def data(one: Partner, **changed: str) -> Any:
    found = outcome(one, **changed)
    assert isinstance(found, Arrear), found
    return found.data


def reasons(one: Partner, **changed: str) -> list[tuple[str, str | None]]:
    found = outcome(one, **changed)
    assert isinstance(found, Refusal)
    return [(reason.code, reason.field) for reason in found.reasons]


# --- a row ----------------------------------------------------------------------------------------


def test_a_row_becomes_the_signal_of_the_contract(one: Partner) -> None:
    assert data(one) == {
        "gemeentecode": "0344", "achternaam": "Van Voorbeeld", "voorletters": "A.B.", "geboortedatum": "1985-03-14", "postcode": "3511 AB",
        "huisnummer": 12, "huisletter": None, "huisnummertoevoeging": "bis", "telefoon": "0612345678",
        "email": "a.voorbeeld@voorbeeld.example", "klantnummer": None, "partnersoort": "HUUR", "bedrag_cent": 128450,
        "achterstand_maanden": 2, "crisissignaal": False, "natuurlijk_persoon": True, "persoonlijk_contact_gezocht": True,
        "gewezen_op_schuldhulp": True, "herinneringen": 1, "doorgeven_aangeboden": True, "doorgeven_geweigerd": False,
        "betrokkene_geinformeerd": "JA", "contactrol": "incasso-huur",
    }  # fmt: skip


@pytest.mark.parametrize("field", PRECONDITIONS)
@pytest.mark.parametrize("cell", ["", " ", "misschien", "?"])
def test_a_precondition_that_is_not_stated_refuses_the_row(one: Partner, field: str, cell: str) -> None:
    assert reasons(one, **{field: cell}) == [("voorwaarde-ontbreekt", field)]


@pytest.mark.parametrize("field", PRECONDITIONS)
def test_a_precondition_without_a_column_refuses_every_row(one: Partner, field: str) -> None:
    header = [column if column != COLUMNS[field] else "iets anders" for column in HEADER]
    assert missing_columns(header, one) == []
    found = outcome(one, header)
    assert isinstance(found, Refusal)
    assert [(reason.code, reason.field) for reason in found.reasons] == [("voorwaarde-ontbreekt", field)]


@pytest.mark.parametrize("field", ["persoonlijk_contact_gezocht", "doorgeven_geweigerd", "natuurlijk_persoon"])
def test_whether_a_stated_precondition_is_met_is_for_the_rules(one: Partner, field: str) -> None:
    assert data(one, **{field: "nee"})[field] is False
    assert data(one, **{field: "Ja"})[field] is True
    assert data(one, herinneringen="0")["herinneringen"] == 0


def test_every_reason_is_given_at_once(one: Partner) -> None:
    changed = {"kenmerk": "", "postcode": "", "bedrag": "veel", "geboortedatum": "31-02-1980", "huisnummer": "12a",
               "crisissignaal": "x", "herinneringen": ""}  # fmt: skip
    assert reasons(one, **changed) == [
        ("kenmerk-ongeldig", "kenmerk"), ("veld-leeg", "postcode"), ("datum-onleesbaar", "geboortedatum"), ("getal-onleesbaar", "huisnummer"),
        ("bedrag-onleesbaar", "bedrag"), ("ja-nee-onleesbaar", "crisissignaal"), ("voorwaarde-ontbreekt", "herinneringen"),
    ]  # fmt: skip


def test_no_reason_holds_a_value(one: Partner) -> None:
    marker = "Kwartelkoning-917"
    found = outcome(one, **(dict.fromkeys(ROW, marker) | {"kenmerk": "H-1"}))
    assert isinstance(found, Refusal)
    assert marker not in repr(found)
    assert marker not in repr(outcome(one, achternaam=marker))


@pytest.mark.parametrize("reference", ["", "Jansen", "x" * 39 + "12", "H-1;2", "=H1", "H\t1", "H-1\u0662", "é1"])
def test_what_is_no_reference_does_not_come_back(one: Partner, reference: str) -> None:
    found = outcome(one, kenmerk=reference)
    assert isinstance(found, Refusal)
    assert found.reference == ""


def test_a_row_with_moved_cells_is_not_believed(one: Partner) -> None:
    layout = Layout.of(HEADER, one)
    for cells, code in ((row()[:-1], "rij-onvolledig"), ([*row(), "x"], "rij-te-lang"), (None, "rij-onleesbaar")):
        found = translate(Row(2, cells), layout)
        assert isinstance(found, Refusal)
        assert (found.reference, [reason.code for reason in found.reasons]) == ("", [code])
    assert isinstance(translate(Row(2, [*row(), "", " "]), layout), Arrear), "empty cells behind are nothing"


def test_the_id_follows_from_partner_reference_content_and_key(one: Partner) -> None:
    def id_(participant: str = "a", key: bytes = KEY, **changed: str) -> str | None:
        found = outcome(one, **changed)
        assert isinstance(found, Arrear)
        return found.signal(participant, key).id

    assert id_() == id_(achternaam=" Van Voorbeeld ")
    assert len({id_(), id_("b"), id_(key=b"o" * 32), id_(kenmerk="H-2"), id_(bedrag="1")}) == 5
    assert (id_() or "").startswith("vl-")


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "decimal", "expected"),
    [("1284,50", ",", 128450), ("1.284,5", ",", 128450), ("€ 1.284.000", ",", 128_400_000), ("0,01", ",", 1), ("-5", ",", -500),
     ("1,284.50", ".", 128450), ("1284.5", ".", 128450), ("1284.50", ",", None), ("1284,50", ".", None), ("1,234", ",", None),
     ("12.34,5", ",", None), ("", ",", None), ("1284,505", ",", None), ("1 284", ",", None), ("\u0661", ",", None), ("1e3", ",", None)],
)  # fmt: skip
def test_amounts_are_cents_and_are_never_guessed(text: str, decimal: str, expected: int | None) -> None:
    assert cents(text, decimal) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("31-12-2026", "2026-12-31"), ("1/2/1980", "1980-02-01"), ("1.2.1980", "1980-02-01"), ("1980-02-29", "1980-02-29"),
     ("29-02-1981", None), ("12-31-2026", None), ("31-12-26", None), ("00-00-1950", None), ("", None), ("1980-2-9", None)],
)  # fmt: skip
def test_dates_are_dutch_or_iso(text: str, expected: str | None) -> None:
    assert day(text) == expected


def test_telephone_numbers_lose_what_people_write_between_digits() -> None:
    assert [phone(text) for text in ("(040) 123 45 67", "+31 6-12345678", "0031 612345678", "")] == [
        "0401234567", "+31612345678", "+31612345678", "",
    ]  # fmt: skip


def test_cells_of_a_spreadsheet_read_as_their_csv(one: Partner) -> None:
    cells = [None, True, False, 1284.5, 0.1 + 0.2, 12, 12.0, date(1985, 3, 14), datetime(1985, 3, 14), "tekst"]  # noqa: DTZ001
    assert [spreadsheet_text(cell, one) for cell in cells] == [
        "", "ja", "nee", "1284,5", "0,3", "12", "12", "1985-03-14", "1985-03-14", "tekst",
    ]  # fmt: skip
    assert cents(spreadsheet_text(128.456, one), ",") is None, "nothing is rounded"


@given(st.lists(st.text(), max_size=len(HEADER) + 2))
def test_any_cells_give_a_signal_or_reasons(cells: list[str]) -> None:
    layout = Layout.of(HEADER, PLAIN)
    found = translate(Row(2, cells), layout)
    assert isinstance(found, Arrear) or found.reasons


@given(st.text())
def test_any_text_is_a_value_or_none(text: str) -> None:
    for parse in (whole, day, phone, could_be_bsn, is_bsn_name, lambda value: cents(value, ",")):
        parse(text)


PLAIN = Partner.model_validate({"participant": "a", "folder": "in", "columns": COLUMNS, "fixed": FIXED})


# --- BSNs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["BSN", "bsn", "BSN klant", "klant_bsn", "KlantBSN", "Burgerservicenummer", "Burger Service Nr", "sofi-nummer"]
)
def test_a_column_is_known_by_its_name(name: str) -> None:
    assert is_bsn_name(name)


@pytest.mark.parametrize("name", ["Klantnummer", "Clubsnummer", "Absnaam", "Nr", "", "Contractnummer", "Websnelheid"])
def test_other_names_are_not(name: str) -> None:
    assert not is_bsn_name(name)


@pytest.mark.parametrize(
    ("text", "number"),
    [("999990019", 999990019), ("9999.90.019", 999990019), ("999.990.019", 999990019), ("12345678", 12345678), ("bsn: 999990019!", 999990019),
     ("0612345678", None), ("1234567", None), ("5611AB", None), ("", None)],
)  # fmt: skip
def test_cells_that_could_hold_a_bsn(text: str, number: int | None) -> None:
    assert could_be_bsn(text) == number


def tally(numbers: Sequence[int]) -> Tally:
    found = Tally()
    for number in numbers:
        found.add(number)
    return found


def test_six_different_bsns_are_a_column_and_one_a_thousand_times_is_not() -> None:
    bsns = [int(make_bsn(99_999_000 + number)) for number in range(6)]
    assert tally(bsns).is_bsn
    assert not tally(bsns[:5]).is_bsn
    assert not tally(bsns[:1] * 1000).is_bsn


def test_bsns_among_other_numbers_are_a_column() -> None:
    chance = random.Random(1)
    others = [chance.randrange(10**8, 10**9) for _ in range(800)]
    assert tally([*others, *(int(make_bsn(99_990_000 + number)) for number in range(100))]).is_bsn


@pytest.mark.parametrize("numbers", [range(100_000_000, 100_050_000), range(345_678_900, 346_000_000, 10), range(10_000_000, 10_003_000)])
def test_running_customer_numbers_are_no_bsns(numbers: range) -> None:
    assert not tally(numbers).is_bsn


def test_arbitrary_customer_numbers_are_no_bsns() -> None:
    chance = random.Random(2)
    for size in (1, 6, 20, 100, 1000):
        for _ in range(200):
            assert not tally([chance.randrange(10**8, 10**9) for _ in range(size)]).is_bsn


# --- a file ---------------------------------------------------------------------------------------


def read(path: Path, one: Partner) -> list[Arrear | Refusal]:
    with opened(path, one) as table:
        rows = list(table)
        assert len(rows) == table.rows
        return [translate(found, table.layout) for found in rows]


def names(path: Path, one: Partner) -> list[str]:
    return [found.data["achternaam"] if isinstance(found, Arrear) else found.reasons[0].code for found in read(path, one)]


def refused(path: Path, one: Partner) -> RefusedFileError:
    with pytest.raises(RefusedFileError) as caught, opened(path, one):
        pass
    return caught.value


@pytest.mark.parametrize("delimiter", [";", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_csv_in_each_form(tmp_path: Path, one: Partner, delimiter: str, encoding: str, end: bytes) -> None:
    path = tmp_path / "a.csv"
    content = csv_bytes(
        [row(1, achternaam='Ünal-Çelik; de, "Bé"'), row(2, achternaam="‘t Voorbeeld €")], delimiter=delimiter, encoding=encoding
    )
    path.write_bytes(content.replace(b"\r\n", end))
    assert names(path, one) == ['Ünal-Çelik; de, "Bé"', "‘t Voorbeeld €"]
    assert is_whole(path, one)


def test_a_spreadsheet_reads_like_the_csv(tmp_path: Path, one: Partner) -> None:
    typed: dict[str, Any] = ROW | {"geboortedatum": date(1985, 3, 14), "huisnummer": 12, "bedrag": 1284.5, "achterstand_maanden": 2.0,
                                   "crisissignaal": False, "natuurlijk_persoon": True, "herinneringen": 1}  # fmt: skip
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook([[*typed.values()], [None] * 30, [*(typed | {"kenmerk": None}).values()]]))
    first, second = read(path, one)
    assert isinstance(first, Arrear)
    assert first.data == data(one)
    assert isinstance(second, Refusal)
    assert [reason.code for reason in second.reasons] == ["kenmerk-ongeldig"]
    with opened(path, one) as table:
        assert [found.number for found in table] == [2, 4], "as the spreadsheet numbers them"


def test_a_damaged_row_costs_itself_only(tmp_path: Path, one: Partner) -> None:
    path = tmp_path / "a.csv"
    good = csv_bytes([row(number, achternaam="Benoît") for number in range(3)]).splitlines(keepends=True)
    bad = [b"H-1;\xff\xfe;half\r\n", b'H-2;"stray\r\n', b"x" * 200_000 + b"\r\n", b"\x00\r\n", b"\r\n", b";;;;\r\n"]
    path.write_bytes(b"".join([good[0], good[1], *bad, good[2], good[3]]))
    expected = ["Benoît", "rij-onleesbaar", "rij-onvolledig", "rij-onleesbaar", "rij-onvolledig", "Benoît", "Benoît"]
    assert names(path, one) == expected


def test_one_row_in_another_encoding_does_not_garble_the_others(tmp_path: Path, one: Partner) -> None:
    accents = [row(number, achternaam="Benoît") for number in range(4)]
    for encoding, other in (("utf-8", "cp1252"), ("cp1252", "utf-8")):
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes(csv_bytes(accents, encoding=encoding) + csv_bytes([accents[0]], encoding=other).split(b"\r\n", 1)[1])
        assert names(path, one) == ["Benoît"] * 4 + ["rij-onleesbaar"]


@pytest.mark.parametrize("header", ["BSN", "Klant_bsn"])
def test_a_column_called_bsn_refuses_the_file_even_when_it_is_empty(tmp_path: Path, one: Partner, header: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(csv_bytes([[*row(), ""]], [*HEADER, header]))
    error = refused(path, one)
    assert (error.reason.code, error.rows) == ("bsn-kolom", 1)


@pytest.mark.parametrize("column", ["kenmerk", "klantnummer", "achternaam", "not mapped"])
@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_column_full_of_bsns_refuses_the_file_whatever_it_is_called(tmp_path: Path, one: Partner, column: str, suffix: str) -> None:
    bsns = [make_bsn(99_990_000 + 11 * number) for number in range(40)]
    extra = ["" if column in COLUMNS else "Nummer"]
    rows = [[*row(number, **({column: bsn} if column in COLUMNS else {})), *([bsn] if extra[0] else [])] for number, bsn in enumerate(bsns)]
    header = [*HEADER, *filter(None, extra)]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(csv_bytes(rows, header) if suffix == ".csv" else workbook(rows, header))
    error = refused(path, one)
    assert (error.reason.code, error.rows) == ("bsn-kolom", 40)
    assert not any(bsn in error.reason.text for bsn in bsns)


def test_customer_numbers_of_which_some_pass_do_not_refuse_the_file(tmp_path: Path, one: Partner) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(csv_bytes([row(number, klantnummer=str(123_456_000 + number)) for number in range(500)]))
    assert len(names(path, one)) == 500


def test_what_a_file_may_not_be(tmp_path: Path, one: Partner) -> None:
    def code(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return refused(path, one).reason.code

    good = csv_bytes([row()])
    assert code("a.pdf", b"%PDF") == "soort-onbekend"
    assert code("a.csv", b"") == "kop-ontbreekt"
    assert code("a.csv", b"\r\n;;;\r\n") == "kop-ontbreekt"
    assert code("a.csv", good.decode().encode("utf-16")) == "bestand-onleesbaar"
    assert code("a.csv", good.split(b"\r\n", 1)[1]) == "kolom-ontbreekt"
    assert code("a.csv", b";" * 400 + b"x\r\n") == "bestand-onleesbaar"
    assert code("a.xlsx", good) == "bestand-onleesbaar"
    assert code("a.xlsx", workbook([row()])[:-30]) == "bestand-onleesbaar"
    assert code("a.csv", csv_bytes([row()] * 50_001)) == "bestand-te-groot"
    assert refused(tmp_path / "weg.csv", one).reason.code == "bestand-onleesbaar"


def test_missing_columns_are_named_from_the_settings_and_nothing_of_the_file_is(tmp_path: Path, one: Partner) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(csv_bytes([], [cell if cell else "leeg" for cell in row()]))
    text = refused(path, one).reason.text
    assert "Postcode" in text
    assert "Van Voorbeeld" not in text
    path.write_bytes(csv_bytes([row()], [*HEADER[:-1], "postcode "]))
    assert "Postcode" in refused(path, one).reason.text, "twice: which one holds?"


def test_whether_a_file_has_its_end(tmp_path: Path, one: Partner) -> None:
    path, sheet = tmp_path / "a.csv", tmp_path / "a.xlsx"
    content = csv_bytes([row(1), row(2)])
    for cut in (1, 2, 30):
        path.write_bytes(content[:-cut])
        assert is_whole(path, one) == content[:-cut].endswith(b"\n")
    sheet.write_bytes(workbook([row()]))
    assert is_whole(sheet, one)
    sheet.write_bytes(workbook([row()])[:-40])
    assert not is_whole(sheet, one)


def test_a_closing_line_says_how_many_rows_there_are(tmp_path: Path) -> None:
    closes = read_partner(tmp_path, trailer="#EINDE")
    path = tmp_path / "a.csv"
    for line, whole_, expected in (
        (b"#EINDE;2", True, None),
        (b"#EINDE;3\r\n", True, "bestand-onvolledig"),
        (b"", False, "bestand-onvolledig"),
    ):
        path.write_bytes(csv_bytes([row(1), row(2)]) + line)
        assert is_whole(path, closes) == whole_
        if expected is None:
            assert len(read(path, closes)) == 2
        else:
            assert refused(path, closes).reason.code == expected


# --- settings -------------------------------------------------------------------------------------


def faults(path: Path) -> str:
    with pytest.raises(StopError) as caught:
        read_partners(path)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert caught.value.hint
    return caught.value.message


def test_every_fault_of_the_settings_is_told_with_its_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "partners.yaml"
    path.write_text(
        "partners:\n"
        "  - participant: Wonen Voorbeeld\n"
        "    folder: in\n"
        "    kleur: blauw\n"
        "    sftp: {host: localhost, user: x, host_key: geheim-woord, password: geheim-wachtwoord}\n"
        "    columns:\n"
        "      kenmerk: Contract\n"
        "      bsn: BSN\n",
        encoding="utf-8",
    )
    told = faults(path)
    for expected in (
        f"{path}:2: partners.0.participant: ", f"{path}:4: partners.0.kleur: is no key of this file", f"{path}:5: partners.0.sftp.host_key: ",
        f"{path}:8: partners.0.columns.bsn: is no key of this file", f"{path}:6: partners.0.columns.herinneringen: is missing",
    ):  # fmt: skip
        assert expected in told
    assert "geheim" not in told
    assert "blauw" not in told
    assert [int(line.split(":")[1]) for line in told.splitlines()] == sorted(int(line.split(":")[1]) for line in told.splitlines())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({"fixed": {}}, "either in `columns` or in `fixed`: partnersoort, betrokkene_geinformeerd, contactrol"),
     ({"columns": COLUMNS | {"postcode": "Naam"}}, "two fields are read from one column"),
     ({"columns": COLUMNS | {"klantnummer": "BSN"}}, "a column with a BSN cannot be mapped"),
     ({"columns": {field: column for field, column in COLUMNS.items() if field != "herinneringen"}}, "herinneringen: is missing"),
     ({"fixed": {"herinneringen": 1}}, "fixed.herinneringen: is no key"),
     ({"true_words": ["x"], "false_words": ["X"]}, "a word is both true and false"),
     ({"sftp": {"host": "h", "user": "u", "host_key": "ssh-ed25519 AAAA"}}, "either `password` or `key_file`")],
)  # fmt: skip
def test_what_settings_may_not_say(tmp_path: Path, changed: dict[str, Any], expected: str) -> None:
    assert expected in faults(settings_file(tmp_path, partner(tmp_path / "in", **changed)))


def test_a_settings_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "partners.yaml"
    assert "cannot be read" in faults(path)
    for content in (b"partners: [", b"\xff", b"a: 1\na: 2", b"", b"partners: []", b"- x"):
        path.write_bytes(content)
        assert str(path) in faults(path)
    path.write_bytes(b"partners: 1\npartners: 2")
    assert faults(path) == f"{path}:2: `partners` is there twice"
    twice = partner(tmp_path / "in")
    assert "the same `participant`" in faults(settings_file(tmp_path, twice, twice))


def test_paths_are_relative_to_the_settings_file_and_secrets_are_not_shown(tmp_path: Path) -> None:
    sftp = {"host": "h", "user": "u", "host_key": "ssh-ed25519 AAAA", "password": "geheim-wachtwoord"}
    (found,) = read_partners(settings_file(tmp_path, partner(tmp_path / "in", sftp=sftp) | {"folder": "in"}))
    assert found.folder == tmp_path / "in"
    assert "geheim" not in repr(found)


def test_every_precondition_is_a_column_that_must_be_mapped() -> None:
    assert all(Columns.model_fields[field].is_required() for field in PRECONDITIONS)


# --- receipts -------------------------------------------------------------------------------------


def draft(path: Path, *answers: Answer) -> list[dict[str, str]]:
    made = Draft(path)
    made.add(answers)
    made.finish()
    return receipt_rows(path)


def test_a_receipt_says_of_each_row_what_became_of_it(tmp_path: Path) -> None:
    receipt = Receipt("x", "y", None, "accepted")
    refusal = Receipt("x", None, None, "rejected", (ReceiptError("a", "b", "Zin een."), ReceiptError("c", None, "Zin twee.")))
    told = draft(
        tmp_path / "r.csv",
        Answer.of(2, "H-1", receipt),
        Answer.of(3, "H-2", Receipt("x", "y", None, "duplicate", deferred=True)),
        Answer.of(4, "-1+2", refusal),
        Answer.refused(5, "", [Reason("rij-dubbel", None, "Zin.")]),
    )
    assert [(one["rij"], one["kenmerk"], one["status"], one["redenen"]) for one in told] == [
        ("2", "H-1", ACCEPTED, ""), ("3", "H-2", QUEUED, ""), ("4", "'-1+2", REFUSED, "a:b,c"), ("5", "", REFUSED, "rij-dubbel"),
    ]  # fmt: skip
    assert told[2]["uitleg"] == "Zin een. Zin twee."


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_a_receipt_is_a_formula(tmp_path: Path, start: str) -> None:
    (told,) = draft(tmp_path / "r.csv", Answer(2, f"{start}HYPERLINK(1)", ACCEPTED))
    assert told["kenmerk"] == f"'{start}HYPERLINK(1)"


@settings(deadline=None)  # it waits for the disk
@given(st.integers(min_value=0), st.binary(max_size=12).filter(lambda rubbish: b"\n" not in rubbish))
def test_a_draft_that_was_cut_off_anywhere_goes_on_where_it_is_whole(cut: int, rubbish: bytes) -> None:
    answers = [Answer(number, f"H-{number}", QUEUED if number % 2 else REFUSED, ("a", "b"), "Zin.") for number in range(2, 12)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.csv"
        draft(path, *answers)
        whole_ = path.read_bytes()
        path.write_bytes(whole_[: cut % (len(whole_) + 1)] + rubbish)
        resumed = Draft(path)
        assert resumed.last in {0, *range(2, 12)}
        assert sum(resumed.done.values()) == max(0, resumed.last - 1)
        resumed.add([answer for answer in answers if (answer.number or 0) > resumed.last])
        resumed.finish()
        assert path.read_bytes() == whole_


# --- documents ------------------------------------------------------------------------------------

README = Path(__file__).parents[2] / "connectors" / "vaste_lasten" / "README.md"


def test_the_readme_lists_every_reason_and_setting() -> None:
    readme = README.read_text(encoding="utf-8")
    for code, sentence in [*ROW_REASONS.items(), *FILE_REASONS.items()]:
        assert f"| `{code}` | {sentence} |" in readme
    for field in [*Partner.model_fields, *Columns.model_fields]:
        assert f"`{field}`" in readme, field
    assert list(ROW_REASONS) == list(get_args(RowCode))
    assert list(FILE_REASONS) == list(get_args(FileCode))
    assert all(field.description for field in VasteLastenSettings.model_fields.values())


def test_the_settings_in_the_readme_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "partners.yaml"
    path.write_text(README.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    assert read_partners(path)[0].participant == "wonen-voorbeeld"
