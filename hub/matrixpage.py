"""The matrix for people: as text and as a page, in Dutch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table

from hub import drawing
from hub.domain.registers import HUB
from hub.matrix import OPEN, SETTLED, WHO
from hub.prose import and_, duration, grid, printed, text
from hub.stepchart import as_svg

CLASSES: Final = {
    "identifier": ("identificerend", "wijst een persoon aan: BSN, naam, geboortedatum, contact"),
    "address": ("adres", "een huisadres, of een nummer van een adres"),
    "financial": ("financieel", "gaat over geld van een persoon"),
    "sensitive": ("gevoelig", "een neutrale code die toch iets kan verraden over gezondheid of nood"),
    "sanction": ("straf of verdenking", "CJIB of een verdenking; behandeld als AVG art. 10"),
    "code": ("code", "een neutrale code, datum of getal over een persoon"),
    "organisation": ("organisatie", "zegt niets over een persoon"),
}
"""The privacy classes in Dutch, what weighs most first: a word, and what it means."""

WAYS: Final = {
    "pseudoniem": "als pseudoniem, voor elke ontvanger en flow anders",
    "jaar": "alleen het jaar",
    "maand": "alleen jaar en maand",
    "leeftijdsklasse": "alleen de leeftijdsklasse",
    "pc4": "alleen de vier cijfers van de postcode",
    "aanwezig": "alleen of het is ingevuld",
    "klasse": "alleen de klasse, met als grenzen {}",
    "waarden": "alleen {}; al het andere als {}",
}
"""How each transform shows less of a field."""

_PERIODS: Final = {"day": "dag", "month": "kalendermaand", "year": "kalenderjaar"}
_KEYS: Final = {"agreement": "afspraak", "recipient": "ontvanger", "publisher": "afzender", "municipality": "gemeente"}
_MONTHS: Final = (
    "januari", "februari", "maart", "april", "mei", "juni",
    "juli", "augustus", "september", "oktober", "november", "december",
)  # fmt: skip


# --- Dutch words ------------------------------------------------------------------------------


def _way(transform: str | None) -> str:
    """Say how a field is shown."""
    if transform is None:
        return "zoals gestuurd"
    name, _, args = transform.removesuffix(")").partition("(")
    values = [value.strip() for value in args.split(";")]
    if name == "waarden":
        other = next(value for value in values if value.startswith("anders:"))
        kept = [value for value in values if value != other]
        code = other.removeprefix("anders:")
        return WAYS[name].format(and_(kept), code) if kept else f"altijd als {code}"
    return WAYS[name].format(and_(values))


def _day(iso: str) -> str:
    day = date.fromisoformat(iso)
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _span(valid: Mapping[str, str | None]) -> str:
    """Say from when until when, both days included."""
    parts = [f"{word} {_day(day)}" for word, day in (("vanaf", valid["from"]), ("tot en met", valid["until"])) if day]
    return " ".join(parts) or "geen begin- of einddatum"


def _places(agreement: Mapping[str, Any]) -> str:
    codes = agreement["municipalities"]
    return "alle gemeenten" if codes == "all" else f"gemeente {and_(codes)}"


def _cap(agreement: Mapping[str, Any]) -> str:
    limit = agreement["limit"]
    return "geen grens" if limit is None else f"grens {limit}"


def _quota_words(quota: Mapping[str, Any]) -> str:
    """Say what the cap is and what happens above it."""
    limit = quota["limit"]
    if limit is None:
        return "Er is geen grens; de hub telt alleen."
    counted = f"geteld per {and_([_KEYS[key] for key in quota['key']])}" if quota["key"] else "alles bij elkaar geteld"
    from_agreement = limit == "cfg.agreement.limit"
    number = "het aantal dat de afspraak noemt" if from_agreement else limit if isinstance(limit, int) else f"de uitkomst van {limit}"
    none = "Noemt de afspraak geen aantal, dan is er geen grens. " if from_agreement else ""
    return (
        f"Ten hoogste {number} per {_PERIODS[quota['per']]}, {counted}. {none}"
        f"Wat erboven komt, wacht op de volgende periode. Alle regels met de grens {quota['name']} tellen samen."
    )


def _roles(names: Iterable[str]) -> str:
    return and_([{"*": "elke deelnemer", HUB: "de hub zelf"}.get(name, name) for name in names])


def _status(status: str) -> str:
    return status.replace("-", " ")


def _distinct(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


# --- by flow and signal -----------------------------------------------------------------------


def _by_flow(rows: Sequence[Mapping[str, Any]], processes: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """Group the rows by flow, then by signal, in the order in which they first come; reminders stand apart."""
    flows: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        flows.setdefault(row["flow"], []).append(row)
    for process in processes:
        flows.setdefault(process["flow"], [])
    return [
        {
            "name": flow,
            "purposes": _distinct(row["purpose"] for row in found),
            "activities": _distinct(row["activity"] for row in found),
            "signals": _by_signal(row for row in found if not row["reminder"]),
            "reminders": _reminders([row for row in found if row["reminder"]]),
            "processes": [process for process in processes if process["flow"] == flow],
        }
        for flow, found in flows.items()
    ]


def _by_signal(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    signals: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        signals.setdefault(row["signal"], []).append(row)
    return [{"type": signal, "grants": grants, **_missing(grants)} for signal, grants in signals.items()]


def _reminders(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the reminders of a flow: what they have in common once, and what each says to whom on which ground."""
    if not rows:
        return None
    told: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        told.setdefault((row["reminder"]["process"], row["reminder"]["code"]), []).append(row)
    grounds = {ground["id"]: ground for row in rows for ground in row["legal_basis"]}
    return {
        "rows": rows,
        "first": rows[0],
        "recipients": _distinct(row["recipient_name"] for row in rows),
        "status": _worst(rows),
        "grounds": list(grounds.values()),
        "told": [{"code": code, "first": some[0], "rows": some, "by_ground": _by_ground(some)} for (_, code), some in told.items()],
    }


def _by_ground(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return who is told on which grounds: often all on the same."""
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(ground["id"] for ground in row["legal_basis"]), []).append(row)
    return [{"grounds": grounds, "status": _worst(some), "rows": some} for grounds, some in found.items()]


def _worst(rows: Sequence[Mapping[str, Any]]) -> str:
    return OPEN if any(row["status"] == OPEN for row in rows) else SETTLED


def _missing(grants: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return who gets something of a signal, and what nobody, not everybody or nobody exactly gets."""
    hidden = _distinct(name for row in grants for name in row["not_shown"])
    without = {name: [row["grant"] for row in grants if name in row["not_shown"]] for name in hidden}
    return {
        "recipients": _distinct(row["recipient_name"] for row in grants),
        "nobody": [name for name in hidden if len(without[name]) == len(grants)],
        "some": {name: lacking for name, lacking in without.items() if len(lacking) < len(grants)},
        "inexact": _inexact(grants),
    }


def _inexact(grants: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the fields of which some grant shows something, and none the value itself."""
    fields = [field for row in grants for field in row["fields"]]
    exact = {field["from"] for field in fields if field["transform"] is None}
    return _distinct(field["from"] for field in fields if field["from"] not in exact)


def _summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one line for each signal and recipient, with the grants between them; reminders stand with their flow."""
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (row for row in rows if not row["reminder"]):
        pair = pairs.setdefault((row["signal"], row["recipient"]), {**row, "grants": []})
        pair["grants"].append(row)
    return list(pairs.values())


# --- as text ----------------------------------------------------------------------------------


def as_text(rows: Sequence[Mapping[str, Any]], width: int = 100) -> str:
    """Return the matrix for a terminal or a pipe: Dutch, grouped by flow and signal, without colour codes."""
    flows = _by_flow(rows)
    parts: list[RenderableType] = [text("WIE KRIJGT WAT"), text(_intro(rows)), "", *_short(rows, flows, width)]
    for flow in flows:
        about = [*(("Doel", said) for said in flow["purposes"]), *(("Register", said) for said in flow["activities"])]
        parts += ["", text(f"FLOW {flow['name'].upper()}"), grid(about)]
        for signal in flow["signals"]:
            first = signal["grants"][0]
            parts += ["", text(signal["type"]), Padding(grid([("Van", _roles(first["publishers"])), *_secrecy(first)]), (0, 0, 0, 2))]
            for row in signal["grants"]:
                head = f"{row['grant']} -> {row['recipient']} ({_status(row['status'])})"
                parts += ["", *_block(head, _facts(row, says_purpose=len(flow["purposes"]) > 1))]
        if flow["reminders"]:
            parts += _reminder_parts(flow["reminders"])
    return printed(parts, width)


def _block(head: str, facts: Sequence[tuple[str, str]]) -> list[RenderableType]:
    return [Padding(text(head), (0, 0, 0, 2)), Padding(grid(facts), (0, 0, 0, 4))]


def _reminder_parts(reminders: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield the reminders of a flow: once what they have in common, then code, recipients, sentence and ground of each."""
    first = reminders["first"]
    yield from ("", text("Herinneringen"))
    facts = [("Van", _roles(first["publishers"])), ("Signaal", first["signal"]), *_seen(first), ("Bewaren", duration(first["retention"]))]
    facts += [("Grondslag", f"{ground['id']} [{_status(ground['status'])}] {ground['text']}") for ground in reminders["grounds"]]
    yield Padding(grid(facts), (0, 0, 0, 2))
    for told in reminders["told"]:
        recipients = ", ".join(row["recipient"] for row in told["rows"])
        grounds = [(", ".join(row["recipient"] for row in some["rows"]), ", ".join(some["grounds"])) for some in told["by_ground"]]
        facts = [("Uitleg", told["first"]["explain"])]
        facts += [("Grondslag", names if len(grounds) == 1 else f"{whom}: {names}") for whom, names in grounds]
        facts.append(("Staat in", told["first"]["where"]))
        yield from ("", *_block(f"{told['code']} -> {recipients} ({_status(_worst(told['rows']))})", facts))


def _intro(rows: Sequence[Mapping[str, Any]]) -> str:
    waiting = sum(row["status"] == OPEN for row in rows)
    return (
        f"{len(rows)} regels, waarvan {waiting} met een grondslag die nog te toetsen is: die werken alleen tussen testdeelnemers. "
        "Wat hier niet staat, gebeurt niet: zonder regel levert de hub niets."
    )


def _short(rows: Sequence[Mapping[str, Any]], flows: Sequence[Mapping[str, Any]], width: int) -> Iterator[RenderableType]:
    """Yield per signal who gets it by which rule."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for row in (row for row in rows if not row["reminder"]):
        found.setdefault(row["signal"], []).append((row["recipient"], row["grant"], row["status"]))
    for flow in (flow for flow in flows if flow["reminders"]):
        told = flow["reminders"]
        recipients = ", ".join(_distinct(row["recipient"] for row in told["rows"]))
        said = f"{flow['name']}: {len(told['rows'])} herinneringen"
        found.setdefault(told["first"]["signal"], []).append((recipients, said, told["status"]))
    for signal, lines in found.items():
        table = Table.grid(padding=(0, 2, 0, 0))
        for share in (width * 3 // 10, width - width * 3 // 10 - 18, 10):
            table.add_column(width=share, overflow="fold")
        for recipient, grant, status in lines:
            table.add_row(text(recipient), text(grant), text(_status(status)))
        yield from (text(signal), Padding(table, (0, 0, 0, 2)))


def _facts(row: Mapping[str, Any], *, says_purpose: bool) -> list[tuple[str, str]]:
    """Return label and text for everything that a grant says; the purpose if the flow has several."""
    facts = [("Ontvanger", row["recipient_name"]), ("Uitleg", row["explain"])]
    facts += [("Doel", row["purpose"])] if says_purpose else []
    facts += _seen(row)
    hidden = [*row["not_shown"], *(f"de precieze waarde van {name}" for name in _inexact([row]))]
    facts.append(("Ziet niet", ", ".join(hidden) or "(de ontvanger ziet alle velden)"))
    facts += [("Grondslag", f"[{_status(g['status'])}] {g['text']}") for g in row["legal_basis"]]
    if basis := row["sanction_basis"]:
        facts.append(("AVG art. 10", f"[{_status(basis['status'])}] {basis['text']}"))
    if row["privacy_decision"]:
        facts.append(("Privacybesluit", row["privacy_decision"]))
    facts += [("Afspraken", f"{a['name']}: {_places(a)}, {_span(a)}, {_cap(a)}") for a in row["agreements"]]
    facts += [("Alleen als", said) for said in (row["when"], _follows(row)) if said]
    facts += [("Pas als", f"de ontvanger in deze keten {row['release_on']} stuurt; tot dan wacht het")] if row["release_on"] else []
    facts += [("Voorwaarden", f"{r['text']}\n{r['code']}: {r['condition']}") for r in row["requires"]]
    if quota := row["quota"]:
        facts.append(("Grens", _quota_words(quota)))
        facts += [("", f"Telt niet mee en wacht nooit als: {quota['exempt']}")] if quota["exempt"] else []
    return [*facts, ("Geldig", _span(row["valid"])), ("Bewaren", duration(row["retention"])), ("Staat in", row["where"])]


def _follows(row: Mapping[str, Any]) -> str | None:
    return f"de ontvanger in deze keten {row['follows']} kreeg" if row["follows"] else None


def _seen(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the recipient sees, by what weighs most."""
    found = {word: [_shown(field) for field in row["fields"] if field["privacy"] == name] for name, (word, _) in CLASSES.items()}
    return [("Ziet", f"{word}: {', '.join(shown)}") for word, shown in found.items() if shown]


def _secrecy(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    field = row["government_only_if"]
    return [("Geheim", f"Is `{field}` waar, dan krijgen alleen overheden dit signaal.")] if field else []


def _shown(field: Mapping[str, Any]) -> str:
    return f"{field['name']} ({_way(field['transform'])})" if field["transform"] else str(field["name"])


# --- as a page --------------------------------------------------------------------------------


def as_html(rows: Sequence[Mapping[str, Any]], version: str, processes: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the matrix as one page that needs nothing else, for who must judge the rules; each process is drawn in its flow."""
    return _templates().get_template("matrix.html.j2").render(
        flows=_by_flow(rows, processes), summary=_summary(rows), rows=rows, version=version, classes=CLASSES, open=OPEN
    )  # fmt: skip


@cache
def _templates() -> Environment:
    environment = Environment(loader=PackageLoader("hub"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "cap": _cap, "day": _day, "drawn": lambda process: as_svg([process], titled=False), "duration": duration, "en": and_,
        "inexact": lambda row: _inexact([row]), "places": _places, "quota": _quota_words, "roles": _roles, "span": _span,
        "status": _status, "told": lambda process: drawing.as_text([process]), "way": _way,
        "who": lambda role: WHO.get(role, role),
    }  # fmt: skip
    return environment
