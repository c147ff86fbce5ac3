"""What the hub does on Kafka and PostgreSQL, side by side in one run on the same broker, server and records."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from hub.codec import read_avro, unframe
from hub.domain.view import parse_wire
from hub.transport.base import IN, OUT
from tests.bench.stage import MUNICIPALITIES, Process, Span, Stage, Watch, stage
from tests.bench.world import melder, records
from tests.services.kafka.jars import version
from tests.services.waiting import until

SAMPLE: Final = 24_000
EDGE: Final = 3_000
"""Left out at the beginning of a sample, while processes start, and at its end, while they run dry."""
ROUNDS: Final = 3
PER_SECOND: Final = 200
SECONDS: Final = 30
MEMORY: Final = 300_000
STEP: Final = 25_000
WITHIN: Final = 600
LABELS: Final = {
    "bare": "bare loop", "one": "one router", "relayed": "one router, a relay", "two": "two routers", "plain": "one router, no cipher"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds, at a fixed number of signals a second."""

    p50: float
    p99: float
    generator_p99: float
    """From the moment that a signal was due to be sent until the broker had it."""


def _span(stage: Stage, processes: list[Process], done: Any, base: int) -> Span:
    """Watch the middle of a sample that begins at `base`."""
    until(lambda: done() >= base + EDGE, within=WITHIN, what="the beginning of a sample")
    first = done()
    with Watch(stage, processes) as watch:
        until(lambda: done() >= base + SAMPLE - 2 * EDGE, within=WITHIN, what="the end of a sample")
        last = done()
    until(lambda: done() >= base + SAMPLE, within=WITHIN, what="the rest of a sample")
    return watch.span(last - first)


def bare(stage: Stage) -> Span:
    """Let the bare loop take what is on the topics."""
    with stage.bare_loop() as processes:
        return _span(stage, processes, stage.bare_done, 0)


def routers(stage: Stage, count: int, *, what: str = "hub", relay: bool = False) -> Span:
    """Let routers take what is on the topics; with a relay, until all of it has left."""
    base = stage.stored()
    with stage.running(*["router"] * count, *["relay"] * relay, what=what) as processes:
        if not relay:
            return _span(stage, processes, stage.stored, base)
        return _span(stage, processes, lambda: stage.sent // 2, 0)


def throughput(stage: Stage) -> dict[str, list[Span]]:
    """Bare loop, one router, one with its relay, two routers, one without cipher: in turns, each on as many fresh records."""
    found: dict[str, list[Span]] = {name: [] for name in ("bare", "one", "relayed", "two", "plain")}
    for _ in range(ROUNDS):
        stage.give(SAMPLE)
        found["bare"].append(bare(stage))
        found["one"].append(routers(stage, 1))
        stage.forget()
        stage.give(SAMPLE)
        found["relayed"].append(routers(stage, 1, relay=True))
        stage.give(SAMPLE)
        found["two"].append(routers(stage, 2))
        stage.give(SAMPLE)
        found["plain"].append(routers(stage, 1, what="plain"))
        stage.forget()
    return found


def memory(stage: Stage) -> list[tuple[int, float]]:
    """Return (signals, resident MiB of a router) while 300,000 signals go through one process."""
    base, points = stage.stored(), []
    with stage.running("router") as (router,):
        for done in range(STEP, MEMORY + 1, STEP):
            stage.give(STEP)
            until(lambda done=done: stage.stored() >= base + done, within=WITHIN, what="the router")  # type: ignore[misc]
            points.append((done, router.mib))
    return points


def latency(stage: Stage) -> Latency:
    """Publish at a fixed rate for a while, and note when each delivery reaches its reader. Open loop: who is late does not send less."""
    count = PER_SECOND * SECONDS
    each = count // len(MUNICIPALITIES)
    events = [event for turn in zip(*(records(stage.hub, each, code) for code in MUNICIPALITIES), strict=True) for event in turn]
    with stage.running("router", "relay"):
        stage.give(len(MUNICIPALITIES))
        until(lambda: stage.sent >= 2 * stage.given, within=WITHIN, what="the processes")
        reader = _Reader(stage)
        due, acknowledged = _published(stage, events)
        until(lambda: len(reader.seen) >= count, within=60, what="the deliveries")
        reader.close()
    late = sorted((reader.seen[key] - at) * 1000 for key, at in due.items())
    own = sorted((at - due[key]) * 1000 for key, at in acknowledged.items())
    return Latency(statistics.median(late), _p99(late), _p99(own))


def _p99(values: list[float]) -> float:
    return values[int(len(values) * 0.99)]


def _published(stage: Stage, events: list[Any]) -> tuple[dict[bytes, float], dict[bytes, float]]:
    producer = KafkaProducer(bootstrap_servers=stage.bootstrap, acks="all", linger_ms=0)
    for code in MUNICIPALITIES:
        producer.partitions_for(IN + melder(code))
    due: dict[bytes, float] = {}
    acknowledged: dict[bytes, float] = {}
    begin = time.perf_counter() + 1
    for number, event in enumerate(events):
        at = begin + number / PER_SECOND
        time.sleep(max(0.0, at - time.perf_counter()))
        key = _key(event.body, stage.wire)
        due[key] = at
        sent = producer.send(
            IN + melder(event.participant.rpartition(".")[2]), event.body, partition=0, headers=list(event.headers.items())
        )
        sent.add_callback(lambda _, key=key: acknowledged.setdefault(key, time.perf_counter()))
    producer.flush()
    producer.close()
    return due, acknowledged


def _key(body: bytes, wire: Any) -> bytes:
    """Return what tells a signal from others in each of its deliveries."""
    data = read_avro(wire, unframe(body)[1])
    return f"{data['gemeentecode']} {data['bsn']}".encode()


class _Reader:
    """Reads the deliveries of one recipient as a client does, and notes when each came."""

    def __init__(self, stage: Stage) -> None:
        self.seen: dict[bytes, float] = {}
        self._wire: dict[int, Any] = {}
        self._stage = stage
        self._stop = threading.Event()
        self._consumer = KafkaConsumer(bootstrap_servers=stage.bootstrap, enable_auto_commit=False)
        place = TopicPartition(f"{OUT}toeslagen", 0)
        self._consumer.assign([place])
        self._consumer.seek_to_end(place)
        self._consumer.position(place)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._stop.is_set():
            found = self._consumer.poll(timeout_ms=100)
            now = time.perf_counter()
            for record in itertools.chain(*found.values()):
                schema, _ = unframe(record.value)
                if schema not in self._wire:
                    self._wire[schema] = parse_wire(self._stage.hub.rulebooks.view(schema))
                self.seen.setdefault(_key(record.value, self._wire[schema]), now)

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()
        self._consumer.close(autocommit=False)


def measured() -> dict[str, Any]:
    """Measure everything."""
    with stage() as made:
        made.give(SAMPLE // 10)
        with made.running("router", "relay"):
            until(lambda: made.sent >= 2 * made.given, within=WITHIN, what="the warm-up")
        return {"latency": latency(made), "throughput": throughput(made), "memory": memory(made), "postgresql": made.server}


def section(found: dict[str, Any]) -> str:
    """Return the figures as they are."""
    spans: dict[str, list[Span]] = found["throughput"]
    rate = {name: statistics.median(span.rate for span in each) for name, each in spans.items()}
    cost = {name: statistics.median(span.cost for span in each) for name, each in spans.items()}
    waiting = {name: statistics.median(span.waiting for span in each) for name, each in spans.items()}
    late: Latency = found["latency"]
    points = "\n".join(f"| {count:,} | {mib:.0f} |" for count, mib in found["memory"])
    rounds = "\n".join(
        f"| {label} | " + " | ".join(f"{span.rate:,.0f} / {span.cost:.3f} / {span.waiting:.0%}" for span in spans[name]) + " |"
        for name, label in LABELS.items()
    )
    return f"""Apache Kafka {version()} (KRaft, one node), PostgreSQL {found["postgresql"]} (fsync on) and the processes share the machine; so does
what gives them work. The same signal and rules as above, from {len(MUNICIPALITIES)} publishers with a topic each. {ROUNDS} rounds in turns of {SAMPLE:,}
fresh signals; the first {EDGE:,} and the last {2 * EDGE:,} of each are not counted, since processes start and run dry there. Medians.

The bare loop is one process on the same libraries that consumes the same records, decodes them, inserts the rows that the
router inserts, produces two records for each, and commits once a batch: no check, no rule, no view, no cipher.

| what | figure | aim |
|---|---|---|
| (a) bare loop, signals a second | {rate["bare"]:,.0f} | |
| (a) one router, signals a second | {rate["one"]:,.0f}: {rate["one"] / rate["bare"]:.0%} of the bare loop | at least 50 % |
| (a) one router with a relay, until the deliveries have left | {rate["relayed"]:,.0f}: {rate["relayed"] / rate["bare"]:.0%} of the bare loop | |
| (b) two routers, signals a second | {rate["two"]:,.0f}: {rate["two"] / rate["one"]:.2f} times one | |
| (b) router processor seconds for 1,000 signals, one / two | {cost["one"]:.3f} / {cost["two"]:.3f}: {cost["two"] / cost["one"]:.2f} times | at most 1.1 times |
| (b) of its time a router waits for a lock, one / two | {waiting["one"]:.1%} / {waiting["two"]:.1%} | about zero |
| (c) publish to delivery at {PER_SECOND} signals a second for {SECONDS} s, p50 / p99 | {late.p50:.0f} / {late.p99:.0f} ms | p99 below 100 ms |
| (c) publish to acknowledgement, p99: what the generator itself takes | {late.generator_p99:.0f} ms | |
| (d) one router without the cipher (measured, not an option) | {rate["plain"]:,.0f} ({rate["one"] / rate["plain"] - 1:+.0%} with it) | |
| (e) memory of a router, from {found["memory"][0][0]:,} to {MEMORY:,} signals | {found["memory"][0][1]:.0f} to {found["memory"][-1][1]:.0f} MiB | flat |

### Every round: signals a second / processor seconds for 1,000 / share of waiting for locks

| what | {" | ".join(f"round {number}" for number in range(1, ROUNDS + 1))} |
|---|{"---|" * ROUNDS}
{rounds}

### Memory of a router

| signals | resident MiB |
|---|---|
{points}
"""
