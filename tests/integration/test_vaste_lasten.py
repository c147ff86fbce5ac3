"""The vaste-lasten connector on a real hub: folders, receipts, crashes at every step, a partner's SFTP server. All people are invented."""

from __future__ import annotations

import fcntl
import io
import os
import resource
import stat
import struct
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paramiko import SFTPAttributes, SFTPClient, SFTPError

from connectors.kit.memory import START
from connectors.vaste_lasten import CONNECTOR, connector, folder, reading, spreadsheet
from connectors.vaste_lasten.folder import Folder
from connectors.vaste_lasten.receipt import Draft
from connectors.vaste_lasten.settings import VasteLastenSettings
from connectors.vaste_lasten.sftp import Remote
from hub.client import NewSignal, Receipt, RunReport
from hub.errors import HubError, RetryLaterError, StopError
from hub.gateway import HubGateway
from tests.counterparts.corporation import PASSWORD, USER, Corporation, corporation, fresh_key, public
from tests.integration.support import DEFERRED, EINDHOVEN, LANDLORD, REFUSED, received
from tests.partnerfiles import COLUMNS, HEADER, Yes, csv_bytes, partner, receipt_rows, receipts, row, settings_file, workbook
from tests.sample import DEBT
from tests.strategies import make_bsn

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.client import Gateway, Item

UTRECHT: Final = "schuldhulp.0344"


def track(items: Iterable[Item], *, total: int | None, label: str) -> Iterable[Item]:
    """Show nothing."""
    assert total is not None
    assert label
    return items


def run(gateway: Gateway, where: Path, how: Callable[..., Any] = track) -> RunReport:
    """Run the connector with the settings file in a folder."""
    report = CONNECTOR.run(VasteLastenSettings(partners=where / "partners.yaml", state_dir=where / "state"), gateway, how)
    assert report.balanced
    return report


@pytest.fixture
def gateway(hub: Hub) -> HubGateway:
    """What the connector gets of a real hub."""
    return HubGateway(hub)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """The folder of one partner, with its settings."""
    settings_file(tmp_path)
    return tmp_path / "in"


def statuses(path: Path) -> Counter[str]:
    return Counter(answer["status"] for answer in receipt_rows(path))


def tree(inbox: Path) -> dict[str, bytes]:
    """Return every file in a partner's folder."""
    return {str(path.relative_to(inbox)): path.read_bytes() for path in sorted(inbox.rglob("*")) if path.is_file()}


# --- to the municipality --------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_row_reaches_schuldhulp_and_its_receipt_holds_the_reference_only(hub: Hub, gateway: HubGateway, inbox: Path, suffix: str) -> None:
    path = inbox / f"oktober{suffix}"
    if suffix == ".csv":
        path.write_bytes(csv_bytes([row(7, achternaam="Ünal")], encoding="cp1252"))
    else:
        path.write_bytes(workbook([row(7, achternaam="Ünal")]))
    report = run(gateway, inbox.parent)
    assert (report.read, report.accepted) == (1, 1)
    (delivery,) = received(hub, UTRECHT, DEBT)
    assert delivery["data"]["achternaam"] == "Ünal"
    assert delivery["data"]["bedrag_cent"] == 107
    assert delivery["data"]["telefoon"] == "0612345678"
    assert "klantnummer" not in delivery["data"]
    (receipt,) = receipts(inbox)
    assert receipt_rows(receipt) == [{"rij": "2", "kenmerk": "H-2026-00007", "status": "aangenomen", "redenen": "", "uitleg": ""}]
    assert (receipt.parent / receipt.name.removesuffix(".ontvangst.csv")).exists()
    assert list(inbox.glob("*.*")) == []


def test_what_is_over_the_agreed_number_waits_and_the_same_file_again_changes_nothing(hub: Hub, gateway: HubGateway, inbox: Path) -> None:
    content = csv_bytes([row(number, gemeentecode="0772") for number in range(60)])
    for _ in range(2):
        (inbox / "oktober.csv").write_bytes(content)
        report = run(gateway, inbox.parent)
        assert report.accepted + report.duplicate == 60
        (receipt,) = receipts(inbox)
        told = receipt_rows(receipt)
        assert [answer["status"] for answer in told] == ["aangenomen"] * 50 + ["wacht"] * 10
        assert "volgende maand" in told[-1]["uitleg"]
        assert len(received(hub, EINDHOVEN, DEBT)) == 50
        assert len(received(hub, LANDLORD, DEFERRED)) == 10, "as the hub tells the partner itself"
    assert report.duplicate == 60


def test_the_rules_decide_whether_preconditions_are_met_and_the_connector_whether_they_are_stated(
    hub: Hub, gateway: HubGateway, inbox: Path
) -> None:
    rows = [row(1), row(2, herinneringen="0", persoonlijk_contact_gezocht="nee"), row(3, herinneringen=""), row(4, doorgeven_geweigerd="ja"),
            row(1), row(5, gemeentecode="0855")]  # fmt: skip
    (inbox / "a.csv").write_bytes(csv_bytes(rows))
    report = run(gateway, inbox.parent)
    assert (report.read, report.accepted) == (6, 1)
    assert report.skipped == {"voorwaarde-ontbreekt": 1, "rij-dubbel": 1}
    assert report.refused == {"geen-persoonlijk-contact": 1, "niet-aangeboden-door-te-geven": 1, "gemeente-niet-toegestaan": 1}
    (receipt,) = receipts(inbox)
    assert [answer["redenen"].split(",")[0] for answer in receipt_rows(receipt)] == [
        "", "geen-persoonlijk-contact", "voorwaarde-ontbreekt:herinneringen", "niet-aangeboden-door-te-geven", "rij-dubbel",
        "gemeente-niet-toegestaan:gemeentecode",
    ]  # fmt: skip
    assert "Bgs art. 2 onder a" in receipt_rows(receipt)[1]["uitleg"]
    assert receipt_rows(receipt)[1]["redenen"] == "geen-persoonlijk-contact,geen-herinnering"
    assert len(received(hub, UTRECHT, DEBT)) == 1


def test_a_file_with_bsns_gives_nothing_and_the_others_go_on(hub: Hub, gateway: HubGateway, inbox: Path) -> None:
    bsns = [make_bsn(99_990_000 + number) for number in range(20)]
    (inbox / "a.csv").write_bytes(csv_bytes([row(number, klantnummer=bsn) for number, bsn in enumerate(bsns)]))
    (inbox / "b.pdf").write_bytes(b"%PDF")
    (inbox / "c.csv").write_bytes(csv_bytes([row()]))
    report = run(gateway, inbox.parent)
    assert report.skipped == {"bsn-kolom": 20, "soort-onbekend": 1}
    assert report.accepted == 1
    told = {path.parent.name + "/" + path.name[0]: receipt_rows(path) for path in receipts(inbox)}
    assert {name: [(answer["rij"], answer["redenen"]) for answer in rows] for name, rows in told.items()} == {
        "geweigerd/a": [("", "bsn-kolom")], "geweigerd/b": [("", "soort-onbekend")], "verwerkt/c": [("2", "")],
    }  # fmt: skip
    assert not any(bsn.encode() in path.read_bytes() for bsn in bsns for path in receipts(inbox))
    assert len(received(hub, LANDLORD, REFUSED)) == 0


def test_nothing_personal_is_in_a_receipt_the_state_or_a_name(gateway: HubGateway, inbox: Path) -> None:
    marker = "Kwartelkoning"
    personal = {field: f"{marker}-917" for field in COLUMNS if field not in {"kenmerk", "gemeentecode"}}
    rows = [
        row(1, achternaam=marker),
        row(2, **personal),
        row(3, email=f"{marker}@"),
        row(4, postcode=marker),
        row(5, kenmerk=f"{marker} 1")[:-2],
    ]
    (inbox / "a.csv").write_bytes(csv_bytes(rows))
    run(gateway, inbox.parent)
    (receipt,) = receipts(inbox)
    said = receipt.read_bytes() + receipt.name.encode() + b"".join(path.read_bytes() for path in (inbox.parent / "state").iterdir())
    assert marker.encode() not in said
    assert statuses(receipt) == {"aangenomen": 1, "geweigerd": 4}


# --- whether it can work --------------------------------------------------------------------------


def pinged(where: Path, *, made: bool = False) -> None:
    before = tree(where)
    try:
        CONNECTOR.ping(VasteLastenSettings(partners=where / "partners.yaml", state_dir=where / "state"))
    finally:
        assert tree(where) == before
        assert (where / "in" / "bezig").exists() == made


def test_ping_tells_of_every_folder_that_cannot_be_used(tmp_path: Path) -> None:
    settings_file(tmp_path, partner(tmp_path / "in"), partner(tmp_path / "uit", participant="stroom-voorbeeld"))
    pinged(tmp_path)
    (tmp_path / "in").rmdir()
    (tmp_path / "in").write_bytes(b"")
    with mock.patch("os.access", lambda path, _mode: path.name != "uit"), pytest.raises(StopError) as caught:
        CONNECTOR.ping(VasteLastenSettings(partners=tmp_path / "partners.yaml"))
    assert [line.partition(":")[0] for line in caught.value.message.splitlines()] == ["wonen-voorbeeld", "stroom-voorbeeld"]
    assert "Not a directory" in caught.value.message
    assert "Permission denied" in caught.value.message


# --- the folder -----------------------------------------------------------------------------------


def test_two_files_with_one_name_are_both_kept_and_the_same_file_twice_is_kept_once(inbox: Path) -> None:
    gateway = Yes()
    for content in (csv_bytes([row(1)]), csv_bytes([row(2)]), csv_bytes([row(1)])):
        (inbox / "oktober.csv").write_bytes(content)
        run(gateway, inbox.parent)
    kept = [path.read_bytes() for path in (inbox / "verwerkt").glob("oktober.*.csv") if "ontvangst" not in path.name]
    assert sorted(kept) == sorted([csv_bytes([row(1)]), csv_bytes([row(2)])])
    assert len(receipts(inbox)) == 2
    assert len(set(gateway.ids)) == 2


def test_another_mapping_of_the_same_file_gets_a_receipt_of_its_own(inbox: Path) -> None:
    for decimal in (",", "."):
        settings_file(inbox.parent, partner(inbox, decimal=decimal))
        (inbox / "a.csv").write_bytes(csv_bytes([row(bedrag="12,50")]))
        run(Yes(), inbox.parent)
    assert sorted(*zip(*[statuses(path) for path in receipts(inbox)], strict=True)) == ["aangenomen", "geweigerd"]


@pytest.mark.parametrize("name", ["a.csv.part", "a.csv.tmp", ".a.csv", "~$a.xlsx", "a.csv.filepart", "A.PART"])
def test_what_says_that_it_is_not_whole_is_not_looked_at(inbox: Path, name: str) -> None:
    (inbox / name).write_bytes(csv_bytes([row()]))
    assert run(Yes(), inbox.parent).read == 0
    assert (inbox / name).exists()


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_file_without_its_end_is_left_until_nobody_wrote_to_it_for_long(inbox: Path, suffix: str) -> None:
    path = inbox / f"a{suffix}"
    whole = csv_bytes([row(1), row(2)]) if suffix == ".csv" else workbook([row(1), row(2)])
    hour_ago = START.timestamp() - 3600
    path.write_bytes(whole[:-25])
    os.utime(path, (hour_ago + 1, hour_ago + 1))
    assert run(Yes(), inbox.parent).read == 0
    assert path.exists()
    path.write_bytes(whole)
    assert run(Yes(), inbox.parent).accepted == 2
    path.write_bytes(whole[:-25])
    os.utime(path, (hour_ago, hour_ago))
    report = run(Yes(), inbox.parent)
    assert not path.exists()
    assert report.skipped == ({"bestand-onvolledig": 2} if suffix == ".csv" else {"bestand-onleesbaar": 1})


def test_a_file_that_grows_between_two_looks_is_left_and_those_beside_it_are_not(inbox: Path) -> None:
    settings_file(inbox.parent, partner(inbox, settle_seconds=3))
    for name in ("a", "b"):
        (inbox / f"{name}.csv").write_bytes(csv_bytes([row(1)]))

    class Growing(Yes):
        def pause(self, seconds: float) -> None:
            super().pause(seconds)
            assert len(self.pauses) < 20, "it waits for a file that goes on growing"
            with (inbox / "a.csv").open("ab") as file:
                file.write(csv_bytes([row(len(self.pauses) + 1)]).split(b"\r\n", 1)[1])

    gateway = Growing()
    assert run(gateway, inbox.parent).accepted == 1
    assert set(gateway.pauses) == {3}
    assert (inbox / "a.csv").exists()
    assert not (inbox / "b.csv").exists()


def test_files_that_appear_while_it_runs_are_handled_too_also_under_a_name_that_was_there(inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(csv_bytes([row(1)]))
    more = iter([("a.csv", 2), ("b.csv", 3)])

    def arriving(items: Iterable[Any], **_: Any) -> Iterator[Any]:
        for name, number in [next(more, ("", 0))]:
            if name:
                (inbox / name).write_bytes(csv_bytes([row(number)]))
        yield from items

    assert run(Yes(), inbox.parent, arriving).accepted == 3
    assert len(receipts(inbox)) == 3


def test_a_file_that_is_written_to_while_it_is_read_is_read_again(inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(csv_bytes([row(1)]))
    writer = (inbox / "a.csv").open("ab")

    def late(items: Iterable[Any], **_: Any) -> Iterator[Any]:
        yield from items
        writer.write(csv_bytes([row(2)]).split(b"\r\n", 1)[1])
        writer.close()

    gateway = Yes()
    with pytest.raises(RetryLaterError, match="was written to") as caught:
        run(gateway, inbox.parent, late)
    assert "a.csv" not in caught.value.message, "a partner may call a file after a person"
    run(gateway, inbox.parent)
    assert len(set(gateway.ids)) == 2
    (receipt,) = receipts(inbox)
    assert len(receipt_rows(receipt)) == 2
    assert list((inbox / "verwerkt").glob(".*")) == []


def test_links_and_folders_are_no_deliveries_and_odd_names_are_kept_plainly(inbox: Path) -> None:
    secret = inbox.parent / "secret.csv"
    secret.write_bytes(csv_bytes([row(1)]))
    (inbox / "link.csv").symlink_to(secret)
    (inbox / "folder.csv").mkdir()
    odd = "=cmd|' x'!\n" + "é" * 100 + ".csv"
    (inbox / odd).write_bytes(csv_bytes([row(2)]))
    assert run(Yes(), inbox.parent).read == 1
    (receipt,) = receipts(inbox)
    assert receipt.name.isascii()
    assert receipt.name.isprintable()
    assert len(receipt.name) < 130


def test_a_link_that_a_partner_puts_where_a_receipt_is_made_is_not_written_through(inbox: Path) -> None:
    class Linking(Yes):
        def pause(self, seconds: float) -> None:
            super().pause(seconds)
            draft.symlink_to(other)

    (inbox / "a.csv").write_bytes(csv_bytes([row()]))
    run(Yes(), inbox.parent)
    (receipt,) = receipts(inbox)  # now its partner knows how the receipt of the same file will be called
    draft, other, told = receipt.with_name(f".{receipt.name}.part"), inbox.parent / "ander bestand", receipt.read_bytes()
    other.write_bytes(b"blijft")
    (inbox / "a.csv").write_bytes(csv_bytes([row()]))
    with pytest.raises(StopError, match="cannot be handled"):
        run(Linking(), inbox.parent)
    draft.unlink()
    assert run(Yes(), inbox.parent).accepted == 1
    assert other.read_bytes() == b"blijft"
    assert receipt.read_bytes() == told
    assert not receipt.is_symlink()


@pytest.mark.parametrize("name", ["bezig", "verwerkt", "geweigerd"])
def test_a_folder_that_a_partner_replaced_by_a_link_is_not_used(inbox: Path, name: str) -> None:
    elsewhere = inbox.parent / "elders"
    elsewhere.mkdir()
    (inbox / name).symlink_to(elsewhere)
    (inbox / "a.csv").write_bytes(csv_bytes([row()]))
    for work in (lambda: run(Yes(), inbox.parent), lambda: pinged(inbox.parent, made=True)):
        with pytest.raises(StopError, match="a folder in it is a link"):
            work()
    assert list(elsewhere.iterdir()) == []
    assert (inbox / "a.csv").exists()


def test_a_file_that_became_a_link_between_look_and_take_is_not_read(inbox: Path) -> None:
    (inbox.parent / "geheim.csv").write_bytes(csv_bytes([row()]))
    watched = Folder(inbox)
    watched.make()
    (inbox / "a.csv").symlink_to(inbox.parent / "geheim.csv")
    assert watched.take("a.csv") is None
    assert watched.busy() == []
    assert watched.take("a.csv") is None


def test_a_partner_whose_folder_is_not_there_holds_up_no_other(tmp_path: Path) -> None:
    gone, there = tmp_path / "weg", tmp_path / "in"
    settings_file(tmp_path, partner(gone, participant="stroom-voorbeeld"), partner(there))
    gone.rmdir()
    (there / "a.csv").write_bytes(csv_bytes([row()]))
    with pytest.raises(StopError, match="stroom-voorbeeld") as caught:
        run(Yes(), tmp_path)
    assert "1 rows were handled" in caught.value.message
    assert len(receipts(there)) == 1


def test_a_second_run_at_the_same_time_is_told_to_come_back(inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(csv_bytes([row()]))
    state = inbox.parent / "state"
    state.mkdir()
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RetryLaterError, match="another run"):
            run(Yes(), inbox.parent)
    assert run(Yes(), inbox.parent).accepted == 1


def test_a_file_that_this_account_may_not_read_is_put_aside(inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(csv_bytes([row()]))
    with mock.patch("connectors.vaste_lasten.reading._raw_lines", side_effect=PermissionError):
        assert run(Yes(), inbox.parent).skipped == {"bestand-onleesbaar": 1}
    assert [path.parent.name for path in receipts(inbox)] == ["geweigerd"]


def test_a_file_that_cannot_be_moved_holds_up_no_other(inbox: Path) -> None:
    for number, name in enumerate(("a", "b")):
        (inbox / f"{name}.csv").write_bytes(csv_bytes([row(number)]))
    move, gateway = folder._move, Yes()

    def stuck(source: Path, target: Path) -> None:
        if target.parent.name == "verwerkt" and target.name.startswith("a."):
            raise OSError(28, "No space left on device")
        move(source, target)

    with mock.patch.object(folder, "_move", stuck), pytest.raises(StopError, match="No space left"):
        run(gateway, inbox.parent)
    assert [path.name[0] for path in receipts(inbox)] == ["b"]
    run(gateway, inbox.parent)
    assert [path.name[0] for path in receipts(inbox)] == ["a", "b"]
    assert len(gateway.ids) == 2


def rezipped(book: bytes, part: str, old: bytes, new: bytes) -> bytes:
    """Return a spreadsheet with something else in one of its parts."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as archive, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as to:
        for name in archive.namelist():
            content = archive.read(name)
            assert name != part or old in content
            to.writestr(name, content.replace(old, new, 1) if name == part else content)
    return made.getvalue()


SHEET: Final = "xl/worksheets/sheet1.xml"


def test_a_spreadsheet_that_unpacks_to_more_than_fits_is_refused_and_the_next_is_not(inbox: Path) -> None:
    small = rezipped(workbook([row(1)]), SHEET, b"</sheetData>", b"<x/>" * 2_000_000 + b"</sheetData>")
    assert len(small) < 20_000
    (inbox / "a.xlsx").write_bytes(small)
    (inbox / "b.xlsx").write_bytes(workbook([row(2)]))
    before = resource.getrlimit(resource.RLIMIT_AS)
    with mock.patch.object(spreadsheet, "ROOM", 64 * 2**20):
        report = run(Yes(), inbox.parent)
    assert report.skipped == {"bestand-te-groot": 1}
    assert report.accepted == 1
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_a_long_text_that_stands_in_many_cells_does_not_fill_the_disk(inbox: Path) -> None:
    (inbox / "a.xlsx").write_bytes(workbook([row()] * 1_000))
    with mock.patch.object(spreadsheet, "MAX_BYTES", 100_000), mock.patch.object(spreadsheet, "_unpacks_to", lambda _: 0):
        assert run(Yes(), inbox.parent).skipped == {"bestand-te-groot": 1}


def test_a_text_of_line_breaks_ends_somewhere(inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(csv_bytes([row()]) + b"\n" * 60)
    with mock.patch.object(reading, "MAX_LINES", 50):
        assert run(Yes(), inbox.parent).skipped == {"bestand-te-groot": 1}


# --- whatever a file holds ------------------------------------------------------------------------

_GOOD: Final = csv_bytes([row(number, achternaam="Benoît") for number in range(4)])
_SHEET: Final = workbook([row(number) for number in range(3)])


@contextmanager
def some_inbox(**changed: Any) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as where:
        settings_file(Path(where), partner(Path(where) / "in", patience_minutes=0, **changed))
        yield Path(where) / "in"


def handled(content: bytes, suffix: str, **changed: Any) -> None:
    """Let the connector read any bytes; the file is never lost, and every row is in one count and in the receipt."""
    with some_inbox(**changed) as inbox:
        (inbox / f"a{suffix}").write_bytes(content)
        os.utime(inbox / f"a{suffix}", (0, 0))
        report = run(Yes(), inbox.parent)
        assert report.read > 0 or receipts(inbox)
        (receipt,) = receipts(inbox)
        told = receipt_rows(receipt)
        assert (receipt.parent / receipt.name.removesuffix(".ontvangst.csv")).read_bytes() == content
        if receipt.parent.name == "verwerkt":
            assert report.read == len(told)
            assert report.accepted + report.duplicate == Counter(answer["status"] for answer in told)["aangenomen"]
        else:
            assert [answer["rij"] for answer in told] == [""]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_behind_a_header_are_rows_that_are_counted(tail: bytes) -> None:
    handled(csv_bytes([]) + tail, ".csv")


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([".csv", ".xlsx", ".txt", ".xls", ""]))
def test_any_bytes_are_a_file_that_is_counted(content: bytes, suffix: str) -> None:
    handled(content, suffix)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([(_GOOD, ".csv"), (_SHEET, ".xlsx")]), st.data())
def test_a_file_damaged_anywhere_is_counted(good: tuple[bytes, str], data: st.DataObject) -> None:
    content, suffix = good
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 40)))
    handled(content[:start] + data.draw(st.binary(max_size=20)) + content[end:], suffix)


# --- crashes --------------------------------------------------------------------------------------


class PowerCutError(BaseException):
    """Ends everything, like a power cut; nothing catches it."""


class Cut:
    """Cuts the power before or after the so-manieth step that leaves something behind."""

    def __init__(self, at: int) -> None:
        self.left = at

    def wrap(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def cut(*arguments: Any, **named: Any) -> Any:
            self.step()
            found = work(*arguments, **named)
            self.step()
            return found

        return cut

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise PowerCutError


@pytest.mark.parametrize("refused", [False, True], ids=["a file with rows", "a file refused as a whole"])
def test_a_power_cut_at_any_step_loses_nothing_and_repeats_nothing(tmp_path: Path, refused: bool) -> None:  # noqa: FBT001
    content = csv_bytes([row(1), row(2), row(3, herinneringen=""), row(4), row(5)], [*HEADER[:-1], "BSN"] if refused else HEADER)

    def world(name: str) -> Path:
        where = tmp_path / name
        where.mkdir()
        settings_file(where)
        (where / "in" / "a.csv").write_bytes(content)
        (where / "state").mkdir()
        (where / "state" / "id.key").write_bytes(b"k" * 32)
        return where

    calm = Yes()
    with mock.patch.object(connector, "BATCH_SIZE", 2):
        run(calm, world("calm"))
        at, cut_off = 0, True
        while cut_off:
            at += 1
            where, gateway, cut = world(f"cut-{at}"), Yes(), Cut(at)
            with (
                mock.patch.object(folder, "_move", cut.wrap(folder._move)), mock.patch.object(Draft, "add", cut.wrap(Draft.add)),
                mock.patch.object(Draft, "finish", cut.wrap(Draft.finish)), mock.patch.object(gateway, "publish", cut.wrap(gateway.publish)),
            ):  # fmt: skip
                try:
                    run(gateway, where)
                    cut_off = False
                except PowerCutError:
                    pass
            run(gateway, where)
            assert tree(where / "in") == tree(tmp_path / "calm" / "in"), f"after step {at}"
            assert set(gateway.ids) == set(calm.ids)
            assert len(gateway.ids) <= len(calm.ids) + 2, "more than one batch was published again"
    assert at > (8 if refused else 20)


def test_a_hub_that_does_not_answer_ends_the_run_and_the_next_one_makes_it_good(inbox: Path) -> None:
    class Away(Yes):
        def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
            if len(self.ids) >= 4:
                msg = "away"
                raise RetryLaterError(msg)
            return super().publish(participant, signals)

    (inbox / "a.csv").write_bytes(csv_bytes([row(number) for number in range(9)]))
    with mock.patch.object(connector, "BATCH_SIZE", 2):
        away = Away()
        with pytest.raises(RetryLaterError, match="away"):
            run(away, inbox.parent)
        again = Yes()
        report = run(again, inbox.parent)
    assert len(away.ids) == 4
    assert not set(again.ids) & set(away.ids), "what has its answer is not published again"
    assert (report.read, report.duplicate, report.accepted) == (9, 4, 5)


# --- over SFTP ------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Corporation, Path]]:
    """A corporation's server with its folder `uit`, and the settings of a partner that is fetched from it."""
    remote = tmp_path / "corporatie" / "uit"
    remote.mkdir(parents=True)
    with corporation(remote.parent, tmp_path) as server:
        settle(tmp_path, server)
        yield server, remote


def settle(where: Path, server: Corporation, **changed: Any) -> None:
    sftp = {"host": "127.0.0.1", "port": server.port, "user": USER, "password": PASSWORD, "host_key": server.host_key, "folder": "uit",
            "timeout_seconds": 10}  # fmt: skip
    sftp = {name: value for name, value in (sftp | changed).items() if value is not None}
    settings_file(where, partner(where / "in", sftp=sftp))


def test_files_are_fetched_from_the_corporation_and_their_receipts_are_put_back(
    hub: Hub, gateway: HubGateway, tmp_path: Path, served: tuple[Corporation, Path]
) -> None:
    _, remote = served
    (remote / "oktober.csv").write_bytes(csv_bytes([row(1), row(2, herinneringen="")]))
    (remote / "foto.jpg").write_bytes(b"\xff\xd8")
    (remote / "half.csv.part").write_bytes(csv_bytes([row(3)]))
    (remote / "half.csv").write_bytes(csv_bytes([row(3)])[:-9])
    os.utime(remote / "half.csv", (gateway.now().timestamp(),) * 2)
    report = run(gateway, tmp_path)
    assert (report.read, report.accepted, report.skipped) == (3, 1, {"voorwaarde-ontbreekt": 1, "soort-onbekend": 1})
    assert len(received(hub, UTRECHT, DEBT)) == 1
    there = tree(remote)
    assert {"half.csv", "half.csv.part"} == {name for name in there if "/" not in name}
    assert sorted(name.partition("/")[0] for name in there if "/" in name) == ["geweigerd", "geweigerd", "verwerkt", "verwerkt"]
    assert receipts(remote)[1].read_bytes() == receipts(tmp_path / "in")[1].read_bytes()
    assert run(gateway, tmp_path).read == 0


def test_the_key_of_this_account_lets_it_in(tmp_path: Path, served: tuple[Corporation, Path]) -> None:
    server, remote = served
    server.known = fresh_key(tmp_path / "own_key")
    settle(tmp_path, server, password=None, key_file="own_key")
    (remote / "a.csv").write_bytes(csv_bytes([row()]))
    assert run(Yes(), tmp_path).accepted == 1
    assert set(server.logins) == {"publickey"}


def stopped(where: Path, kind: type[HubError], expected: str) -> None:
    with pytest.raises(kind, match=expected) as caught:
        run(Yes(), where)
    assert PASSWORD not in caught.value.message + caught.value.hint
    assert caught.value.__cause__ is None


def test_ping_looks_at_the_server_and_its_key(tmp_path: Path, served: tuple[Corporation, Path]) -> None:
    server, _ = served
    pinged(tmp_path)
    settle(tmp_path, server, folder="elders")
    with pytest.raises(HubError):
        pinged(tmp_path)
    settle(tmp_path, server, host_key=public(fresh_key(tmp_path / "other")))
    with pytest.raises(StopError, match="another key than `host_key`"):
        pinged(tmp_path)
    settle(tmp_path, server, port=1)
    with pytest.raises(RetryLaterError):
        pinged(tmp_path)


def test_a_server_with_another_key_gets_no_password(tmp_path: Path, served: tuple[Corporation, Path]) -> None:
    server, remote = served
    (remote / "a.csv").write_bytes(csv_bytes([row()]))
    settle(tmp_path, server, host_key=public(fresh_key(tmp_path / "other")))
    stopped(tmp_path, StopError, "another key than `host_key`")
    assert server.logins == []
    settle(tmp_path, server, host_key="ssh-rsa AAAA")
    stopped(tmp_path, StopError, "is no public key")
    assert list(tree(remote)) == ["a.csv"]


def test_what_keeps_the_server_out_is_told_and_holds_up_no_other_partner(tmp_path: Path, served: tuple[Corporation, Path]) -> None:
    server, remote = served
    settle(tmp_path, server, password="verkeerd")  # noqa: S106
    stopped(tmp_path, StopError, "does not let this account in")
    settle(tmp_path, server, password=None, key_file="weg")
    stopped(tmp_path, StopError, "private key cannot be read")
    settle(tmp_path, server, folder="bestaat/niet")
    stopped(tmp_path, RetryLaterError, "does not answer as it should")
    settle(tmp_path, server)
    server.refuse = {"open"}
    (remote / "a.csv").write_bytes(csv_bytes([row()]))
    stopped(tmp_path, RetryLaterError, "does not answer as it should")
    server.refuse = set()
    assert run(Yes(), tmp_path).accepted == 1, "what was taken up is fetched again"
    settle(tmp_path, server, port=1)
    (tmp_path / "ander").mkdir()
    both = [partner(tmp_path / "in", sftp={"host": "127.0.0.1", "port": 1, "user": USER, "password": PASSWORD, "host_key": server.host_key}),
            partner(tmp_path / "ander", participant="stroom-voorbeeld")]  # fmt: skip
    settings_file(tmp_path, *both)
    (tmp_path / "ander" / "a.pdf").write_bytes(b"%PDF")
    stopped(tmp_path, RetryLaterError, "1 rows were handled")
    assert len(receipts(tmp_path / "ander")) == 1


def test_what_was_fetched_is_for_this_account_only_and_is_let_go_once_the_partner_has_its_receipt(
    tmp_path: Path, served: tuple[Corporation, Path]
) -> None:
    server, remote = served
    (remote / "a.csv").write_bytes(csv_bytes([row()]))
    (remote / "b.pdf").write_bytes(b"%PDF")
    with mock.patch.object(Remote, "finish", side_effect=PowerCutError), pytest.raises(PowerCutError):
        run(Yes(), tmp_path)
    (kept,) = (path for path in (tmp_path / "in" / "verwerkt").iterdir() if path.suffix == ".csv" and "ontvangst" not in path.name)
    assert kept.stat().st_mode & 0o777 == 0o600
    server.short = 1
    (remote / "c.csv").write_bytes(csv_bytes([row()]))
    stopped(tmp_path, RetryLaterError, "does not answer as it should")
    server.short = 0
    run(Yes(), tmp_path)
    assert [name for name in tree(tmp_path / "in") if "ontvangst" not in name] == []
    assert len(tree(tmp_path / "in")) == 3
    assert len([name for name in tree(remote) if "ontvangst" not in name]) == 3


def test_a_server_that_gives_less_or_more_of_a_file_than_it_says_gives_nothing(tmp_path: Path, served: tuple[Corporation, Path]) -> None:
    server, remote = served
    content = csv_bytes([row(number) for number in range(2_000)])
    (remote / "a.csv").write_bytes(content)
    server.short = len(content) - len(csv_bytes([row(number) for number in range(1_000)]))  # at the end of a row
    stopped(tmp_path, RetryLaterError, "does not answer as it should")
    server.short = -(2**22)
    stopped(tmp_path, RetryLaterError, "does not answer as it should")
    assert (tmp_path / "in" / ".a.csv.part").stat().st_size < len(content) + 2**16, "it does not go on for ever"
    server.short = 0
    assert run(Yes(), tmp_path).accepted == 2_000


def test_a_server_that_cannot_be_understood_holds_up_no_other_partner(tmp_path: Path, served: tuple[Corporation, Path]) -> None:
    _, remote = served
    latin = os.fsencode(remote) + b"/caf\xe9.csv"
    Path(os.fsdecode(latin)).write_bytes(csv_bytes([row()]))
    stopped(tmp_path, StopError, "the name of a file is not UTF-8")
    Path(os.fsdecode(latin)).unlink()
    for rubbish in (SFTPError("Garbage packet"), struct.error(), ValueError("999990019")):
        with mock.patch.object(SFTPClient, "listdir_attr", side_effect=rubbish):
            stopped(tmp_path, RetryLaterError, "does not answer as it should")


@pytest.mark.parametrize("name", ["../a.csv", "/etc/a.csv", "..", "a\n.csv", "a\udc80.csv", "a\0.csv", "é" * 101 + ".csv", "x/../../a.csv"])
def test_a_name_that_is_no_plain_name_is_not_looked_at(name: str) -> None:
    entry = SFTPAttributes()
    entry.filename, entry.st_mode, entry.st_size = name, stat.S_IFREG | 0o600, 5
    good = SFTPAttributes()
    good.filename, good.st_mode, good.st_size = "a.csv", stat.S_IFREG | 0o600, 5
    link = SFTPAttributes()
    link.filename, link.st_mode, link.st_size = "b.csv", stat.S_IFLNK | 0o600, 5
    client = mock.Mock(spec=SFTPClient, listdir_attr=lambda _: [entry, good, link])
    assert list(Remote(client, "uit", "ergens").look()) == ["a.csv"]


@pytest.mark.parametrize("step", ["fetch", "finish"])
def test_a_power_cut_between_here_and_there_publishes_nothing_twice(tmp_path: Path, served: tuple[Corporation, Path], step: str) -> None:
    _, remote = served
    (remote / "a.csv").write_bytes(csv_bytes([row(1), row(2)]))
    gateway = Yes()
    with mock.patch.object(Remote, step, side_effect=PowerCutError), pytest.raises(PowerCutError):
        run(gateway, tmp_path)
    run(gateway, tmp_path)
    assert len(gateway.ids) == 2
    assert [name.partition("/")[0] for name in tree(remote)] == ["verwerkt", "verwerkt"]
    assert tree(remote)[next(name for name in tree(remote) if "ontvangst" in name)] == receipts(tmp_path / "in")[0].read_bytes()


def test_a_file_that_came_twice_from_the_server_is_answered_twice_and_published_once(
    tmp_path: Path, served: tuple[Corporation, Path]
) -> None:
    _, remote = served
    gateway = Yes()
    for _ in range(2):
        (remote / "a.csv").write_bytes(csv_bytes([row(1)]))
        run(gateway, tmp_path)
    assert len(set(gateway.ids)) == 1
    assert len(tree(remote)) == 2
