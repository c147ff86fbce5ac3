"""The BRP connector: which persons give a signal, what it says, and what stops nothing.

All persons are invented; their BSNs come from the published test range.
"""

from __future__ import annotations

import csv
import json
import stat
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from connectors.brp import CONNECTOR
from connectors.brp import connector as brp_connector
from connectors.brp.lo3 import (
    COLUMNS,
    REASONS,
    START_COLUMN,
    PersonRecord,
    Reason,
    missing_columns,
    records,
    translate,
)
from connectors.brp.settings import BrpSettings
from connectors.brp.translate import publisher
from connectors.kit.flow import Skipped
from connectors.kit.ids import identified
from connectors.kit.memory import MemoryGateway
from hub.client import NewSignal, Receipt, RunReport
from hub.errors import RetryLaterError, StopError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hub.client import Item

BSN = "999990019"
OTHER_BSN = "999993653"
THIRD_BSN = "123456782"
BAG_ID = "0344010000012345"

# As in a real file: no name over the first and the last column, and one name twice.
HEADER = [
    "", "01.01.20", "01.02.40", "06.88.10", "06.88.10", "07.67.10", "07.67.20", "07.70.10",
    "08.09.10", "08.10.10", "08.11.10", "08.11.80", "08.13.10", "08.13.30",
    "08.83.10", "08.83.20", "08.83.30", "08.H", "",
]  # fmt: skip

OPEN = {
    "": "Lg01_1", "01.01.20": BSN, "01.02.40": "Voorbeeld", "07.70.10": "0",
    "08.09.10": "0344", "08.10.10": "W", "08.11.10": "Lange Laan", "08.11.80": BAG_ID,
    "08.83.10": "089999", "08.83.20": "20260702",
}  # fmt: skip


def cells(values: Mapping[str, str]) -> list[str]:
    row = [values.get(name, "") for name in HEADER]
    row[-1] = ""  # the last column has no name, as the first has none
    return row


def person(**changes: str) -> list[str]:
    """The row of someone with an open 089999, changed: `person(v08_83_30="20260801")`."""
    return cells(OPEN | {name.lstrip("v").replace("_", "."): v for name, v in changes.items()})


def history(**changes: str) -> list[str]:
    """An older occurrence of the address of the person above."""
    row = person(**changes)
    row[0] = ""
    return row


def outcomes(*rows: Sequence[str]) -> list[NewSignal | Skipped]:
    return [translate(record) for record in records(HEADER, rows)]


def signal(*rows: Sequence[str]) -> NewSignal:
    (outcome,) = outcomes(*rows)
    assert isinstance(outcome, NewSignal)
    return outcome


def reason(*rows: Sequence[str]) -> str:
    (outcome,) = outcomes(*rows)
    assert isinstance(outcome, Skipped)
    return outcome.reason


class FakeHub(MemoryGateway):
    """A gateway that remembers how it was called."""

    def __init__(self, refuse: str | None = None) -> None:
        super().__init__(refuse=lambda _: refuse)
        self.calls: list[tuple[str, int]] = []
        self.signals: list[NewSignal] = []

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        self.calls.append((participant, len(signals)))
        self.signals.extend(signals)
        return super().publish(participant, signals)


class Tracked:
    """A progress display that remembers what it was told."""

    total: int | None = None
    shown = 0

    def __call__(self, items: Iterable[Item], *, total: int | None, label: str) -> Iterable[Item]:
        assert label
        self.total = total
        for item in items:
            self.shown += 1
            yield item


def write(path: Path, *rows: Sequence[str], header: Sequence[str] = HEADER) -> Path:
    path.write_text("".join(";".join(row) + "\n" for row in (header, *rows)), encoding="utf-8")
    return path


def run(file: Path, hub: FakeHub, track: Tracked | None = None) -> RunReport:
    settings = BrpSettings(file=file, state_dir=file.parent / "state")
    return CONNECTOR.run(settings, hub, track or Tracked())


def test_open_089999_on_the_current_address_gives_a_signal() -> None:
    found = signal(person())
    assert found.type == "nl.brp.spookbewoning-gesignaleerd.v1"
    assert publisher(found) == "burgerzaken.0344"
    assert found.data == {
        "gemeentecode": "0344",
        "bag_id": BAG_ID,
        "bsn": BSN,
        "signaalsoort": "PERSOON_WOONT_HIER_NIET_MEER",
        "niet_woonachtig_sinds": "20260702",
        "adresonderzoek": "LOOPT",
        "adresonderzoek_start": "20260702",
        "geheimhouding": False,
        "betrokkene_geinformeerd": "NVT",
        "contactrol": "burgerzaken-adresonderzoek",
    }


@pytest.mark.parametrize("end", ["20260801", "20260000", "00000000"])
def test_any_end_date_means_that_the_investigation_is_over(end: str) -> None:
    assert reason(person(v08_83_30=end)) == "onderzoek-afgerond"


@pytest.mark.parametrize("code", ["", "080000", "081120", "589999", "89999", "0899990"])
def test_no_other_code_on_the_current_address_gives_a_signal(code: str) -> None:
    assert reason(person(v08_83_10=code)) == "geen-adresvaststelling"


@pytest.mark.parametrize("code", ["089999", "589999"])
def test_history_gives_no_signal_whatever_code_it_holds(code: str) -> None:
    rows = person(v08_83_10="", v08_83_20="", v08_H="58"), history(v08_83_10=code)
    assert reason(*rows) == "geen-adresvaststelling"


def test_history_below_a_person_changes_nothing_of_the_current_address() -> None:
    rows = person(v08_H="58"), history(v08_09_10="0363", v08_83_30="20200101"), cells({})
    assert signal(*rows).data == signal(person()).data


@pytest.mark.parametrize("code", ["0000", "1999", "", "344", "03440", "GM44"])
def test_without_a_municipality_there_is_no_signal(code: str) -> None:
    assert reason(person(v08_09_10=code)) == "geen-gemeente"


@pytest.mark.parametrize("since", ["20260703", "20260000", "00000000"])
def test_a_suspended_record_gives_no_signal(since: str) -> None:
    assert reason(person(v07_67_10=since, v07_67_20="O")) == "opgeschort"


@pytest.mark.parametrize("kind", ["B", "", "w"])
def test_only_a_home_address_gives_a_signal(kind: str) -> None:
    assert reason(person(v08_10_10=kind)) == "briefadres"


@pytest.mark.parametrize("bsn", ["", "123456789", "000000000", "123.456.782", "99999001", "x"])
def test_without_a_valid_bsn_there_is_no_signal(bsn: str) -> None:
    assert reason(person(v01_01_20=bsn)) == "bsn-ontbreekt"


def test_the_first_question_is_whether_there_is_anything_to_tell() -> None:
    obstacles = {"v08_09_10": "1999", "v07_67_10": "20200101", "v08_10_10": "B", "v01_01_20": ""}
    assert reason(person(**obstacles, v08_83_10="")) == "geen-adresvaststelling"
    assert reason(person(**obstacles, v08_83_30="20260801")) == "onderzoek-afgerond"
    for expected in ("geen-gemeente", "opgeschort", "briefadres", "bsn-ontbreekt"):
        assert reason(person(**obstacles)) == expected
        obstacles.pop(next(iter(obstacles)))
    assert list(REASONS) == list(get_args(Reason))


@pytest.mark.parametrize(("code", "secret"), [("", False), ("0", False), ("1", True), ("7", True), ("9", True)])
def test_secrecy_travels_with_the_signal(code: str, secret: bool) -> None:  # noqa: FBT001
    assert signal(person(v07_70_10=code)).data["geheimhouding"] is secret


@pytest.mark.parametrize("bag_id", ["", "344010000012345", "0" * 16, BAG_ID + "0", "x" * 16, "٣" * 16])
def test_what_is_not_a_bag_id_is_left_out_and_never_padded(bag_id: str) -> None:
    assert signal(person(v08_11_80=bag_id)).data["bag_id"] is None


@pytest.mark.parametrize("start", ["00000000", "19940000", "19940300"])
def test_unknown_parts_of_dates_are_passed_on_as_they_are(start: str) -> None:
    data = signal(person(v08_83_20=start)).data
    assert data["niet_woonachtig_sinds"] == data["adresonderzoek_start"] == start


def test_no_start_date_at_all_is_an_unknown_date() -> None:
    data = signal(person(v08_83_20="")).data
    assert data["niet_woonachtig_sinds"] == "00000000"
    assert data["adresonderzoek_start"] is None


def test_a_foreign_address_stops_nothing() -> None:
    abroad = {"v08_13_10": "6023", "v08_13_30": "12 Rue de l'Été ¦ 3", "v08_10_10": ""}
    assert reason(person(**abroad, v08_09_10="1999", v08_11_80="")) == "geen-gemeente"
    assert reason(person(**abroad)) == "briefadres"


@pytest.mark.parametrize("street", [".", "Ebenhaëzerstraat", "'s-Gravenweg", "Đšł ¦ & 北"])
def test_names_stop_nothing_and_stay_at_the_source(street: str) -> None:
    found = signal(person(v08_11_10=street, v01_02_40=street))
    assert found.data == signal(person()).data


@pytest.mark.parametrize("width", [1, 2, 10, len(HEADER) - 2])
def test_a_truncated_row_is_counted_and_its_neighbours_are_read(width: int) -> None:
    first, cut, last = outcomes(person(), person()[:width], person(v01_01_20=OTHER_BSN))
    assert isinstance(first, NewSignal)
    assert cut == Skipped("rij-onvolledig")
    assert isinstance(last, NewSignal)


def test_a_row_without_its_nameless_last_column_is_whole() -> None:
    assert signal(person()[:-1]).data["bsn"] == BSN


def test_a_row_with_shifted_columns_is_not_believed() -> None:
    row = person()
    row.insert(2, "a part after a stray semicolon")
    assert reason(row) == "rij-te-lang"


def test_history_without_a_person_above_is_counted() -> None:
    assert reason(history()) == "rij-zonder-persoon"


def test_blank_and_truncated_history_rows_are_not_persons() -> None:
    assert len(outcomes(person(), [], [""], history()[:5], cells({}))) == 1


@pytest.mark.parametrize("column", COLUMNS)
def test_each_needed_column_is_missed_by_name(column: str) -> None:
    assert missing_columns(HEADER) == []
    assert missing_columns([name for name in HEADER if name != column]) == [column]
    assert missing_columns([*HEADER, column]) == [column], "twice: which one holds?"


def test_a_file_without_its_first_column_would_turn_history_into_persons() -> None:
    assert missing_columns(HEADER[1:]) == [START_COLUMN]


def test_no_value_shows_in_the_repr_of_a_record() -> None:
    (record,) = records(HEADER, [person()])
    assert repr(record) == "PersonRecord(fault=None)"
    assert repr(PersonRecord({}, "rij-te-lang")) == "PersonRecord(fault='rij-te-lang')"


def test_the_id_follows_from_the_content_and_the_key_only() -> None:
    key, other = b"k" * 32, b"o" * 32
    id_ = identified(signal(person()), key, "lo3").id
    assert id_ is not None
    assert id_ == identified(signal(person(v08_11_10="Nieuwe naam")), key, "lo3").id
    assert id_ != identified(signal(person()), other, "lo3").id
    assert id_ != identified(signal(person(v01_01_20=OTHER_BSN)), key, "lo3").id
    assert id_ != identified(signal(person(v07_70_10="7")), key, "lo3").id
    assert id_.startswith("lo3-")
    assert len(id_) == 44
    assert all("a" <= letter <= "p" for letter in id_[4:])


def test_every_person_is_in_exactly_one_count(tmp_path: Path) -> None:
    file = write(
        tmp_path / "pl.csv",
        person(),
        history(),
        person(v01_01_20=OTHER_BSN, v08_09_10="0772"),
        person(v08_83_10=""),
        person(v07_67_10="20260703"),
        person()[:4],
    )
    hub, track = FakeHub(), Tracked()
    report = run(file, hub, track)
    assert hub.calls == [("burgerzaken.0344", 1), ("burgerzaken.0772", 1)]
    assert (report.read, report.accepted, report.duplicate) == (5, 2, 0)
    assert report.skipped == {"geen-adresvaststelling": 1, "opgeschort": 1, "rij-onvolledig": 1}
    assert (track.total, track.shown) == (5, 5)


def test_the_same_file_twice_changes_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "pl.csv", person(), person(v01_01_20=OTHER_BSN))
    hub = FakeHub()
    first, second = run(file, hub), run(file, hub)
    assert (first.accepted, first.duplicate) == (2, 0)
    assert (second.accepted, second.duplicate) == (0, 2)
    ids = [found.id for found in hub.signals]
    assert ids[:2] == ids[2:]


def test_what_the_hub_refuses_is_counted_by_its_code(tmp_path: Path) -> None:
    report = run(write(tmp_path / "pl.csv", person()), FakeHub(refuse="geen-publicatierecht"))
    assert report.refused == {"geen-publicatierecht": 1}


def test_signals_go_in_batches_and_none_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brp_connector, "BATCH_SIZE", 2)
    bsns = (BSN, OTHER_BSN, THIRD_BSN)
    hub = FakeHub()
    report = run(write(tmp_path / "pl.csv", *(person(v01_01_20=bsn) for bsn in bsns)), hub)
    assert hub.calls == [("burgerzaken.0344", 2), ("burgerzaken.0344", 1)]
    assert report.accepted == 3


def test_an_unreachable_hub_ends_the_run_and_a_new_run_makes_it_good(tmp_path: Path) -> None:
    class Away(FakeHub):
        def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
            message = f"{participant}: {len(signals)} wait"
            raise RetryLaterError(message)

    file = write(tmp_path / "pl.csv", person())
    with pytest.raises(RetryLaterError):
        run(file, Away())
    assert run(file, FakeHub()).accepted == 1


def test_a_stray_quote_costs_its_own_row_only(tmp_path: Path) -> None:
    stray = person(v01_02_40='"Voorbeeld')
    quoted = person(v01_01_20=OTHER_BSN, v08_11_10='"Woonboot ""De Punt; komma"""')
    report = run(write(tmp_path / "pl.csv", stray, quoted), FakeHub())
    assert report.skipped == {"rij-onvolledig": 1}
    assert report.accepted == 1


def test_a_field_too_long_to_split_costs_its_own_row_only(tmp_path: Path) -> None:
    endless = person(v08_11_10="x" * 200_000)
    report = run(write(tmp_path / "pl.csv", endless, person()), FakeHub())
    assert report.skipped == {"rij-onvolledig": 1}
    assert report.accepted == 1


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    file = write(tmp_path / "pl.csv", person(), history())
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert run(file, FakeHub()).accepted == 1


def test_a_file_without_persons_is_read_to_its_end(tmp_path: Path) -> None:
    hub = FakeHub()
    assert run(write(tmp_path / "pl.csv"), hub) == RunReport()
    assert hub.calls == []


def stopped(file: Path) -> str:
    """Run a file that cannot be read; return all that the error says."""
    hub = FakeHub()
    with pytest.raises(StopError) as caught:
        run(file, hub)
    assert hub.calls == []
    assert caught.value.hint
    assert caught.value.__context__ is None, "the decoding error holds the bytes of the file"
    assert str(file) in caught.value.message
    return f"{caught.value.message} {caught.value.hint}"


def test_a_missing_file_stops_the_run(tmp_path: Path) -> None:
    assert "no such file" in stopped(tmp_path / "weg.csv")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "cannot be read" in stopped(folder)


def test_another_encoding_stops_the_run_before_anything_is_published(tmp_path: Path) -> None:
    file = write(tmp_path / "pl.csv", *[person()] * 600, person(v01_02_40="Ebenhaëzer"))
    file.write_bytes(file.read_text("utf-8").encode("latin-1"))
    message = stopped(file)
    assert "UTF-8" in message
    assert BSN not in message


def test_missing_columns_stop_the_run_by_name(tmp_path: Path) -> None:
    header = [name if name != "08.83.30" else "08.83.31" for name in HEADER]
    message = stopped(write(tmp_path / "pl.csv", person(), header=header))
    assert "08.83.30" in message
    assert BSN not in message


def test_a_file_without_a_header_shows_nothing_of_its_first_person(tmp_path: Path) -> None:
    message = stopped(write(tmp_path / "pl.csv", person(), header=person()))
    assert all(value not in message for value in (BSN, BAG_ID, "Voorbeeld", "Lange Laan"))


def test_an_empty_file_stops_the_run(tmp_path: Path) -> None:
    file = tmp_path / "pl.csv"
    file.touch()
    assert START_COLUMN in stopped(file)


def test_the_key_is_made_once_and_is_for_the_owner_only(tmp_path: Path) -> None:
    file = write(tmp_path / "pl.csv", person())
    run(file, FakeHub())
    key = tmp_path / "state" / "id.key"
    made = key.read_bytes()
    assert len(made) == 32
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    run(file, FakeHub())
    assert key.read_bytes() == made
    assert list(key.parent.iterdir()) == [key], "no draft is left behind"


def test_a_damaged_key_stops_the_run_and_is_left_alone(tmp_path: Path) -> None:
    file = write(tmp_path / "pl.csv", person())
    key = tmp_path / "state" / "id.key"
    key.parent.mkdir()
    key.write_bytes(b"short")
    hub = FakeHub()
    with pytest.raises(StopError, match="32 bytes"):
        run(file, hub)
    assert hub.calls == []
    assert key.read_bytes() == b"short"


def test_a_state_dir_that_cannot_be_made_stops_the_run(tmp_path: Path) -> None:
    file = write(tmp_path / "pl.csv", person())
    (tmp_path / "state").write_text("a file where the folder should be")
    hub = FakeHub()
    with pytest.raises(StopError, match="key of the signal ids"):
        run(file, hub)
    assert hub.calls == []


def test_the_readme_lists_every_reason_and_column() -> None:
    readme = Path(brp_connector.__file__).with_name("README.md").read_text(encoding="utf-8")
    for code, sentence in REASONS.items():
        assert f"| `{code}` | {sentence} |" in readme
    for column in COLUMNS:
        assert f"`{column}`" in readme


def test_every_setting_is_described_and_fixed() -> None:
    assert all(field.description for field in BrpSettings.model_fields.values())
    assert BrpSettings.model_config["frozen"] is True


@pytest.fixture
def public_set(testdata: Path) -> Path:
    """The public RvIG test set."""
    return testdata / "brp" / "testset-persoonslijsten.csv"


def test_the_public_test_set_gives_one_signal(public_set: Path, tmp_path: Path) -> None:
    settings = BrpSettings(file=public_set, state_dir=tmp_path)
    hub, track = FakeHub(), Tracked()
    first = CONNECTOR.run(settings, hub, track)
    assert (track.total, first.read, first.accepted) == (434, 434, 1)
    assert first.skipped == {"geen-adresvaststelling": 433}
    assert hub.calls == [("burgerzaken.0599", 1)]
    data = hub.signals[0].data
    assert data["bag_id"] == "0599010000254945"
    assert data["niet_woonachtig_sinds"] == "20210702"
    assert data["geheimhouding"] is False
    assert json.dumps(data), "plain JSON values only"
    second = CONNECTOR.run(settings, hub, track)
    assert (second.accepted, second.duplicate) == (0, 1)
    assert hub.signals[0].id == hub.signals[1].id


def test_no_person_of_the_public_test_set_stops_the_run(public_set: Path) -> None:
    """With an open 089999 on every row, each odd address, date and name goes all the way."""
    rows = csv.reader(public_set.read_text(encoding="utf-8-sig").splitlines(), delimiter=";")
    header = next(rows)
    code, end = header.index("08.83.10"), header.index("08.83.30")
    changed = [[value if at not in (code, end) else {code: "089999", end: ""}[at] for at, value in enumerate(row)] for row in rows]
    found = [translate(record) for record in records(header, changed)]
    signals = [outcome for outcome in found if isinstance(outcome, NewSignal)]
    assert Counter(outcome.reason for outcome in found if isinstance(outcome, Skipped)) == {
        "geen-gemeente": 51,
        "opgeschort": 12,
        "briefadres": 6,
        "bsn-ontbreekt": 1,
    }
    assert len(signals) == 364
    assert sum(outcome.data["bag_id"] is None for outcome in signals) == 101
    assert sum(outcome.data["geheimhouding"] for outcome in signals) == 15
