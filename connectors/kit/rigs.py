"""Ready-made rigs: a file of rows, an HTTP counterpart, tables of a database, or a folder and nothing else."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from connectors.kit.counterpart import FAULTS, VARIANTS, Counterpart, Request, Respond
from connectors.kit.rig import Fault, Rig, World, markers_in
from hub.client import Connector, Delivery, GuardAnswer, NewSignal

_CELL: Final = re.compile(r'[^;,\t"\r\n]+')
_IMPATIENT_SECONDS: Final = 0.05
_ODD: Final = ("9" * 5_000, "\N{SUPERSCRIPT TWO}")
"""More digits than `int` takes, and a digit that it does not take: nobody may take them for a number."""
_CUTS: Final = 24
"""At how many places the last row of a file is cut, at most."""


@dataclass(kw_only=True)
class FolderRig(Rig):
    """A world of which the author says all; the other rigs add their other side to it.

    The functions get the folder of the world, which is empty at the beginning.
    """

    connector: Connector
    settings: Callable[[Path], BaseModel]
    items: int = 0
    """Rows and records; deliveries are counted apart."""
    signals: Sequence[tuple[str, NewSignal]] = ()
    deliveries: Sequence[Delivery] = ()
    expects: Sequence[Any] = ()
    effects: Callable[[Path], Sequence[Any]] = lambda _: ()
    guards: Mapping[tuple[str, str, str], GuardAnswer] = field(default_factory=dict)
    secret_values: Sequence[str] = ()
    """What is in the input and goes no further; all that goes further is looked for anyway."""
    public: Sequence[str] = ()
    """Values that may be seen: codes of municipalities, names of desks."""
    leaves: Sequence[str] = ()
    """What the connector writes for others beside its state_dir, as patterns of paths in the folder: `uit/*.ontvangst.csv`."""
    prepare: Callable[[Path], None] = lambda _: None
    """Puts in the folder what has to be there."""

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[World]:
        """Open the world without another side."""
        self.prepare(folder)
        yield self._world(folder, self.settings(folder))

    def _world(self, folder: Path, settings: BaseModel) -> World:
        data = [*(signal.data for _, signal in self.signals), *(delivery.data for delivery in self.deliveries)]
        return World(
            settings=settings, items=self.items + len(self.deliveries), signals=self.signals, expects=self.expects,
            effects=lambda: self.effects(folder), deliveries=self.deliveries, guards=self.guards,
            markers=markers_in([*data, *self.secret_values, *self.expects], self.public),
            leaves=lambda: [path for pattern in self.leaves for path in folder.glob(pattern)],
        )  # fmt: skip


@dataclass(kw_only=True)
class FileRig(FolderRig):
    """A text file of rows that the connector reads.

    It can be missing, cut in its last row, and hold bytes that are no text, or an odd cell in its last row: let that be one
    that gives a signal. `settings` gets the folder; the file is at `folder / name`.
    """

    rows: Sequence[str]
    """Without line ends."""
    header: str | None = None
    name: str = "input.csv"
    encoding: str = "utf-8"
    faults: frozenset[Fault] = frozenset({Fault.UNREACHABLE, Fault.TRUNCATED, Fault.ENCODING})

    def __post_init__(self) -> None:
        self.items = self.items or len(self.rows)

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[World]:
        """Write the file."""
        file = folder / self.name
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [self.header, *self.rows] if self.header is not None else list(self.rows)
        whole = "".join(f"{line}\n" for line in lines).encode(self.encoding)
        last = len(f"{lines[-1]}\n".encode(self.encoding))
        cuts = min(last - 1, _CUTS)

        def spoil(fault: Fault, variant: int = 0) -> None:
            if fault is Fault.UNREACHABLE:
                file.unlink()
            elif fault is Fault.TRUNCATED:
                file.write_bytes(whole[: len(whole) - 1 - variant * (last - 1) // cuts])
            else:
                middle = len(whole) - last // 2
                file.write_bytes(whole.decode(self.encoding).encode("utf-16") if variant else whole[:middle] + b"\x81" + whole[middle:])

        def mend() -> None:
            file.write_bytes(whole)

        def put(start: int, end: int, odd: str) -> None:
            text = "".join(f"{line}\n" for line in (*lines[:-1], f"{lines[-1][:start]}{odd}{lines[-1][end:]}"))
            file.write_bytes(text.encode(self.encoding, "replace"))

        mend()
        self.prepare(folder)
        odd = [partial(put, *cell.span(), text) for cell in _CELL.finditer(lines[-1]) for text in _ODD]
        cells = [cell for row in self.rows for cell in _CELL.findall(row)]
        world = self._world(folder, self.settings(folder))
        yield replace(
            world, spoil=spoil, mend=mend, variants={Fault.TRUNCATED: cuts, Fault.ENCODING: 2},
            markers=world.markers | markers_in(cells, self.public), odd=odd,
        )  # fmt: skip


@dataclass(kw_only=True)
class HttpRig(FolderRig):
    """A system that the connector speaks HTTP with, played by a small server that can fail in every way.

    What is sent to it and does not only ask is what it holds (`expects`): bodies as JSON, one for each key.
    `settings` gets the folder and the address; the setting `timeout_seconds` must be heeded.
    """

    settings: Callable[[Path, str], BaseModel]  # type: ignore[assignment]
    answer: Respond
    key: Callable[[Request], str | None] | None = None
    asks: Callable[[Request], bool] | None = None
    """Whether a request only asks; by default a GET."""
    faults: frozenset[Fault] = FAULTS

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[World]:
        """Start the server."""
        self.prepare(folder)
        with Counterpart(self.answer, self.key, self.asks) as other:
            settings = self.settings(folder, other.url)

            def attend(now: Any) -> None:
                other.now = now

            yield replace(
                self._world(folder, settings), effects=lambda: [*other.held.values(), *self.effects(folder)],
                impatient=settings.model_copy(update={"timeout_seconds": _IMPATIENT_SECONDS}), spoil=other.spoil, variants=VARIANTS,
                mend=other.mend, attend=attend, asked=lambda: list(other.asked), outwaited=lambda: other.outwaited,
            )  # fmt: skip


@dataclass(kw_only=True)
class TableRig(FolderRig):
    """Tables in the agency's own database, here SQLite.

    The database can be away, and damaged. `settings` gets the folder and the SQLAlchemy URL.
    """

    settings: Callable[[Path, str], BaseModel]  # type: ignore[assignment]
    create: Callable[[Connection], None]
    """Makes and fills the tables."""
    holds: Callable[[Connection], Sequence[Any]] = lambda _: ()
    """Reads what the connector wrote there: compared with `expects`."""
    faults: frozenset[Fault] = frozenset({Fault.UNREACHABLE, Fault.TRUNCATED})

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[World]:
        """Make the database."""
        file, aside = folder / "agency.db", folder / "agency.aside"
        engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
        with engine.begin() as connection:
            self.create(connection)
        self.prepare(folder)

        def spoil(fault: Fault, variant: int = 0) -> None:
            file.rename(aside)
            if fault is Fault.UNREACHABLE:
                file.mkdir()
            else:
                file.write_bytes(aside.read_bytes()[: 100 + 50 * variant])

        def mend() -> None:
            if aside.exists():
                file.rmdir() if file.is_dir() else file.unlink()
                aside.rename(file)

        def effects() -> Sequence[Any]:
            mend()  # a database that is away cannot be looked into
            with engine.connect() as connection:
                return [*self.holds(connection), *self.effects(folder)]

        yield replace(self._world(folder, self.settings(folder, f"sqlite:///{file}")), effects=effects, spoil=spoil, mend=mend)


def delivery(number: int, recipient: str, type_: str, data: Mapping[str, Any], **more: Any) -> Delivery:
    """Return the n-th delivery of a recipient, with the id `delivery-n`; `more` are further parts of it."""
    return Delivery(
        delivery_id=f"delivery-{number}", type=type_, recipient=recipient, sequence=number, data=data,
        **{"grant": "voorbeeld.regel", "purpose": "Voorbeeld", "time": "2026-11-02T08:00:00.000Z", **more},
    )  # fmt: skip
