"""The formats of text fields, checked at admission."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.nl import bsn, postcode

from hub.domain.formats import FORMATS, canonical, holds_bsn, is_bsn, is_gba_date
from hub.domain.reasons import ADMISSION

RIGHT = {
    "bsn": ["123456782", "999990019", "111222333", "012345672"],
    "gemeentecode": ["0344", "0855", "1980", "0003"],
    "bag-id": ["0855010000000001", "1234567890123456"],
    "postcode": ["1234AB", "1234 AB", "9999ZZ", "1000AA", "3511ab"],
    "oin": ["00000099000000010000", "00000001823288444000", "0000000900000000A1B2"],
    "cjib-nummer": ["123456789", "1234567890123456", "000000000"],
    "gba-datum": ["20260901", "20260900", "20260000", "00000000", "20000229", "00010101"],
    "email": ["a@b.nl", "jan.de-vries+hulp@gemeente.example.nl", "o'neil@x.org"],
    "phone": ["+31612345678", "0612345678", "+3281123456", "0301234567"],
    "brin": ["05KO", "30AA", "05KO01"],
}
WRONG = {
    "bsn": [
        "123456789",
        "000000000",
        "123.456.782",
        "12345678",
        "1234567820",
        "123456782 ",
        " 123456782",
        "１２３４５６７８２",
        "",
        "12345678X",
    ],
    "gemeentecode": ["0000", "1999", "344", "03444", "034a", "٠٣٤٤", "", " 0344", "GM0344"],
    "bag-id": ["855010000000001", "08550100000000011", "085501000000000A", ""],
    "postcode": [
        "0234AB",
        "1234  AB",
        "1234",
        "1234A",
        "AB1234",
        "1234AB ",
        "1234ÀB",
        "12345AB",
        "",
        "1234SS",
        "1234SA",
        "1234SD",
        "1234 ss",
    ],
    "oin": ["0000009900000001000", "000000990000000100000", "0000009900000001000a", "A0000099000000010000", ""],
    "cjib-nummer": ["1234567890", "12345678", "12345678901234567", "12345678a", ""],
    "gba-datum": [
        "20260230",
        "19000229",
        "00000500",
        "00000005",
        "20260005",
        "20261301",
        "20260932",
        "2026-09-01",
        "2026090",
        "",
        "202609011",
    ],
    "email": ["a@b", "a b@c.nl", "@b.nl", "a@", "a@b.nl\n", "a@@b.nl", "", "a@b.nl, c@d.nl", f"{'a' * 65}@b.nl"],
    "phone": ["06-12345678", "0031612345678", "612345678", "+0612345678", "06123456789", "+31 612345678", "", "bel mij"],
    "brin": ["05K", "05KO0", "05 KO", "05KO  ", " 05KO ", "KO05", "05KO001", "05kó", ""],
}


def test_every_format_has_a_reason_that_publishers_can_look_up() -> None:
    assert RIGHT.keys() == WRONG.keys() == FORMATS.keys()
    assert all(code in ADMISSION for _, code in FORMATS.values())


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in RIGHT.items() for text in texts])
def test_text_in_the_right_form_passes(name: str, text: str) -> None:
    assert FORMATS[name][0](text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_text_in_another_form_does_not(name: str, text: str) -> None:
    assert not FORMATS[name][0](text)


def test_the_library_alone_would_take_a_bsn_with_dots() -> None:
    assert bsn.is_valid("123.456.782")
    assert not is_bsn("123.456.782")


@settings(deadline=None)
@given(st.integers(0, 999_999_999).map("{:09}".format))
def test_nine_digits_are_a_bsn_if_they_pass_the_elevenproef(text: str) -> None:
    weighed = sum(int(digit) * weight for digit, weight in zip(text, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True))
    assert is_bsn(text) == (weighed % 11 == 0 and text != "000000000")


@settings(deadline=None)
@given(st.from_regex(r"[1-9][0-9]{3}[A-Z]{2}", fullmatch=True))
def test_a_postcode_is_what_the_library_says_it_is(text: str) -> None:
    assert FORMATS["postcode"][0](text) == postcode.is_valid(text)


@settings(deadline=None)
@given(st.dates(min_value=date(1, 1, 1)))
def test_every_day_is_a_gba_datum_with_and_without_its_last_parts(day: date) -> None:
    text = f"{day:%Y%m%d}".rjust(8, "0")
    assert all(is_gba_date(known.ljust(8, "0")) for known in (text, text[:6], text[:4]))


@pytest.mark.parametrize(
    ("text", "holds"),
    [("123456782", True), ("x-123456782-y", True), ("9123456782", True), ("1234567821", True), ("12345678-2", False), ("123456789", False),
     ("000000000", False), ("", False), ("zaak-12345678", False), ("00000000012345678200000000", True)],
)  # fmt: skip
def test_a_bsn_is_found_in_any_run_of_digits(text: str, holds: bool) -> None:  # noqa: FBT001
    assert holds_bsn(text) is holds


@pytest.mark.parametrize(
    ("kind", "one", "two"),
    [
        ("postcode", "3511 ab", "3511AB"),
        (None, "  Van   Voorbeeld ", "van voorbeeld"),
        (None, "ÉÉN", "één"),
        ("gba-datum", "19800229", "19800229"),
    ],
)
def test_equal_things_have_one_canonical_spelling(kind: str | None, one: str, two: str) -> None:
    assert canonical(kind, one) == canonical(kind, two)


@pytest.mark.parametrize(
    ("kind", "one", "two"), [("postcode", "3511AB", "3511AC"), (None, "Jansen", "Janssen"), ("bsn", "123456782", "999990019")]
)
def test_different_things_have_different_spellings(kind: str | None, one: str, two: str) -> None:
    assert canonical(kind, one) != canonical(kind, two)
