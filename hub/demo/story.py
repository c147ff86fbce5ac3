"""What the demonstration tells, as a document and on a terminal of 100 columns."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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
            "cases": {},
            "seconds": self.seconds,
        }

    def tell(self) -> None:
        """Print the story."""
        terminal = Console()
        out = Console(width=min(WIDTH, terminal.width) if terminal.is_terminal else WIDTH, highlight=False)
        out.print(Text("Signaalhub: overheden vertellen elkaar wat nodig is, en niet meer", style="bold"))
        for title, lines in self.chapters:
            out.print()
            out.print(Text(title, style="bold cyan"))
            for line in lines:
                out.print(Text(f"  {line}"))
        out.print()
        out.print(self._table())
        out.print(Panel(Text(self.explanation), title="Waarom? Een beslissing uitgelegd (hub why)", title_align="left"))
        out.print(Text(f"{self.published.total()} signalen in {self.seconds:.1f} seconden, zonder server.", style="dim"))

    def _table(self) -> Table:
        table = Table("ontvanger", title="Wie kreeg wat", title_justify="left")
        for heading in ("signalen", "ooit in de wachtrij", "berichten van de hub"):
            table.add_column(heading, justify="right")
        for recipient in sorted(self.deliveries.keys() | self.notices.keys()):
            counts = (self.deliveries, self.deferred, self.notices)
            table.add_row(recipient, *(str(kind.get(recipient) or "-") for kind in counts))
        return table
