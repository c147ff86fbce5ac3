"""`make bench`: measures side by side in one run and writes docs/benchmarks.md.

Figures are shares of a floor measured in the same minutes, because absolute ones say more about the machine than about the
hub. Nothing here asserts a time. `python -m tests.bench PART...` measures parts anew and leaves the others as they are.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from hub.telemetry import configure
from tests.bench import cluster, embedded, partnerfile

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "benchmarks.md"


class Part(NamedTuple):
    """Something to measure, and how to write it down."""

    title: str
    measured: Callable[[], Any]
    section: Callable[[Any], str]


PARTS: Final = {
    "embedded": Part("One process on SQLite", embedded.measured, embedded.section),
    "partners": Part("A partner's file", partnerfile.partner_files, partnerfile.section),
    "cluster": Part("Processes on Kafka and PostgreSQL", cluster.measured, cluster.section),
}
HEAD: Final = """# Benchmarks

Written by `make bench`; do not edit. Each part says when and on what it was measured.
"""


def machine() -> str:
    """Return what this is measured on."""
    cores, gib = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cores} cores, {gib:.0f} GiB, {platform.system()} {platform.machine()}"


def known() -> dict[str, str]:
    """Return the sections that are written already."""
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    return dict(re.findall(r"<!-- (\w+) -->\n(.*?)<!-- end -->", text, flags=re.DOTALL))


def main(wanted: list[str]) -> None:
    """Measure, and write each part down as soon as it is measured."""
    if unknown := set(wanted) - PARTS.keys():
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    configure("critical")
    for name in wanted or PARTS:
        part = PARTS[name]
        body = part.section(part.measured())
        sections = known() | {name: f"## {part.title}\n\nMeasured {datetime.now(UTC).date().isoformat()} on {machine()}.\n{body}"}
        text = "\n".join(f"<!-- {each} -->\n{sections[each]}<!-- end -->\n" for each in PARTS if each in sections)
        DOCUMENT.write_text(f"{HEAD}\n{text}", encoding="utf-8")
        print(body, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
