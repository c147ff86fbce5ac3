"""What the cluster benchmarks run on: one broker, one database server, and processes that are watched from outside."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import psycopg
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from pydantic import SecretStr

from hub.app import Hub, open_hub
from hub.settings import HubSettings
from hub.transport.base import IN, OUT
from tests.bench.part import OUT_TOPIC, rows_of
from tests.bench.world import TYPE, melder, records, write_rules
from tests.services import own_kafka, own_postgres
from tests.services.postgres import plain
from tests.services.waiting import until

ROOT: Final = Path(__file__).parents[2]
MUNICIPALITIES: Final = tuple(f"0{number}" for number in range(344, 352))
"""Eight publishers with a topic each, so that two routers have four each."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Process:
    """A process that is watched: its processor seconds and its memory."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.part", *arguments], cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output
            )  # fmt: skip

    @property
    def seconds(self) -> float:
        """The processor seconds that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def mib(self) -> float:
        """Its memory that is in RAM."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def end(self) -> None:
        """Tell it to stop, and wait."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=60)


@dataclass(frozen=True, slots=True)
class Span:
    """What happened between two moments."""

    signals: int
    seconds: float
    processor: float
    """Processor seconds of the watched processes."""
    waiting: float
    """The share of the time that a process waited for a lock of the database, on average."""

    @property
    def rate(self) -> float:
        """Signals a second."""
        return self.signals / self.seconds

    @property
    def cost(self) -> float:
        """Processor seconds for 1,000 signals."""
        return self.processor / self.signals * 1000


class Stage:
    """A hub on a broker and a server of its own, to which records are given in bulk."""

    def __init__(self, folder: Path, bootstrap: str, url: str) -> None:
        self.folder, self.bootstrap, self.url = folder, bootstrap, url
        write_rules(folder, 10)
        self.settings = HubSettings(
            home=folder / "home", rules_dir=folder / "rules", schemas_dir=folder / "schemas",
            database_url=SecretStr(url), kafka_bootstrap=bootstrap,
        )  # fmt: skip
        self.hub: Hub = open_hub(self.settings)
        self.producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=20, batch_size=1_000_000)
        self.given = 0
        self._left = 0
        self._database = psycopg.connect(plain(url), autocommit=True)
        self._make_topics()

    def _make_topics(self) -> None:
        names = [*(IN + melder(code) for code in MUNICIPALITIES), *(f"{OUT}schuldhulp.{code}" for code in MUNICIPALITIES)]
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            admin.create_topics(
                [NewTopic(name=name, num_partitions=1, replication_factor=1) for name in (*names, f"{OUT}toeslagen", OUT_TOPIC)]
            )

    def close(self) -> None:
        """Let go of the servers."""
        self.producer.close()
        self._database.close()
        self.hub.close()

    # --- records --------------------------------------------------------------------------

    def give(self, count: int) -> None:
        """Put so many fresh signals on the ingress topics, spread over the publishers."""
        streams = [(IN + melder(code), records(self.hub, count // len(MUNICIPALITIES), code)) for code in MUNICIPALITIES]
        for one in zip(*(stream for _, stream in streams), strict=True):
            for (topic, _), event in zip(streams, one, strict=True):
                self.producer.send(topic, event.body, partition=0, headers=list(event.headers.items()))
        self.producer.flush()
        self.given += count // len(MUNICIPALITIES) * len(MUNICIPALITIES)

    def stored(self, table: str = "signals") -> int:
        """Return how many signals the hub recorded (or what else a counter says)."""
        row = self._database.execute("SELECT value FROM counters WHERE name = %s", (table,)).fetchone()
        return int(row[0]) if row else 0

    @property
    def sent(self) -> int:
        """How many deliveries have left since the others were forgotten."""
        return self.value("SELECT sum(sent) FROM sequences") - self._left

    def forget(self) -> None:
        """Take for sent whatever is ready, so that no measurement pays for another."""
        self._database.execute("UPDATE deliveries SET state = 2 WHERE state = 1")
        self._database.execute("VACUUM ANALYZE deliveries")
        self._left += self.sent

    @property
    def wire(self) -> Any:
        """The form in which signals of the measured type travel."""
        return self.hub.rulebooks.current.ruleset.types[TYPE].wire

    @property
    def server(self) -> str:
        """The version of the database server."""
        return str(self._database.info.parameter_status("server_version")).partition(" ")[0]

    def value(self, sql: str) -> int:
        """Return one number from the database."""
        row = self._database.execute(sql.encode()).fetchone()
        return int(row[0] or 0) if row else 0

    def bare_done(self) -> int:
        """Return how many records the bare loop has written."""
        return self.value("SELECT max(id) FROM bare.signals")

    # --- processes ------------------------------------------------------------------------

    @contextlib.contextmanager
    def running(self, *parts: str, what: str = "hub") -> Iterator[list[Process]]:
        """Run parts of the hub (such as `router`) for the length of a block."""
        environment = {
            "HUB_HOME": str(self.settings.home), "HUB_RULES_DIR": str(self.folder / "rules"), "HUB_SCHEMAS_DIR": str(self.folder / "schemas"),
            "HUB_DATABASE_URL": self.url, "HUB_KAFKA_BOOTSTRAP": self.bootstrap,
        }  # fmt: skip
        processes = [Process([what, part], environment, self.folder / "log") for part in parts]
        try:
            yield processes
        finally:
            for process in processes:
                process.end()

    @contextlib.contextmanager
    def bare_loop(self) -> Iterator[list[Process]]:
        """Run the loop that the router is held against, on tables of its own in the same database."""
        pattern = self.folder / "patterns"
        pattern.write_bytes(pickle.dumps((rows_of(self.hub), self.hub.rulebooks.current.ruleset.types[TYPE].contract.raw)))
        self._database.execute("CREATE SCHEMA IF NOT EXISTS bare")
        self._database.execute("DROP TABLE IF EXISTS bare.signals, bare.decisions, bare.deliveries")
        url = f"{self.url}?options=-csearch_path%3Dbare"
        process = Process(["bare", self.bootstrap, url, str(pattern)], {}, self.folder / "log")
        try:
            until(
                lambda: self.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'bare'") == len(("s", "d", "d")),
                within=60,
                what="bare loop",
            )
            yield [process]
        finally:
            process.end()


class Watch:
    """Counts, over a span, what processes used and how long they waited for locks."""

    def __init__(self, stage: Stage, processes: list[Process]) -> None:
        self._url = plain(stage.url)
        self._processes = processes
        self._samples: list[int] = []
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        self._began, self._used = time.perf_counter(), sum(process.seconds for process in self._processes)
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
        self.processor = sum(process.seconds for process in self._processes) - self._used
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._stop.wait(0.02):
                row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone()
                self._samples.append(int(row[0]) if row else 0)

    def span(self, signals: int) -> Span:
        """Return what was counted, now that the span is over."""
        waiting = sum(self._samples) / max(1, len(self._samples)) / len(self._processes)
        return Span(signals, self.seconds, self.processor, waiting)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Start a broker and a server on the disk of the repository, with a hub on them."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT))
    try:
        with own_postgres() as database, own_kafka() as broker:
            made = Stage(folder, broker.bootstrap, database.address)
            try:
                yield made
            finally:
                made.close()
    finally:
        shutil.rmtree(folder)
