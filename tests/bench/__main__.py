"""`make bench`: measures side by side in one run and writes docs/benchmarks.md.

Figures are shares of a floor measured in the same minutes, because absolute ones say more about
the machine than about the hub. Nothing here asserts a time.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import resource
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from sqlalchemy import insert, select

from hub.app import Hub, MovingClock
from hub.cases import counts
from hub.codec import Received, read_avro, unframe
from hub.domain.decide import Circumstances, decide
from hub.domain.terms import amsterdam_date, moment
from hub.storage.database import Database
from hub.storage.rows import Inserts
from hub.storage.tables import decisions, deliveries, signals
from hub.telemetry import configure
from tests.bench.partnerfile import lines, partner_files
from tests.bench.world import BATCH, TYPE, opened, records

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "benchmarks.md"
SAMPLE: Final = 20_000
ROUNDS: Final = 5
CASES: Final = 100_000
TABLES: Final = {"signals": signals, "decisions": decisions, "deliveries": deliveries}


@contextmanager
def world(grants: int = 10, *, process: bool = False, clock: MovingClock | None = None) -> Iterator[Hub]:
    """A hub on the disk of the repository, not on one in memory."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=Path(__file__).parents[2]))
    hub = opened(folder, grants, process=process, clock=clock)
    try:
        yield hub
    finally:
        hub.close()
        shutil.rmtree(folder)


def batches(events: list[Received]) -> Iterator[list[Received]]:
    """Cut events into batches."""
    return (events[start : start + BATCH] for start in range(0, len(events), BATCH))


def routed(hub: Hub, count: int) -> float:
    """Return the signals a second of the router over `count` fresh signals."""
    events = list(records(hub, count))
    gc.collect()
    start = time.perf_counter()
    for batch in batches(events):
        outcomes = hub.router.process(batch)
        if any(outcome.status != "accepted" for outcome in outcomes):
            sys.exit("a benchmark signal was refused")
    return count / (time.perf_counter() - start)


class Floor:
    """What no router could do without: decode the bytes, and write the same rows into the same tables.

    Twice: on the bare driver with prepared tuples, and as a plain program on this hub's own stack
    would write them (SQLAlchemy Core, rows as dicts).
    """

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        book = hub.rulebooks.current
        self.wire = book.ruleset.types[TYPE].wire
        self.sql = Inserts(hub.database.dialect).sql
        with hub.database.read() as connection:
            found = connection.exec_driver_sql("PRAGMA database_list").fetchone()
            self.patterns = {
                name: [dict(row) for row in connection.execute(select(table).order_by(table.c.id.desc()).limit(2)).mappings()]
                for name, table in TABLES.items()
            }
        if found is None:
            sys.exit("no database")
        self.database = Database(f"sqlite:///{Path(found[2]).with_name('floor.db')}")
        self.database.create()
        self.next = 0

    def rows(self, event: Received) -> Iterator[tuple[str, dict[str, Any]]]:
        """Decode one event, and yield the rows that the router writes for it."""
        _, data = unframe(event.body)
        read_avro(self.wire, data)
        self.next += 1
        yield "signals", {**self.patterns["signals"][0], "id": self.next, "signal_id": os.urandom(16)}
        for i in (0, 1):
            place = {"id": 2 * self.next + i, "signal": self.next}
            yield "decisions", self.patterns["decisions"][i] | place
            yield "deliveries", self.patterns["deliveries"][i] | place

    def run(self, count: int, *, bare: bool) -> float:
        """Return the signals a second over `count` signals."""
        events = list(records(self.hub, count))
        gc.collect()
        start = time.perf_counter()
        for batch in batches(events):
            gathered: dict[str, list[Any]] = {name: [] for name in TABLES}
            for event in batch:
                for name, row in self.rows(event):
                    gathered[name].append(tuple(row.values()) if bare else row)
            with self.database.write() as connection:
                for name, table in TABLES.items():
                    if bare:
                        connection.exec_driver_sql(self.sql[name], gathered[name])
                    else:
                        connection.execute(insert(table), gathered[name])
        return count / (time.perf_counter() - start)


Round = tuple[float, float, float]


def one_round(hub: Hub, floor: Floor) -> Round:
    """Return router, plain floor and bare floor, measured one after the other."""
    return routed(hub, SAMPLE), floor.run(SAMPLE, bare=False), floor.run(SAMPLE, bare=True)


def against_floor() -> dict[str, list[Round]]:
    """Router and floors in turns on one disk; then again after 200,000 signals in each."""
    with world() as hub:
        routed(hub, 2_000)
        floor = Floor(hub)
        first = [one_round(hub, floor) for _ in range(ROUNDS)]
        while hub_count(hub) < 200_000:
            routed(hub, SAMPLE)
        while floor.next < 200_000:
            floor.run(SAMPLE, bare=True)
        return {"first": first, "later": [one_round(hub, floor) for _ in range(ROUNDS)]}


def hub_count(hub: Hub) -> int:
    """Return how many signals the hub holds."""
    with hub.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT max(id) FROM signals").scalar() or 0)


def rules_1000() -> dict[str, Any]:
    """The same signals under 10 and under 1,000 grants, in turns; and a decision alone."""
    with world(10) as few, world(1_000) as many:
        routed(few, 2_000)
        routed(many, 2_000)
        throughput = [(routed(few, SAMPLE // 2), routed(many, SAMPLE // 2)) for _ in range(ROUNDS)]
        alone = [(decision_us(few), decision_us(many)) for _ in range(ROUNDS)]
    return {"throughput": throughput, "decision_us": alone}


def decision_us(hub: Hub) -> float:
    """Return the microseconds of one pure decision."""
    from hub.domain.signal import Signal  # noqa: PLC0415

    book = hub.rulebooks.current
    rules = book.ruleset.types[TYPE]
    event = next(records(hub, 1))
    data = read_avro(rules.wire, unframe(event.body)[1])
    publisher = book.ruleset.participants.find("melder")
    if publisher is None:
        sys.exit("no publisher")
    signal = Signal(rules, publisher, "x", bytes(16), hub.now_ms(), data, b"", "0344")
    by = Circumstances(hub.now_ms(), amsterdam_date(hub.now_ms()))
    start = time.perf_counter()
    for _ in range(20_000):
        decide(book.ruleset, signal, by)
    return (time.perf_counter() - start) / 20_000 * 1e6


def memory() -> list[tuple[int, float]]:
    """Return (signals, resident MiB) while 300,000 signals go through."""
    points = []
    with world() as hub:
        for done in range(0, 300_001, 25_000):
            if done:
                for _ in range(5):  # 5,000 at a time, so that the generator itself holds little
                    routed(hub, 5_000)
            gc.collect()
            points.append((done, resident_mib()))
    return points


def resident_mib() -> float:
    """Return the memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def safeties() -> dict[str, float]:
    """Return what encryption costs: the same signals with a cipher that does nothing, in turns."""
    with world() as hub:
        routed(hub, 2_000)
        on, off = [], []
        for _ in range(ROUNDS):
            on.append(routed(hub, SAMPLE // 2))
            with patch("hub.record.seal", new=lambda _key, data: data):
                off.append(routed(hub, SAMPLE // 2))
    return {"on": statistics.median(on), "off": statistics.median(off)}


def with_cases() -> dict[str, Any]:
    """The same signals without and with a case that has a term, in turns."""
    with world() as plain, world(process=True) as cased:
        routed(plain, 2_000)
        routed(cased, 2_000)
        return {"throughput": [(routed(plain, SAMPLE // 2), routed(cased, SAMPLE // 2)) for _ in range(ROUNDS)]}


def one_night() -> dict[str, Any]:
    """Open 100,000 cases on one day, and let all their terms fall due in the same night."""
    clock = MovingClock(moment("2026-11-02T10:30"))
    with world(process=True, clock=clock) as hub:
        for _ in range(CASES // 5_000):
            routed(hub, 5_000)
        gc.collect()
        before, clock.now = resident_mib(), moment("2026-11-10T00:00")
        start = time.perf_counter()
        points = []
        while hub.clock.some_terms():
            points.append(resident_mib())
        seconds = time.perf_counter() - start
        reminders = sum(count for by_state in counts(hub).values() for state, count in by_state.items() if state == "klaar")
        if reminders != CASES:
            sys.exit("not every term fell due")
        return {"seconds": seconds, "before": before, "points": points[:: max(1, len(points) // 10)], "peak": max(points)}


def medians(rows: list[Any]) -> list[float]:
    """Return the median of each column."""
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def document(found: dict[str, Any]) -> str:
    """Write the figures down as they are."""
    router, plain, bare = medians(found["floor"]["first"])
    router_later, plain_later, bare_later = medians(found["floor"]["later"])
    few, many = medians(found["rules"]["throughput"])
    few_us, many_us = medians(found["rules"]["decision_us"])
    on, off = found["safeties"]["on"], found["safeties"]["off"]
    points = "\n".join(f"| {count:,} | {mib:.0f} |" for count, mib in found["memory"])
    plain_case, with_case = medians(found["cases"]["throughput"])
    night = found["night"]
    rounds = "\n".join(
        f"| {label} | {r:,.0f} | {p:,.0f} | {b:,.0f} | {r / p:.0%} | {r / b:.0%} |"
        for label, triples in (("start", found["floor"]["first"]), ("after 200,000", found["floor"]["later"]))
        for r, p, b in triples
    )
    return f"""# Benchmarks

Written by `make bench`; do not edit. Measured {found["date"]} on {found["machine"]}.
Python {platform.python_version()}, SQLite {sqlite3.sqlite_version} (WAL, synchronous=FULL), batches of {BATCH}, a signal of fourteen
fields in Avro, two recipients a signal, encrypted at rest. Medians of {ROUNDS} rounds in turns, {SAMPLE:,} signals each.

A floor is a loop that decodes the same bytes and writes the same rows into the same tables and indexes, with
no check, no rule, no view and no encryption. The plain floor writes as a program on this stack would
(SQLAlchemy Core, rows as dicts); the bare floor hands prepared tuples to the driver, as the router does.

| what | figure | aim |
|---|---|---|
| router, signals a second | {router:,.0f} | above 4,000 |
| plain floor, signals a second | {plain:,.0f} | |
| bare floor, signals a second | {bare:,.0f} | |
| router as a share of the plain floor | {router / plain:.0%} | at least 50 % |
| router as a share of the bare floor | {router / bare:.0%} | |
| router after 200,000 signals | {router_later:,.0f} ({router_later / router - 1:+.0%}) | within 20 % of the start |
| plain floor after 200,000 signals | {plain_later:,.0f} ({plain_later / plain - 1:+.0%}) | |
| bare floor after 200,000 signals | {bare_later:,.0f} ({bare_later / bare - 1:+.0%}) | |
| 10 grants, signals a second | {few:,.0f} | |
| 1,000 grants, signals a second | {many:,.0f} ({few / many:.2f} times the time) | below 1.3 times |
| one decision, 10 / 1,000 grants | {few_us:.1f} / {many_us:.1f} µs | |
| without the cipher (measured, not an option) | {off:,.0f} ({on / off - 1:+.0%} with it) | |
| the same signal without / with a case that has a term, signals a second | {plain_case:,.0f} / {with_case:,.0f} ({plain_case / with_case:.2f} times the time) | |
| {CASES:,} open cases whose terms fall due in one night, each with a reminder | {night["seconds"]:.0f} s | below 120 s |
| memory in that night, before / at most | {night["before"]:.0f} / {night["peak"]:.0f} MiB | flat |
| memory, from 25,000 to 300,000 signals | {found["memory"][1][1]:.0f} to {found["memory"][-1][1]:.0f} MiB | flat |

## A partner's file

Rows of twenty-one columns through the `vaste_lasten` connector, from the file in the folder to the receipt, each in a
process of its own; peak resident memory. What grows with a hub behind it is the hub (see below); a spreadsheet keeps
its texts in a table that is in memory while it is read. Aim: 50,000 rows below 30 s, flat memory.

| file | 5,000 rows | 50,000 rows |
|---|---|---|
{lines(found["partner files"])}

## Every round

| when | router | plain floor | bare floor | of plain | of bare |
|---|---|---|---|---|---|
{rounds}

## Memory

| signals | resident MiB |
|---|---|
{points}
"""


def main() -> None:
    """Measure and write."""
    configure("critical")
    cores, gib = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{cores} cores, {gib:.0f} GiB, {platform.system()} {platform.machine()}",
        "memory": memory(),
        "floor": against_floor(),
        "rules": rules_1000(),
        "safeties": safeties(),
        "cases": with_cases(),
        "night": one_night(),
        "partner files": partner_files(),
    }
    print(json.dumps(found, default=asdict))
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document(found), encoding="utf-8")
    print(DOCUMENT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
