"""A process as SVG: one column a state, one row a step, term, guard or alarm. Nothing is placed by chance.

Rows need no lay-out algorithm, so a small change of the rules is a small change of the drawing. Shapes,
numbers and words carry the meaning; colour carries none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.cells import cell_len

from hub.drawing import NO_CASE, STAYS, hears
from hub.prose import and_, printable, timing, wrapped

_MARGIN: Final = 20
_PITCH: Final = 32
"""Between two columns."""
_FIRST: Final = _MARGIN + _PITCH + 10
"""Where the first column stands; what has no case yet stands one to its left."""
_WORDS: Final = 520
"""What the words of a row get."""
_STAIR: Final = 24
"""From the name of a state down to the next."""
_LINE: Final = 17
_RADIUS: Final = 10
_WIDTHS: Final = {"head": 8.6, "code": 7.3, "said": 7.6, "title": 12.5}
"""The most that a character of each style takes, on average, in the fonts that are around."""


class Column(NamedTuple):
    """A state: the place and number of its column, and what it is."""

    x: int
    y: int
    number: int
    name: str
    start: bool
    final: bool


class Entry(NamedTuple):
    """A row before it has a place: what it marks, and what it says."""

    mark: str
    """`step`, `closed` or `alarm`."""
    before: Sequence[str]
    after: str | None
    lines: Sequence[tuple[str, str]]
    """Style and text."""
    starts: bool = False


class Line(NamedTuple):
    """A line of text at its place."""

    y: int
    style: str
    text: str
    tail: str = ""
    """What follows on the same line, less loud."""


class Row(NamedTuple):
    """A row at its place: shapes around the height `at`, and lines of text."""

    top: int
    at: int
    bars: tuple[tuple[int, int], ...]
    """From where, to the tip of an arrow."""
    nodes: tuple[tuple[str, Column], ...]
    """`from`, `to`, `closed` or `alarm`."""
    loops: tuple[int, ...]
    """Columns whose state stays."""
    starts: bool
    lines: tuple[Line, ...]


class Section(NamedTuple):
    """Rows of one kind, under a title and a line that says how to read them."""

    y: int
    title: str
    note: tuple[Line, ...]
    rows: tuple[Row, ...]


class Chart(NamedTuple):
    """One process, drawn."""

    id: str
    y: int
    title: tuple[Line, ...]
    summary: str
    columns: tuple[Column, ...]
    words: int
    """Where the words of the rows begin."""
    sections: tuple[Section, ...]
    width: int
    bottom: int


def as_svg(processes: Sequence[Mapping[str, Any]], *, titled: bool = True) -> str:
    """Return one drawing that needs nothing else, with the processes one below the other."""
    charts: list[Chart] = []
    for process in processes:
        charts.append(_chart(process, charts[-1].bottom + 40 if charts else 0, titled=titled))
    return (
        _templates()
        .get_template("stepchart.svg.j2")
        .render(
            charts=charts, width=max(chart.width for chart in charts), height=charts[-1].bottom + _MARGIN, margin=_MARGIN, pitch=_PITCH,
            r=_RADIUS,
        )
    )  # fmt: skip


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("hub"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


# --- places -----------------------------------------------------------------------------------


def _chart(process: Mapping[str, Any], top: int, *, titled: bool) -> Chart:
    states = process["states"]
    words = _FIRST + len(states) * _PITCH
    title = _lines(top + _MARGIN + 16, [("title", f"Proces {process['process']}")], words + _WORDS - 2 * _MARGIN) if titled else ()
    stairs = title[-1].y + 34 if title else top + _MARGIN + _RADIUS + 3
    columns = {
        state["name"]: Column(_FIRST + i * _PITCH, stairs + i * _STAIR, i + 1, state["name"], state["start"], state["final"])
        for i, state in enumerate(states)
    }
    y = stairs + len(states) * _STAIR + 8
    sections = []
    for heading, note, entries in _sections(process):
        if entries:
            section, y = _section(heading, note, entries, columns, y)
            sections.append(section)
    name_ends = max(column.x + 18 + int(cell_len(column.name) * _WIDTHS["head"]) for column in columns.values())
    width = max(words + _WORDS, name_ends + _MARGIN)
    return Chart(process["process"], top, title, _summary(process), tuple(columns.values()), words, tuple(sections), width, y)


def _section(
    heading: str, note: str, entries: Sequence[Entry], columns: Mapping[str, Column], top: int
) -> tuple[Section, int]:  # fmt: skip
    lines = _lines(top + 50, [("said", note)], _WORDS - _MARGIN)
    y = lines[-1].y + 12
    rows = []
    for entry in entries:
        row = _row(entry, columns, y)
        rows.append(row)
        y = max(row.at + _RADIUS, row.lines[-1].y) + 10
    return Section(top + 30, heading, lines, tuple(rows)), y


def _row(entry: Entry, columns: Mapping[str, Column], top: int) -> Row:
    before = [columns[name] for name in entry.before]
    after = columns[entry.after] if entry.after else None
    stays = {column.x for column in before if entry.mark == "step" and after in {None, column}}
    at = top + (_RADIUS + 18 if stays else _RADIUS + 8)
    nodes = [("from" if entry.mark == "step" else entry.mark, column) for column in before]
    bars = []
    if after is not None:
        nodes += [("to", after)] if after not in before else []
        places = [column.x for column in before] + ([_FIRST - _PITCH] if entry.starts else [])
        gap = _RADIUS + (4 if after.final else 1)
        left, right = [x for x in places if x < after.x], [x for x in places if x > after.x]
        bars = [*([(min(left), after.x - gap)] if left else []), *([(max(right), after.x + gap)] if right else [])]
    return Row(top, at, tuple(bars), tuple(nodes), tuple(sorted(stays)), entry.starts, _lines(at + 5, entry.lines, _WORDS))


def _lines(y: int, given: Sequence[tuple[str, str]], width: int) -> tuple[Line, ...]:
    """Place text below each other, broken to fit; a tail stays on the line before it if there is room."""
    lines: list[Line] = []
    for style, said in given:
        if style == "tail" and lines and len(lines[-1].text) + len(said) <= (width - _MARGIN) / _WIDTHS["head"] - 2:
            lines[-1] = lines[-1]._replace(tail=printable(said))
            continue
        shown = "said" if style == "tail" else style
        for text in wrapped(said, int((width - _MARGIN) / _WIDTHS[shown])):
            lines.append(Line(y + len(lines) * _LINE, shown, text))
    return tuple(lines)


# --- words ------------------------------------------------------------------------------------


def _sections(process: Mapping[str, Any]) -> Iterator[tuple[str, str, list[Entry]]]:
    """Yield title, how to read it, and the rows."""
    yield (
        "Stappen",
        "Zwart: de staat ervoor. Wit, met pijl: de staat erna. Een boog: de staat blijft. Passen er meer stappen, dan geldt de bovenste.",
        [_step(step) for step in process["steps"]],
    )
    yield (
        "Termijnen",
        "Een termijn loopt zolang de zaak in een zwarte staat is.",
        [_term(term) for term in process["terms"]],
    )
    person = " Andere lopende zaken over dezelfde persoon tellen mee." if process["scope"] == "subject" else ""
    yield (
        "Mag dit nu?",
        f"Vierkant: niet zolang de zaak in deze staat is.{person}",
        [
            Entry("closed", guard["closed_in"], None, [("head", guard["name"]), ("said", _said(guard))])
            for guard in process["guards"]
        ],
    )  # fmt: skip
    yield (
        "Alarmen",
        f"Ruit: gebeurt het in deze staat, dan horen anderen dat meteen.{person}",
        [
            Entry("alarm", alarm["in"], None, [("head", alarm["what"]), ("said", _said(alarm)), *_heard(alarm)])
            for alarm in process["alarms"]
        ],
    )  # fmt: skip


def _step(step: Mapping[str, Any]) -> Entry:
    lines = [("head", step["what"]), *_led(step)]
    lines += [("code", f"als {step['when']}")] if step["when"] else []
    lines += [("said", f"anders {step['unmet']['code']}")] if step["unmet"] else []
    if step["tells"]:
        lines += [("said", _said(step)), *_heard(step)]
    return Entry("step", step["from"], step["to"], lines, starts=step["kind"] == "start")


def _term(term: Mapping[str, Any]) -> Entry:
    lines = [("head", f"termijn: {timing(term['written'])}"), *_led(term), ("said", _said(term)), *_heard(term)]
    return Entry("step", term["from"], term["to"], lines)


def _led(step: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say where a step leads, as what follows its name; the drawing shows it too, far from the names of the states."""
    tail = [f"naar {step['to']}"] if step["to"] else []
    tail += ["feit: wordt nooit geweigerd"] if step["fact"] else []
    return [("tail", "; ".join(tail))] if tail else []


def _said(entry: Mapping[str, Any]) -> str:
    return f"{entry['code']}: {entry['text']}" if entry["text"] else str(entry["code"])


def _heard(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("said", f"Hoort het: {hears(entry['tells'])}")] if entry["tells"] else []


def _summary(process: Mapping[str, Any]) -> str:
    """Say in sentences what the drawing shows, for who cannot see it."""
    final = [state["name"] for state in process["states"] if state["final"]]
    start = next(state["name"] for state in process["states"] if state["start"])
    said = [f"Een zaak begint in {start} en eindigt in {and_(final)}."]
    for entry in (*process["steps"], *process["terms"]):
        what = entry.get("what") or f"termijn {entry['code']}, {timing(entry['written'])}"
        condition = f", als {entry['when']}" if entry["when"] else ""
        told = f"; {hears(entry['tells'])} hoort {entry['code']}" if entry["tells"] else ""
        said.append(f"{what}: {and_(entry['from']) or NO_CASE} naar {entry['to'] or STAYS}{condition}{told}.")
    said += [f"{guard['name']}: niet in {and_(guard['closed_in'])}, {guard['code']}." for guard in process["guards"]]
    said += [
        f"alarm {alarm['code']}: {alarm['what']} in {and_(alarm['in'])}; {hears(alarm['tells'])} hoort het." for alarm in process["alarms"]
    ]
    return printable(" ".join(said))
