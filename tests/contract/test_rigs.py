"""The ready-made rigs that no connector of this repository needs yet: one of tables, one of a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from connectors.kit.database import translated
from connectors.kit.files import rows
from connectors.kit.flow import Known, Outgoing, Skipped, Taken, publish_all, take_all
from connectors.kit.ids import id_key, identified
from connectors.kit.rigs import FileRig, FolderRig, TableRig, delivery
from connectors.kit.suite import BY_NAME
from connectors.kit.testing import conformance
from hub.client import Connector, Delivery, Gateway, NewSignal, RunReport, Track

TYPE = "nl.voorbeeld.melding-gedaan.v1"
ROWS = [("K-100001", "Verzonnen"), ("K-100002", "Voorbeeld")]
DELIVERIES = [delivery(number, "toeslagen", TYPE, {"bsn": bsn}) for number, bsn in enumerate(("999990019", "999990020"), 1)]


class TableSettings(BaseModel):
    """What a connector on tables needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str = Field(description="Where the agency's database is.")
    state_dir: Path = Field(description="Folder of the key.")


def connected(settings: TableSettings) -> Any:
    return create_engine(settings.database, poolclass=NullPool)


def ping(settings: TableSettings) -> None:
    with translated("the agency's database"), connected(settings).connect() as connection:
        connection.execute(text("SELECT 1 FROM uit, binnen"))


def run(settings: TableSettings, gateway: Gateway, track: Track) -> RunReport:
    report, key, engine = RunReport(), id_key(settings.state_dir), connected(settings)
    with translated("the agency's database"):
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT kenmerk, naam FROM uit")).all()
        found = track(rows, total=len(rows), label="rijen")
        publish_all(gateway, report, (signal(row.kenmerk, row.naam, key) for row in found))

        def act(one: Delivery) -> Taken | Known:
            with engine.begin() as connection:
                new = connection.execute(
                    text("INSERT OR IGNORE INTO binnen VALUES (:id, :bsn)"), {"id": one.delivery_id, "bsn": one.data["bsn"]}
                )
            return Taken() if new.rowcount else Known()

        with gateway.mailbox("toeslagen", "tabel") as mailbox:
            take_all(gateway, mailbox, report, act)
    return report


def signal(number: str, name: str, key: bytes) -> Outgoing:
    return "a", identified(NewSignal(type=TYPE, data={"kenmerk": number, "naam": name}), key, "tabel")


def create(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE uit (kenmerk TEXT, naam TEXT)"))
    connection.execute(text("CREATE TABLE binnen (id TEXT PRIMARY KEY, bsn TEXT)"))
    for number, name in ROWS:
        connection.execute(text("INSERT INTO uit VALUES (:number, :name)"), {"number": number, "name": name})


TABLES = TableRig(
    connector=Connector(name="tabel", summary="x", kind="both", settings=TableSettings, ping=ping, run=run),
    settings=lambda folder, url: TableSettings(database=url, state_dir=folder / "state"),
    create=create,
    items=len(ROWS),
    signals=[("a", NewSignal(type=TYPE, data={"kenmerk": number, "naam": name})) for number, name in ROWS],
    deliveries=DELIVERIES,
    expects=[["delivery-1", "999990019"], ["delivery-2", "999990020"]],
    holds=lambda connection: [list(row) for row in connection.execute(text("SELECT id, bsn FROM binnen")).all()],
    public=["delivery-1", "delivery-2"],
)


class FolderSettings(BaseModel):
    """What a connector on a folder needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    out: Path = Field(description="Folder for what is received.")


def write(settings: FolderSettings, gateway: Gateway, _track: Track) -> RunReport:
    report = RunReport()

    def act(one: Delivery) -> Taken | Known:
        path = settings.out / f"{one.delivery_id}.json"
        known = path.exists()
        path.write_text(json.dumps({"bsn": one.data["bsn"]}))
        return Known() if known else Taken()

    with gateway.mailbox("toeslagen", "map") as mailbox:
        take_all(gateway, mailbox, report, act)
    return report


FILES = FolderRig(
    connector=Connector(name="map", summary="x", kind="sink", settings=FolderSettings, ping=lambda _: None, run=write),
    settings=lambda folder: FolderSettings(out=folder / "uit"),
    prepare=lambda folder: (folder / "uit").mkdir(),
    deliveries=DELIVERIES,
    effects=lambda folder: [json.loads(path.read_text()) for path in sorted((folder / "uit").iterdir())],
    expects=[{"bsn": "999990019"}, {"bsn": "999990020"}],
)

TestTables = conformance(TABLES)
TestFolder = conformance(FILES)


def test_what_lies_where_others_read_is_searched(tmp_path: Path) -> None:
    left = FolderRig(
        **{name: getattr(FILES, name) for name in ("connector", "settings", "prepare", "deliveries", "effects", "expects")}, leaves=["uit"]
    )
    found = BY_NAME["canary"].on(left, tmp_path)
    assert (found.verdict, found.why) == ("failed", "it lies readable in the connector's own folder, or in what it leaves for others")


@pytest.mark.parametrize("check", ["unreachable", "truncated"])
def test_a_driver_that_speaks_for_itself_is_found(check: str, tmp_path: Path) -> None:
    def careless(settings: TableSettings, _gateway: Gateway, _track: Track) -> RunReport:
        with connected(settings).connect() as connection:
            connection.execute(text("SELECT kenmerk, naam FROM uit")).all()
        return RunReport()

    made = Connector(name="tabel", summary="x", kind="source", settings=TableSettings, ping=ping, run=careless)
    rig = TableRig(connector=made, settings=TABLES.settings, create=create)
    found = BY_NAME[check].on(rig, tmp_path)
    assert found.verdict == "failed"
    assert "neither StopError nor RetryLaterError" in found.why


class FileSettings(BaseModel):
    """What a connector on a file needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path = Field(description="The file.")
    state_dir: Path = Field(description="Folder of the key.")


@pytest.mark.parametrize(
    ("is_number", "why"),
    [
        (re.compile("[0-9]{1,4}").fullmatch, ""),
        (str.isdecimal, "ValueError at test_rigs.py:"),
        (str.isdigit, "ValueError at test_rigs.py:"),
    ],
)
def test_a_cell_that_python_takes_for_a_number_and_cannot_read_is_found(
    is_number: Callable[[str], object], why: str, tmp_path: Path
) -> None:
    def outcome(row: dict[str, str] | Skipped, key: bytes) -> Outgoing | Skipped:
        if isinstance(row, Skipped) or not is_number(row["aantal"]):
            return Skipped("onleesbaar")
        return "a", identified(NewSignal(type=TYPE, data={"aantal": int(row["aantal"])}), key, "bestand")

    def read(settings: FileSettings, gateway: Gateway, _track: Track) -> RunReport:
        report, key = RunReport(), id_key(settings.state_dir)
        publish_all(gateway, report, (outcome(row, key) for row in rows(settings.file, ["aantal"])))
        return report

    made = Connector(name="bestand", summary="x", kind="source", settings=FileSettings, ping=lambda _: None, run=read)
    rig = FileRig(
        connector=made,
        settings=lambda folder: FileSettings(file=folder / "input.csv", state_dir=folder / "state"),
        header="kenmerk;aantal",
        rows=["K-100001;7"],
        signals=[("a", NewSignal(type=TYPE, data={"aantal": 7}))],
    )
    found = BY_NAME["encoding"].on(rig, tmp_path)
    assert (found.verdict, why in found.why) == ("failed" if why else "passed", True)
