"""The conformance suite: what every connector must do right, whatever it speaks.

    source, sink: every item is counted once; what follows from it is what the rig says; twice changes nothing; after a
    kill at any step nothing is lost and nothing is there twice; a hub or counterpart that fails ends the run with an
    error that says what to do, and a later run makes it good; nothing of anyone is seen outside signals.

Each check opens worlds of its own. Waiting costs no time: the clock moves when a connector waits.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, SecretStr, ValidationError

from connectors.kit.bench import Bench, Ending, FailedError, Killed, Ran, books, split, wanted
from connectors.kit.counterpart import RETRY_AFTER
from connectors.kit.difference import difference
from connectors.kit.rig import Fault, Rig, World
from hub.errors import HubError, RetryLaterError

Verdict = Literal["passed", "failed", "not applicable", "not tried"]
_TOTAL: Final = "total"
NOT_TRIED: Final = f"a run in which nothing goes wrong fails: see `{_TOTAL}`"
_HUB: Final = frozenset({"publish", "published", "next", "may"})
_REFUSAL: Final = "proef-weigering"
_SECRET: Final = re.compile(r"pass|secret|token|credential|api_?key|dsn|database_url", re.IGNORECASE).search


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found."""

    check: str
    what: str
    """What it looks at, in a sentence."""
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: a function that raises FailedError."""

    name: str
    what: str
    work: Callable[[Bench], None]
    missing: Callable[[Rig], str] = lambda _: ""
    """Why it does not apply to a rig; empty when it does."""
    alone: bool = False
    """Whether it says something though a run in which nothing goes wrong fails."""

    def on(self, rig: Rig, folder: Path) -> Result:
        """Do the check in an empty folder."""
        if why := self.missing(rig):
            return Result(self.name, self.what, "not applicable", why)
        bench = Bench(rig, folder)
        if not self.alone and bench.trouble:
            return Result(self.name, self.what, "not tried", NOT_TRIED)
        try:
            self.work(bench)
        except FailedError as failed:
            return Result(self.name, self.what, "failed", str(failed))
        return Result(self.name, self.what, "passed")


def check_all(rig: Rig) -> Iterator[Result]:
    """Do every check on a rig, in order."""
    for one in CHECKS:
        with tempfile.TemporaryDirectory(prefix="signaalhub-check-") as folder:
            yield one.on(rig, Path(folder))


# --- set-up -------------------------------------------------------------------------------


def _settings(bench: Bench) -> None:
    model = bench.rig.connector.settings
    for name, found in model.model_fields.items():
        if not found.description:
            raise FailedError(f"the setting {name} has no description")
        if _SECRET(name) and "SecretStr" not in str(found.annotation):
            raise FailedError(f"the setting {name} looks like a secret and is no SecretStr")
    if not model.model_config.get("frozen"):
        raise FailedError("the settings can be changed: give the model frozen=True")
    with bench.world() as (world, _):
        given = {name: getattr(world.settings, name) for name in model.model_fields}
    try:
        model.model_validate(given | {"no_such_setting": "x"})
    except ValidationError:
        return
    raise FailedError('a misspelt setting is taken: give the model extra="forbid"')


def _ping(bench: Bench) -> None:
    with bench.world() as (world, hub):
        before = books(world, hub)
        if bench.ping(world).error is not None:
            raise FailedError("ping raises though nothing is wrong")
        if books(world, hub) != before:
            raise FailedError("ping changes something")
    for fault in sorted(bench.rig.faults - {Fault.TRUNCATED, Fault.ENCODING}):
        with bench.world() as (world, _):
            _spoil(world, fault, 0)
            ran = bench.ping(world, impatient=fault is Fault.TIMEOUT)
            if not isinstance(ran.error, HubError):
                raise FailedError(f"ping raises {_named(ran)} when the other side fails ({fault}), and not a HubError")


# --- what must come of it -----------------------------------------------------------------


def _total(bench: Bench) -> None:
    if bench.trouble:
        raise FailedError(f"a run in which nothing goes wrong fails: {bench.trouble}")
    with bench.world() as (world, hub):
        report = bench.run(world, hub).well()
        if report.read != world.items:
            raise FailedError(f"there were {world.items} items and {report.read} were counted")


def _round_trip(bench: Bench) -> None:
    with bench.world() as (world, hub):
        bench.run(world, hub).well()
        _same(books(world, hub), wanted(world))


def _twice(bench: Bench) -> None:
    with bench.world() as (world, hub):
        first = bench.run(world, hub).well()
        before = books(world, hub)
        for _ in range(2):
            again = bench.run(world, hub).well()
            _same(books(world, hub), before)
            if again.accepted or (again.delivered and first.delivered):
                raise FailedError("a second run says that it did something new")
            world.mend()  # the input is handed in once more


def _repeats(bench: Bench) -> None:
    with bench.world() as (world, hub):
        hub.deliveries = [one for delivery in world.deliveries for one in (delivery, delivery)] + list(world.deliveries)
        bench.run(world, hub).well()
        hub.places.clear()
        bench.run(world, hub).well()
        _same(books(world, hub), bench.expected)


def _killed(bench: Bench) -> None:
    for step in range(bench.steps()):
        with bench.world() as (world, hub):
            hub.step = Ending(step, Killed)
            if bench.run(world, hub).report is not None:
                raise FailedError("the end of the process was caught: do not catch BaseException")
            hub.step = lambda _: None
            bench.run(world, hub).well()
            _same(books(world, hub), bench.expected, f"after a kill at step {step + 1}")


def _hub_away(bench: Bench) -> None:
    for step in range(bench.steps(_HUB)):
        with bench.world() as (world, hub):
            hub.step = Ending(step, lambda: RetryLaterError("the hub does not answer"), _HUB)
            ran = bench.run(world, hub)
            if not isinstance(ran.error, RetryLaterError):
                raise FailedError(f"the hub did not answer, and the run ended with {_named(ran)}, not RetryLaterError")
            hub.step = lambda _: None
            bench.run(world, hub).well()
            _same(books(world, hub), bench.expected, "after the hub was away")


def _refused(bench: Bench) -> None:
    with bench.world() as (world, hub):
        hub.refuse = lambda _: _REFUSAL
        report = bench.run(world, hub).well()
        if report.refused[_REFUSAL] + report.answers[_REFUSAL] != len(world.signals):
            raise FailedError("not every signal that the hub refused is counted, under its first reason code")


# --- a counterpart that fails -------------------------------------------------------------


def _fails(fault: Fault, must: Callable[[Bench, World, Ran], None] = lambda *_: None) -> Callable[[Bench], None]:
    """Return the check that a fault loses nothing, makes nothing up, and ends as it must."""

    def work(bench: Bench) -> None:
        with bench.world() as (world, _):
            variants = world.variants.get(fault, 1)
        for variant in range(variants):
            with bench.world() as (world, hub):
                _spoil(world, fault, variant)
                ran = bench.run(world, hub, impatient=fault is Fault.TIMEOUT)
                ran.orderly()
                must(bench, world, ran)
                _nothing_new(books(world, hub) - bench.expected)
                world.mend()
                bench.run(world, hub).well()
                after = books(world, hub)
                _nothing_new(after - bench.expected)
                answers, others = split(bench.expected - after, world)
                told = ran.report.skipped.total() + ran.report.refused.total() if ran.report else 0
                if max(answers, others) > told:  # a refused delivery has neither effect nor answer
                    raise FailedError(f"{others or answers} of what should have come of it are lost, and {told} are counted with a reason")

    return work


def _unreadable(bench: Bench) -> None:
    _fails(Fault.ENCODING)(bench)
    with bench.world() as (world, _):
        count = len(world.odd)
    for number in range(count):
        with bench.world() as (world, hub):
            world.odd[number]()
            ran = bench.run(world, hub)
            if ran.error is not None:
                raise FailedError(f"one odd cell ends the run, though it should cost its own row at most: {ran.cause}")
            ran.well()


def _nothing_new(extra: Counter[str]) -> None:
    if extra:
        raise FailedError(f"{extra.total()} signals or effects are there twice, or follow from input that was not whole")


def _error(_bench: Bench, _world: World, ran: Ran) -> None:
    if ran.error is None:
        raise FailedError("the run ended as if all were well")


def _later(_bench: Bench, _world: World, ran: Ran) -> None:
    if not isinstance(ran.error, RetryLaterError):
        raise FailedError(f"the run ended with {_named(ran)}, not RetryLaterError")


def _gave_up(bench: Bench, world: World, ran: Ran) -> None:
    if world.outwaited():
        raise FailedError("it waited longer than its time-out for an answer")
    _later(bench, world, ran)


def _not_again(bench: Bench, world: World, ran: Ran) -> None:
    if isinstance(ran.error, RetryLaterError):
        raise FailedError("a 4xx does not get better by waiting: count it, or raise StopError")
    if len(world.asked()) > bench.requests:
        raise FailedError("it asks again what was refused")


def _patient(bench: Bench, world: World, ran: Ran) -> None:
    _later(bench, world, ran)
    if any(after <= before for before, after in pairwise(world.asked())):
        raise FailedError("it tries again at once, without a pause")


def _heeds(bench: Bench, world: World, ran: Ran) -> None:
    _later(bench, world, ran)
    if any((after - before).total_seconds() < RETRY_AFTER for before, after in pairwise(world.asked())):
        raise FailedError("it asks again before the time that Retry-After says")


# --- what must not be seen ----------------------------------------------------------------


def _unseen(bench: Bench, find: Callable[[World], Iterable[str]]) -> None:
    for world, said in _everything(bench):
        marks = sorted(find(world))
        if any(mark in said for mark in marks):
            raise FailedError("it is said in a log line, an error, a report or the settings")
        for path in _left(world):
            text = path.read_bytes() if path.is_file() else b""
            if any(mark.encode() in text or mark in path.name for mark in marks):
                raise FailedError("it lies readable in the connector's own folder, or in what it leaves for others")


def _everything(bench: Bench) -> Iterator[tuple[World, str]]:
    """Run in every way that the suite knows, and give what was said."""
    for fault in (None, *sorted(bench.rig.faults)):
        with bench.world() as (world, hub):
            variants = world.variants.get(fault, 1) if fault is not None else 2
        for variant in range(variants):
            with bench.world() as (world, hub):
                if fault is not None:
                    _spoil(world, fault, variant)
                elif variant:
                    hub.refuse = lambda _: _REFUSAL
                said = [bench.ping(world, impatient=True).said, bench.run(world, hub, impatient=fault is Fault.TIMEOUT).said]
                world.mend()
                yield world, "\n".join([*said, bench.run(world, hub).said, repr(world.settings)])


def _left(world: World) -> Iterator[Path]:
    own = [getattr(world.settings, "state_dir", None), *world.leaves()]
    for path in own:
        if isinstance(path, Path) and path.exists():
            yield from (path, *path.rglob("*"))


def _secrets_of(settings: BaseModel) -> Iterator[str]:
    for _, value in settings:
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from _secrets_of(value)


def _canary(bench: Bench) -> None:
    _unseen(bench, lambda world: world.markers)


def _secrets(bench: Bench) -> None:
    _unseen(bench, lambda world: _secrets_of(world.settings))


# --- small things -------------------------------------------------------------------------


def _spoil(world: World, fault: Fault, variant: int) -> None:
    if world.spoil is not None:
        world.spoil(fault, variant)


def _same(found: Counter[str], expected: Counter[str], when: str = "") -> None:
    lost, extra = (expected - found).total(), (found - expected).total()
    if lost or extra:
        what = f"{lost} signals or effects are missing and {extra} are there that should not be {when}".rstrip()
        raise FailedError(f"{what}: {difference(expected - found, found - expected)}")


def _named(ran: Ran) -> str:
    return "nothing" if ran.error is None else ran.cause


def _needs(fault: Fault) -> Callable[[Rig], str]:
    return lambda rig: "" if fault in rig.faults else "its rig has no such fault"


def _needs_deliveries(rig: Rig) -> str:
    return "a source has no deliveries" if rig.connector.kind == "source" else ""


def _needs_secrets(rig: Rig) -> str:
    has = any("SecretStr" in str(field.annotation) for field in rig.connector.settings.model_fields.values())
    return "" if has else "it has no secrets"


def _fault(fault: Fault, what: str, must: Callable[[Bench, World, Ran], None] = lambda *_: None) -> Check:
    return Check(fault.value, what, _fails(fault, must), _needs(fault))


CHECKS: Final = (
    Check("settings", "every setting is described, secrets are SecretStr, a misspelt one is refused", _settings, alone=True),
    Check("ping", "passes when all is well, raises a HubError when the other side fails, changes nothing", _ping, alone=True),
    Check(_TOTAL, "every item is read and counted exactly once", _total, alone=True),
    Check("round-trip", "what comes of the input is what the rig says", _round_trip),
    Check("twice", "a second run, and the same input once more, change nothing", _twice),
    Check("repeats", "a delivery that comes again has one effect", _repeats, _needs_deliveries),
    Check("killed", "after a kill at any step a new run makes it whole: nothing lost, nothing twice", _killed),
    Check("hub-away", "a hub that does not answer ends the run with RetryLaterError, and a new run makes it whole", _hub_away),
    Check("refused", "what the hub refuses is counted by its reason", _refused),
    _fault(Fault.UNREACHABLE, "another side that is not there ends the run with an error; later all is whole", _error),
    _fault(Fault.TIMEOUT, "another side that does not answer in time ends the run with RetryLaterError", _gave_up),
    _fault(Fault.CLIENT_ERROR, "what the other side refuses is counted or stops the run, and is not tried again", _not_again),
    _fault(Fault.SERVER_ERROR, "a server in trouble is tried again after a pause, then RetryLaterError", _patient),
    _fault(Fault.RATE_LIMIT, "Retry-After is heeded", _heeds),
    _fault(Fault.TRUNCATED, "what was cut off is never taken as whole"),
    Check(
        Fault.ENCODING.value, "a wrong encoding gives no signal; an odd cell costs its row only", _unreadable, _needs(Fault.ENCODING)
    ),
    Check("secrets", "no secret of the settings is seen in any log line, error, report or file", _secrets, _needs_secrets, alone=True),
    Check("canary", "no value of the input is seen in any log line, error, report or file of its own", _canary, alone=True),
)  # fmt: skip
"""Every check, in the order in which they are done."""
BY_NAME: Final = {check.name: check for check in CHECKS}
