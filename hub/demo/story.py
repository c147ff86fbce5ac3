"""What the demonstration tells, as a document and on a terminal of 100 columns."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

WIDTH: Final = 100


@dataclass(slots=True)
class Story:
    """Chapters, counts, and one explained decision."""

    chapters: list[tuple[str, list[str]]] = field(default_factory=list)
    published: Counter[str] = field(default_factory=Counter)
    deliveries: dict[str, int] = field(default_factory=dict)
    """By recipient: signals of participants."""
    notices: dict[str, int] = field(default_factory=dict)
    """By recipient: messages of the hub itself."""
    deferred: dict[str, int] = field(default_factory=dict)
    cases: dict[str, dict[str, int]] = field(default_factory=dict)
    """By process and state."""
    explanation: str = ""
    seconds: float = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure how long the demonstration takes."""
        start = time.perf_counter()
        yield
        self.seconds = round(time.perf_counter() - start, 2)

    def tells(self, title: str, lines: list[str]) -> None:
        """Add a chapter."""
        self.chapters.append((title, lines))

    def explains(self, prose: str) -> None:
        """Set the explained decision."""
        self.explanation = prose

    def summary(self) -> dict[str, Any]:
        """Return the counts as one document."""
        return {
            "signals": self.published.total(),
            "accepted": self.published["accepted"],
            "rejected": self.published["rejected"],
            "deliveries": self.deliveries,
            "deferred": self.deferred,
            "cases": self.cases,
            "seconds": self.seconds,
        }

    def tell(self) -> None:
        """Print the story."""
        terminal = Console()
        out = Console(width=min(WIDTH, terminal.width) if terminal.is_terminal else WIDTH, highlight=False)
        out.print(Text("Signaalhub: overheden vertellen elkaar wat nodig is, en niet meer", style="bold"))
        for title, lines in self.chapters:
            out.print(Text(title, style="bold cyan"))
            for line in lines:
                out.print(Text(f"  {line}"))
        out.print(self._table())
        out.print(Panel(Text(_shortened(self.explanation)), title="Waarom? Een beslissing uitgelegd (hub why)", title_align="left"))
        ended = ", ".join(f"{count} {process}: {state}" for process, by in self.cases.items() for state, count in by.items())
        out.print(Text(f"Zaken: {ended}. {self.published.total()} signalen in {self.seconds:.1f} seconden, zonder server.", style="dim"))

    def _table(self) -> Table:
        """Return who got what, two recipients a line so that it all fits one screen."""
        headings = ("ontvanger", "kreeg", "wachtte", "hub")
        table = Table(box=None, pad_edge=False, padding=(0, 1))
        for heading in (*headings, *headings):
            table.add_column(heading, justify="left" if heading == "ontvanger" else "right", no_wrap=True, min_width=5)
        cells = [
            (recipient, *(str(kind.get(recipient) or "-") for kind in (self.deliveries, self.deferred, self.notices)))
            for recipient in sorted(self.deliveries.keys() | self.notices.keys())
        ]
        half = (len(cells) + 1) // 2
        for left, right in zip_longest(cells[:half], cells[half:], fillvalue=("",) * len(headings)):
            table.add_row(*left, *right)
        return table


def _shortened(prose: str) -> str:
    """Return the explanation with each line cut to one of the panel, and only its first decision."""
    head, _, rest = prose.partition("\n\n")
    first = rest.split("\n\n")[0]
    lines = [line for line in f"{head}\n{first}".split("\n") if not line.startswith("  regelset")]
    return "\n".join(line if len(line) <= WIDTH - 4 else f"{line[: WIDTH - 5]}…" for line in lines)
