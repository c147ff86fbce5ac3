"""Reading rule and schema files: a small dialect, a line for every part, and no content in an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain.sources import Source, read_json, read_yaml
from hub.errors import FaultsError

Read = Callable[[str, str], Source]


def faults(read: Read, text: str) -> list[tuple[str, int, str]]:
    with pytest.raises(FaultsError) as caught:
        read("rules/x.yaml", text)
    return [(fault.file, fault.line, fault.what) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0344", "0344"),
        ("00000099000000010000", "00000099000000010000"),
        ("-5", -5),
        ("0", 0),
        ("12", 12),
        ("1.5", "1.5"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("1e3", "1e3"),
        ("12:30", "12:30"),
        ("2026-11-02", "2026-11-02"),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("null", None),
        ("", None),
        ("~", "~"),
        ("Null", "Null"),
        ("NaN", "NaN"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("''", ""),
        ("|\n  5", "5"),
    ],
)
def test_only_null_true_false_and_whole_numbers_are_special(text: str, value: object) -> None:
    read = read_yaml("rules/x.yaml", f"sleutel: {text}").value["sleutel"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("key", ["on", "0344", "true", "null", "5", "'*'", "2026-11-02"])
def test_a_key_is_always_text(key: str) -> None:
    assert list(read_yaml("rules/x.yaml", f"{key}: x").value) == [key.strip("'")]


def test_a_merge_key_is_a_key_like_any_other() -> None:
    assert read_yaml("rules/x.yaml", "a: &a {b: 1}\nc:\n  <<: *a").value["c"] == {"<<": {"b": 1}}


def test_an_anchor_is_read_wherever_it_is_used_on_the_line_of_its_use() -> None:
    source = read_yaml("rules/x.yaml", "een: &een\n  a: 1\n  b: 2\ntwee: *een\ndrie:\n  - *een\n")
    assert source.value["twee"] == source.value["een"] == source.value["drie"][0] == {"a": 1, "b": 2}
    assert (source.line(("een",)), source.line(("een", "b")), source.line(("twee",))) == (1, 3, 4)


def test_every_part_keeps_its_line() -> None:
    text = "a: 1\n\nb:\n  - x\n  - c: 2\n    d:\n      [3,\n       4]\n# slot\ne: {f: 5,\n  g: 6}\n"
    source = read_yaml("rules/x.yaml", text)
    lines = {("a",): 1, ("b",): 3, ("b", 0): 4, ("b", 1): 5, ("b", 1, "c"): 5, ("b", 1, "d"): 6, ("b", 1, "d", 1): 8, ("e", "g"): 11}
    assert {path: source.line(path) for path in lines} == lines


def test_what_is_not_there_has_the_line_of_what_it_would_stand_in() -> None:
    source = read_yaml("rules/x.yaml", "a:\n  b:\n    c: 1\n")
    assert source.line(("a", "b", "x", 3, "y")) == 2
    assert source.line(("z",)) == 1
    assert read_yaml("rules/x.yaml", "").line(("z",)) == 1


def test_json_keeps_the_same_lines() -> None:
    source = read_json("schemas/x.avsc", '{\n\t"a": [1,\n\t\t{"b":\n2}],\r\n "c": null}')
    assert source.value == {"a": [1, {"b": 2}], "c": None}
    lines = {("a",): 2, ("a", 0): 2, ("a", 1): 3, ("a", 1, "b"): 3, ("c",): 5}
    assert {path: source.line(path) for path in lines} == lines


@pytest.mark.parametrize("read", [read_yaml, read_json])
def test_every_duplicate_key_is_refused_on_the_line_of_the_second(read: Read) -> None:
    text = '{"a": 1,\n"b": {"c": 1,\n"c": 2},\n"a": 3}'
    assert faults(read, text) == [
        ("rules/x.yaml", 3, "duplicate key `c`"),
        ("rules/x.yaml", 4, "duplicate key `a`"),
    ]


def test_a_key_that_is_quoted_once_is_the_same_key() -> None:
    assert faults(read_yaml, "'0344': a\n0344: b") == [("rules/x.yaml", 2, "duplicate key `0344`")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1\nc: 2", 3),
        ("a:\n\tb: 1", 2),
        ("a: 1\nb: *onbekend", 2),
        ("a: 1\n---\nb: 2", 2),
        ("a: 'x\n\n", 3),
        ("a: 1\nb: \x01", 1),
    ],
)
def test_broken_yaml_is_reported_on_its_line(text: str, line: int) -> None:
    found = faults(read_yaml, text)
    assert [(file, at) for file, at, _ in found] == [("rules/x.yaml", line)]
    assert found[0][2].startswith("not valid YAML: ")


@pytest.mark.parametrize(
    ("text", "line"), [("", 1), ('{"a": 1,\n}', 2), ('{\n\n"a" 1}', 3), ("\ufeff{}", 1), ('{"a":\n1} x', 2), ("{'a': 1}", 1)]
)
def test_broken_json_is_reported_on_its_line(text: str, line: int) -> None:
    found = faults(read_json, text)
    assert [(file, at) for file, at, _ in found] == [("rules/x.yaml", line)]
    assert found[0][2].startswith("not valid JSON: ")


def test_a_key_that_is_no_word_is_refused() -> None:
    assert faults(read_yaml, "a: 1\n? [b]\n: 2") == [("rules/x.yaml", 2, "a key is not a plain word")]


def test_a_file_that_unfolds_without_measure_is_refused() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]", *(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 8))]
    found = faults(read_yaml, "\n".join(lines))
    assert [what for _, _, what in found] == ["the file unfolds to too many parts"]


@pytest.mark.parametrize("text", ["a: 1\nb: &b [*b]", "a: 1\nb: &b {c: *b}"])
def test_an_anchor_that_holds_itself_is_refused(text: str) -> None:
    assert [(file, line) for file, line, _ in faults(read_yaml, text)] == [("rules/x.yaml", 2)]


@pytest.mark.parametrize(("read", "text"), [(read_yaml, "["), (read_json, "["), (read_json, '{"a":')])
def test_a_file_nested_without_measure_is_refused(read: Read, text: str) -> None:
    assert faults(read, text * 5_000 + "0")


def test_a_tag_runs_nothing() -> None:
    assert read_yaml("rules/x.yaml", "a: !!python/object/apply:os.getcwd []").value == {"a": []}


def test_no_error_repeats_the_content() -> None:
    for read, text in ((read_yaml, "a: [999990019\nb: x"), (read_json, '{"a": 999990019 x}'), (read_yaml, "a: 999990019: b")):
        assert "99999" not in str(faults(read, text))


@pytest.mark.parametrize(
    "text",
    [
        r'{"a": "\ud83d\ude00"}',
        r'{"a": "\/\b\f\n\r\t\u00e9\""}',
        '{"a": "😀é"}',
        '{"a":\t1e2}',
        '{"a":1,"b":[{}]}',
        '{"a": "x: y, # z"}',
    ],
)
def test_whatever_is_json_is_read_as_json(text: str) -> None:
    assert read_json("schemas/x.avsc", text).value == json.loads(text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(_VALUES, st.sampled_from([None, 1, 4]), st.booleans())
def test_any_document_that_a_tool_wrote_reads_as_it_is(value: Any, indent: int | None, ascii_only: bool) -> None:  # noqa: FBT001
    assert read_json("schemas/x.avsc", json.dumps(value, indent=indent, ensure_ascii=ascii_only)).value == value


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_reads_or_is_a_fault_with_a_line(text: str) -> None:
    for read in (read_yaml, read_json):
        try:
            source = read("x", text)
        except FaultsError as exc:
            assert all(fault.line >= 1 for fault in exc.faults)
        else:
            assert source.file == "x"
