"""The two loops, the rows of a file and the ids that follow from content."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.kit.files import REASONS, TOO_LONG, TOO_SHORT, UNENDED, rows
from connectors.kit.flow import Known, Outgoing, Refused, Skipped, Taken, publish_all, take_all
from connectors.kit.ids import KEY_FILE, id_key, identified, pseudonym, spelled
from connectors.kit.memory import MemoryGateway
from connectors.kit.rigs import delivery
from hub.client import NewSignal, Receipt, RunReport
from hub.domain.formats import holds_bsn
from hub.errors import RetryLaterError, StopError

TYPE = "nl.voorbeeld.melding.v1"


def outgoing(number: int, participant: str = "a") -> Outgoing:
    return participant, NewSignal(type=TYPE, data={"n": number}, id=f"n-{number}")


def test_every_item_is_counted_once_and_goes_in_batches() -> None:
    hub, report = MemoryGateway(refuse=lambda signal: "oneven" if signal.data["n"] % 2 else None), RunReport()
    calls: list[tuple[str, int]] = []
    publish = hub.publish

    def counting(participant: str, signals: Any) -> list[Receipt]:
        calls.append((participant, len(signals)))
        return publish(participant, signals)

    hub.publish = counting  # type: ignore[method-assign]
    items: list[Outgoing | Skipped] = [outgoing(0), Skipped("niets"), outgoing(1, "b"), outgoing(2), outgoing(0), Skipped("niets")]
    publish_all(hub, report, iter(items), batch=3)
    assert (report.read, report.accepted, report.duplicate) == (6, 2, 1)
    assert (report.skipped, report.refused) == ({"niets": 2}, {"oneven": 1})
    assert report.balanced
    assert calls == [("a", 2), ("b", 1), ("a", 1)]
    report.read += 1
    assert not report.balanced


def test_what_happened_to_a_delivery_is_counted_and_answered() -> None:
    found: dict[int, Taken | Known | Skipped | Refused] = {
        1: Taken([NewSignal(type=TYPE, data={}), NewSignal(type=TYPE, data={}, id="eigen", cause="iets")]),
        2: Known(),
        3: Skipped("x"),
        4: Refused("http-422"),
    }
    hub, report = MemoryGateway([delivery(number, "a", TYPE, {}) for number in found]), RunReport()
    with hub.mailbox("a", "lezer") as mailbox:
        take_all(hub, mailbox, report, lambda one: found[one.sequence], batch=3)
    assert (report.read, report.delivered, report.duplicate, report.skipped, report.refused) == (4, 1, 1, {"x": 1}, {"http-422": 1})
    assert (report.answers, report.balanced) == ({"accepted": 2}, True)
    assert [(who, signal.id, signal.cause) for who, signal in hub.published] == [
        ("a", "antwoord-1-delivery-h", "delivery-1"),
        ("a", "eigen", "iets"),
    ]
    assert hub.places == {("a", "lezer"): 4}


def test_the_id_of_an_answer_holds_no_digits_of_the_delivery_that_could_be_those_of_a_person() -> None:
    name = "0b6e3c52-91d4-4f3a-8c1e-a999990019bf"
    hub = MemoryGateway([replace(delivery(1, "a", TYPE, {}), delivery_id=name)])
    with hub.mailbox("a", "lezer") as mailbox:
        take_all(hub, mailbox, RunReport(), lambda _: Taken([NewSignal(type=TYPE, data={})]))
    ((_, signal),) = hub.published
    assert signal.cause == name
    assert signal.id == f"antwoord-1-{spelled(name)}"
    assert not holds_bsn(signal.id)


def test_what_came_before_a_failure_is_done_and_the_rest_comes_again() -> None:
    hub, report = MemoryGateway([delivery(number, "a", TYPE, {}) for number in range(1, 4)]), RunReport()

    def act(one: Any) -> Taken:
        if one.sequence == 3:
            raise RetryLaterError("not now")
        return Taken()

    with hub.mailbox("a", "lezer") as mailbox, pytest.raises(RetryLaterError):
        take_all(hub, mailbox, report, act)
    assert hub.places == {("a", "lezer"): 2}
    assert report.read == 2


def test_an_answer_that_the_hub_refuses_is_counted_apart() -> None:
    hub, report = MemoryGateway([delivery(1, "a", TYPE, {})], refuse=lambda _: "nee"), RunReport()
    with hub.mailbox("a", "lezer") as mailbox:
        take_all(hub, mailbox, report, lambda _: Taken([NewSignal(type=TYPE, data={})]))
    assert (report.delivered, report.answers, report.refused) == (1, {"nee": 1}, {})


# --- rows ---------------------------------------------------------------------------------


def test_rows_are_cells_by_name(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text('\ufeffa; b ;c\n1;"2;3";\n\n4;5\n7;8;9;10\nx";y;z\n11;12;13', encoding="utf-8")
    assert list(rows(file, ["b", "a"])) == [{"b": "2;3", "a": "1"}, TOO_SHORT, TOO_LONG, {"b": "y", "a": 'x"'}, UNENDED]


@pytest.mark.parametrize(("last", "why"), [("1;2", UNENDED), ("1;", UNENDED), ("1", TOO_SHORT), ("1;2;3", TOO_LONG)])
def test_a_last_row_without_a_line_end_is_told_apart_from_one_with_columns_missing(last: str, why: Skipped, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text(f"a;b\n{last}", encoding="utf-8")
    assert list(rows(file, ["a", "b"])) == [why]
    assert why.reason in REASONS


@pytest.mark.parametrize("content", [b"", b"a;b\n", b"a;c;c;b\n", "a;c\né;1\n".encode("cp1252"), "a;c\n".encode("utf-16")])
def test_a_file_that_is_not_what_it_should_be_stops(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(content)
    with pytest.raises(StopError):
        list(rows(file, ["a", "c"]))


def test_another_encoding_and_delimiter_may_be_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes("naam,n\nZoë,1\n".encode("cp1252"))
    assert list(rows(file, ["naam"], delimiter=",", encoding="cp1252")) == [{"naam": "Zoë"}]


@pytest.mark.parametrize("make", [lambda _: None, Path.mkdir])
def test_a_file_that_is_not_there_stops(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "x.csv")
    with pytest.raises(StopError):
        list(rows(tmp_path / "x.csv", ["a"]))


# --- ids ----------------------------------------------------------------------------------


def test_the_same_content_has_the_same_id_under_one_key_and_no_digit_in_it(tmp_path: Path) -> None:
    key = id_key(tmp_path / "a")
    assert id_key(tmp_path / "a") == key != id_key(tmp_path / "b")
    assert stat.S_IMODE((tmp_path / "a" / KEY_FILE).stat().st_mode) == 0o600
    one, other = NewSignal(type=TYPE, data={"x": 1, "y": 2}), NewSignal(type=TYPE, data={"y": 2, "x": 1})
    found = identified(one, key, "proef").id
    assert found == identified(other, key, "proef").id == f"proef-{pseudonym(key, TYPE, dict(one.data))}"
    assert found != identified(one, id_key(tmp_path / "b"), "proef").id
    assert found.removeprefix("proef-").isalpha()


def test_a_key_that_was_cut_off_stops(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(StopError):
        id_key(tmp_path)
