"""Killing the vaste-lasten connector at random rows of a partner's file.

Two homes get the same file and the same key, in a folder or from the partner's SFTP server. In one the connector works
undisturbed; in the other it is killed over and over. Afterwards the receipts must be the same bytes, and the hub must
hold exactly the rows that they say.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from paramiko import SFTPClient
from sqlalchemy import func, select

from connectors.kit.ids import KEY_FILE, id_key
from connectors.vaste_lasten import CONNECTOR, connector
from connectors.vaste_lasten.reading import opened
from connectors.vaste_lasten.receipt import ACCEPTED, QUEUED, REFUSED, Answer, Draft
from connectors.vaste_lasten.settings import VasteLastenSettings, read_partners
from connectors.vaste_lasten.sftp import Remote
from connectors.vaste_lasten.translate import Arrear, translate
from hub import app
from hub.app import Hub, MovingClock, open_hub
from hub.client import NewSignal, Receipt, RunReport
from hub.domain import signal as signals_of
from hub.domain import terms
from hub.gateway import HubGateway
from hub.settings import HubSettings
from hub.storage.tables import Outcome, decisions, rejections, signals
from tests.counterparts.corporation import PASSWORD, USER, Address, corporation_apart
from tests.partnerfiles import PARTNER, csv_bytes, partner, receipt_rows, receipts, row, settings_file
from tests.sample import DEBT

if TYPE_CHECKING:
    from hub.client import Item

ROOT: Final = Path(__file__).parents[2]
NOW: Final = terms.moment("2026-11-02T09:00")
KINDS: Final = ("at a row", "after the hub stored a batch", "in the middle of an answer")
FETCHED: Final = "at a request while the file is fetched"
GIVEN: Final = "at a request while the receipt is put back"
_A_REQUEST: Final = 32_768
"""The bytes that a request carries."""


def rows(count: int, chance: random.Random) -> Iterator[list[str]]:
    """Yield rows of every sort: good ones, more than the agreed number in Eindhoven, refused ones, damaged ones, and some twice."""
    before = row(1)
    for number in range(1, count + 1):
        kind = chance.random()
        if kind < 0.03:
            yield before
            continue
        changed: dict[str, str] = {"gemeentecode": "0772"} if kind < 0.3 else {}
        if kind > 0.97:
            changed["herinneringen"] = ""
        elif kind > 0.95:
            changed["herinneringen"] = "0"
        elif kind > 0.94:
            changed["bedrag"] = "veel"
        before = row(number, **changed)
        yield before if not 0.93 < kind <= 0.94 else before[:-3]


class World:
    """A home with a hub, a partner's folder and a connector."""

    def __init__(self, folder: Path, content: bytes, loaded: Any, server: Address | None) -> None:
        self.folder = folder
        folder.mkdir()
        described = partner(folder / "in")
        self.inbox = folder / "in"
        """Where the partner sees its files."""
        if server is not None:
            self.inbox = folder / "uit"
            self.inbox.mkdir()
            described["sftp"] = {"host": "127.0.0.1", "port": server.port, "host_key": server.host_key, "user": USER, "password": PASSWORD,
                                 "folder": f"{folder.name}/uit"}  # fmt: skip
        self.settings = VasteLastenSettings(partners=settings_file(folder, described), state_dir=folder / "state")
        (self.inbox / "oktober.csv").write_bytes(content)
        self._loaded = loaded

    def open(self) -> Hub:
        """Open the hub. The rules are read once: a child spends its life on rows."""
        with mock.patch.object(app, "load_files", lambda _settings: self._loaded):
            return open_hub(hub_settings(self.folder), clock=MovingClock(NOW))

    def run(self, *, kind: str | None = None, at: int = 0) -> RunReport:
        """Let the connector work to its end, or until it kills itself at a row."""
        hub = self.open()
        try:
            knife = Knife(hub, kind, at)
            with (
                mock.patch.object(Draft, "add", lambda draft, answers: knife.add(draft, answers)),  # noqa: PLW0108  (a bound method gets no draft)
                mock.patch.object(Remote, "fetch", knife.counting(FETCHED, Remote.fetch)),
                mock.patch.object(Remote, "finish", knife.counting(GIVEN, Remote.finish)),
                mock.patch.object(SFTPClient, "_async_request", knife.asking(vars(SFTPClient)["_async_request"])),
            ):
                return CONNECTOR.run(self.settings, knife, knife.track)
        finally:
            hub.close()

    def killed(self, kind: str, at: int) -> bool:
        """Let the connector work in a process of its own that is killed; False if it came to its end."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self.run(kind=kind, at=at)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the connector failed by itself"
        return os.WIFSIGNALED(status)


class Knife(HubGateway):
    """Stands between the connector and the hub, and kills the process when the row has come."""

    def __init__(self, hub: Hub, kind: str | None, at: int) -> None:
        super().__init__(hub)
        self._kind = kind
        self._at = at
        self._rows = 0
        self._doing = ""
        self._requests = 0
        self._add = Draft.add

    def track(self, items: Iterable[Item], *, total: int | None, label: str) -> Iterator[Item]:
        assert total is not None
        assert label == PARTNER
        for item in items:
            self._rows += 1
            self._stab("at a row")
            yield item

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        found = super().publish(participant, signals)
        self._stab("after the hub stored a batch")
        return found

    def add(self, draft: Draft, answers: Iterable[Answer]) -> None:
        told = list(answers)
        if told and self._kind == KINDS[2] and self._rows >= self._at:
            self._add(draft, told[: len(told) // 2])
            with draft.path.open("ab") as file:
                file.write(b"4000;H-20")
            self._stab(KINDS[2])
        self._add(draft, told)

    def counting(self, kind: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return this work, in which requests to the server are counted."""

        def counted(*arguments: Any) -> Any:
            self._doing, self._requests = kind, 0
            found = work(*arguments)
            self._doing = ""
            return found

        return counted

    def asking(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        """Return how the server is asked something."""

        def asked(*arguments: Any) -> Any:
            self._requests += 1
            if self._doing == self._kind and self._requests == self._at:
                os.kill(os.getpid(), signal.SIGKILL)
            return ask(*arguments)

        return asked

    def _stab(self, kind: str) -> None:
        if kind == self._kind and self._rows >= self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def hub_settings(folder: Path) -> HubSettings:
    """Return the settings of the hub of a world."""
    return HubSettings(home=folder / "home", rules_dir=ROOT / "rules", schemas_dir=ROOT / "schemas")


def prove(folder: Path, *, count: int, kills: int, seed: int, batch: int = connector.BATCH_SIZE, remote: bool = False) -> Counter[str]:
    """Kill the connector so many times, and hold the books against those of an undisturbed run. Returns the figures.

    In a folder it is killed at random rows. When the file lies on a server, a third of the kills are there; a third at random
    requests before the first row, and a third after the last.
    """
    chance = random.Random(seed)
    content = csv_bytes(rows(count, chance))
    loaded = app.load_files(hub_settings(folder))
    with corporation_apart(folder, folder) if remote else nullcontext() as server, mock.patch.object(connector, "BATCH_SIZE", batch):
        calm, hunted = (World(folder / name, content, loaded, server) for name in ("calm", "hunted"))
        first = calm.run()
        hunted.settings.state_dir.mkdir()
        shutil.copy(calm.settings.state_dir / KEY_FILE, hunted.settings.state_dir / KEY_FILE)
        figures: Counter[str] = Counter()
        third = kills // 3 if remote else 0
        (receipt,) = receipts(calm.inbox)
        for kind, at in [
            *_at_requests(FETCHED, third, len(content), chance),
            *_at_rows(kills - 2 * third, count, batch, chance),
            *_at_requests(GIVEN, third, receipt.stat().st_size, chance),
        ]:
            assert hunted.killed(kind, at), "the connector came to its end before it was killed"
            figures[f"killed {kind}"] += 1
        last = hunted.run()
    assert first.read == count
    assert first.balanced
    assert last.balanced
    if remote:
        assert last.read == 0, "rows that have their answer are read again"
    else:
        assert (last.read, last.skipped, last.refused) == (first.read, first.skipped, first.refused)
    return figures + equal_books(calm, hunted, content)


def _at_rows(kills: int, count: int, batch: int, chance: random.Random) -> Iterator[tuple[str, int]]:
    for at in sorted(chance.randrange(1, count + 1) for _ in range(kills)):
        yield chance.choice(KINDS) if at <= count - batch else KINDS[0], at  # the last batch may hold nothing to publish


def _at_requests(kind: str, kills: int, size: int, chance: random.Random) -> Iterator[tuple[str, int]]:
    """Yield requests of which there are as many as carry this size, and some to open, to close and to look."""
    for _ in range(kills):
        yield kind, chance.randrange(1, size // _A_REQUEST + 5)


def equal_books(calm: World, hunted: World, content: bytes) -> Counter[str]:
    """Hold two worlds against each other and against the file. Returns the figures."""
    told, told_too = receipts(calm.inbox), receipts(hunted.inbox)
    assert [path.name for path in told] == [path.name for path in told_too]
    assert len(told) == 1
    assert told[0].read_bytes() == told_too[0].read_bytes(), "the receipt differs from that of an undisturbed run"
    for world in (calm, hunted):
        left = sorted(str(path.relative_to(world.inbox)) for path in world.inbox.rglob("*") if path.is_file())
        assert left == sorted(f"verwerkt/{name}" for name in (told[0].name, told[0].name.removesuffix(".ontvangst.csv")))
        assert (world.inbox / left[0]).read_bytes() == content
    answers = receipt_rows(told_too[0])
    statuses = Counter(answer["status"] for answer in answers)
    assert all(answer["redenen"] for answer in answers if answer["status"] == REFUSED)
    figures = Counter({"rows": len(answers), **statuses})
    for world in (calm, hunted):
        hub = world.open()
        held = expected_ids(world, hub, {int(answer["rij"]): answer["status"] for answer in answers})
        with hub.database.read() as connection:
            type_ = hub.names.find(connection, DEBT)
            stored = list(connection.execute(select(signals.c.signal_id).where(signals.c.type == type_)).scalars())
            deferred = connection.execute(
                select(func.count()).select_from(decisions.join(signals, signals.c.id == decisions.c.signal))
                .where(signals.c.type == type_, decisions.c.outcome == Outcome.DEFER)
            ).scalar_one()  # fmt: skip
            told_of = connection.execute(select(func.count()).select_from(rejections)).scalar_one()
        hub.close()
        assert sorted(stored) == sorted(held), "the hub holds other rows than the receipt says, or one twice"
        assert deferred == statuses[QUEUED]
        refused_by_hub = sum(answer["redenen"] == "geen-herinnering" for answer in answers)
        assert told_of >= refused_by_hub
        if world is hunted:
            figures["refusals decided anew"] = told_of - refused_by_hub
    return figures


def expected_ids(world: World, hub: Hub, statuses: dict[int, str]) -> list[bytes]:
    """Return the ids of the signals that the hub must hold: one for each row that was not refused."""
    (described,) = read_partners(world.settings.partners)
    publisher = hub.rulebooks.current.ruleset.participants.find(PARTNER)
    assert publisher is not None
    key = id_key(world.settings.state_dir)
    (kept,) = (path for path in (world.inbox / "verwerkt").iterdir() if not path.name.endswith(".ontvangst.csv"))
    found = []
    with opened(kept, described) as table:
        for one in table:
            outcome = translate(one, table.layout)
            if statuses[one.number] in {ACCEPTED, QUEUED}:
                assert isinstance(outcome, Arrear)
                found.append(signals_of.signal_id(publisher.source, outcome.signal(PARTNER, key).id or ""))
    return found
