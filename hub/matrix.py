"""The matrix: who receives which fields of what, for which purpose, on which ground.

One row a grant, made from the rule set that the hub decides with, as data, as text and as a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hub.domain.contract import split_null
from hub.domain.grants import ADDRESSEE, PUBLISHER
from hub.domain.registers import HUB
from hub.domain.view import UITGEVER

if TYPE_CHECKING:
    from hub.domain.contract import Contract
    from hub.domain.rulefiles import Agreement, Ground
    from hub.domain.ruleset import Grant, QuotaRule, RuleSet

SETTLED: Final = "vastgesteld"
OPEN: Final = "te-toetsen"

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
_UNITS: Final = {"Y": ("jaar", "jaar"), "M": ("maand", "maanden"), "W": ("week", "weken"), "D": ("dag", "dagen")}
_DURATION: Final = re.compile(r"P((\d+)[YMWD])+").fullmatch
_MONTHS: Final = (
    "januari", "februari", "maart", "april", "mei", "juni",
    "juli", "augustus", "september", "oktober", "november", "december",
)  # fmt: skip
_NARROWEST: Final = 40
"""Narrower than this no table can be read."""


# --- the rows ---------------------------------------------------------------------------------


def rows(ruleset: RuleSet) -> list[dict[str, Any]]:
    """Return one JSON-able dict a grant, by flow in the order of the files; the hub's own come last."""
    return [_row(ruleset, grant) for grant in sorted(ruleset.grants.values(), key=_place)]


def _place(grant: Grant) -> tuple[bool, str, str, int]:
    file, _, line = grant.where.rpartition(":")
    return grant.flow == HUB, grant.flow, file, int(line)


def _row(ruleset: RuleSet, grant: Grant) -> dict[str, Any]:
    contract = ruleset.types[grant.signal].contract
    fields = _fields(grant, contract)
    shown = {field["from"] for field in fields}
    return {
        "flow": grant.flow,
        "grant": grant.id,
        "signal": grant.signal,
        "signal_doc": str(contract.raw.get("doc", "")),
        "publishers": list(contract.publishers),
        "recipient": grant.to,
        "recipient_name": _recipient_name(ruleset, grant.to),
        "government_only_if": contract.secrecy,
        "purpose": grant.purpose,
        "activity": grant.activity,
        "fields": fields,
        "not_shown": [name for name in contract.leaves if name not in shown],
        "legal_basis": [_ground(ground) for ground in grant.grounds],
        "status": SETTLED if grant.settled else OPEN,
        "agreements": [_agreement(agreement) for agreement in grant.agreements],
        "valid": {"from": _iso(grant.valid_from), "until": _iso(grant.valid_until)},
        "when": grant.when.text if grant.when else None,
        "requires": [{"code": r.code, "condition": r.condition.text, "text": r.text} for r in grant.requires],
        "quota": _quota(grant.quota) if grant.quota else None,
        "retention": grant.retention,
        "explain": grant.explain,
        "privacy_decision": grant.privacy_decision,
        "sanction_basis": _ground(ruleset.grounds[grant.sanction_basis]) if grant.sanction_basis else None,
        "where": grant.where,
    }


def _fields(grant: Grant, contract: Contract) -> list[dict[str, Any]]:
    docs = _docs(contract.raw)
    fields: list[dict[str, Any]] = [
        {
            "name": item.shown_as,
            "from": item.leaf.dotted,
            "transform": item.text.partition(":")[2].strip() if item.transform else None,
            "privacy": item.leaf.privacy,
            "doc": docs[item.leaf.dotted],
        }
        for item in grant.view.grants
    ]
    if grant.view.shows_publisher:  # no leaf of the contract: the hub adds it from the envelope
        added = grant.view.schema["fields"][-1]
        fields.append({"name": UITGEVER, "from": UITGEVER, "transform": None, "privacy": added["privacy"], "doc": added["doc"]})
    return fields


def _docs(record: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what each leaf means, by its dotted name."""
    found: dict[str, str] = {}
    for field in record["fields"]:
        here = (*path, field["name"])
        avro = split_null(field["type"])[0]
        if isinstance(avro, dict) and avro["type"] == "array":
            avro = split_null(avro["items"])[0]
        if isinstance(avro, dict) and avro["type"] == "record":
            found |= _docs(avro, here)
        else:
            found[".".join(here)] = str(field.get("doc", ""))
    return found


def _recipient_name(ruleset: RuleSet, to: str) -> str:
    """Say in Dutch who `to` is."""
    if to == PUBLISHER:
        return "de afzender van het signaal waarop dit een antwoord is"
    if to == ADDRESSEE:
        return "de deelnemer die het aangaat"
    participants = ruleset.participants
    local = participants.role_is_local(to)
    names = [e.name for e in participants.entries if (e.role or e.id) == to and (e.per_municipality is not None) == local]
    return f"{names[0]} van de gemeente waar het signaal bij hoort" if local else names[0]


def _ground(ground: Ground) -> dict[str, str]:
    return {"id": ground.id, "text": ground.text, "status": ground.status, "source": ground.source}


def _agreement(agreement: Agreement) -> dict[str, Any]:
    municipalities = agreement.municipalities
    return {
        "id": agreement.id,
        "name": agreement.name,
        "parties": list(agreement.parties),
        "municipalities": municipalities if municipalities == "all" else list(municipalities),
        "from": _iso(agreement.from_),
        "until": _iso(agreement.until),
        "limit": agreement.limit,
    }


def _quota(rule: QuotaRule) -> dict[str, Any]:
    entry = rule.entry
    return {"name": entry.name, "limit": entry.limit, "per": entry.per, "key": list(entry.key), "exempt": entry.exempt}


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


# --- Dutch words ------------------------------------------------------------------------------


def _and(words: Sequence[str]) -> str:
    return " en ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


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
        return WAYS[name].format(_and(kept), code) if kept else f"altijd als {code}"
    return WAYS[name].format(_and(values))


def _day(iso: str) -> str:
    day = date.fromisoformat(iso)
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _span(valid: Mapping[str, str | None]) -> str:
    """Say from when until when, both days included."""
    parts = [f"{word} {_day(day)}" for word, day in (("vanaf", valid["from"]), ("tot en met", valid["until"])) if day]
    return " ".join(parts) or "geen begin- of einddatum"


def _duration(iso: str) -> str:
    """Say how long `P6M` is; what is rarer stays ISO 8601."""
    if not _DURATION(iso):
        return iso
    return _and([f"{number} {_UNITS[unit][number != '1']}" for number, unit in re.findall(r"(\d+)([YMWD])", iso)])


def _places(agreement: Mapping[str, Any]) -> str:
    codes = agreement["municipalities"]
    return "alle gemeenten" if codes == "all" else f"gemeente {_and(codes)}"


def _cap(agreement: Mapping[str, Any]) -> str:
    limit = agreement["limit"]
    return "geen grens" if limit is None else f"grens {limit}"


def _quota_words(quota: Mapping[str, Any]) -> str:
    """Say what the cap is and what happens above it."""
    limit = quota["limit"]
    if limit is None:
        return "Er is geen grens; de hub telt alleen."
    counted = f"geteld per {_and([_KEYS[key] for key in quota['key']])}" if quota["key"] else "alles bij elkaar geteld"
    from_agreement = limit == "cfg.agreement.limit"
    number = "het aantal dat de afspraak noemt" if from_agreement else limit if isinstance(limit, int) else f"de uitkomst van {limit}"
    none = "Noemt de afspraak geen aantal, dan is er geen grens. " if from_agreement else ""
    return (
        f"Ten hoogste {number} per {_PERIODS[quota['per']]}, {counted}. {none}"
        f"Wat erboven komt, wacht op de volgende periode. Alle regels met de grens {quota['name']} tellen samen."
    )


def _roles(names: Iterable[str]) -> str:
    return _and([{"*": "elke deelnemer", HUB: "de hub zelf"}.get(name, name) for name in names])


def _status(status: str) -> str:
    return status.replace("-", " ")


def _distinct(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


# --- by flow and signal -----------------------------------------------------------------------


def _by_flow(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Group the rows by flow, then by signal, in the order in which they first come."""
    flows: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        flows.setdefault(row["flow"], {}).setdefault(row["signal"], []).append(row)
    return [
        {
            "name": flow,
            "purposes": _distinct(row["purpose"] for grants in signals.values() for row in grants),
            "activities": _distinct(row["activity"] for grants in signals.values() for row in grants),
            "signals": [{"type": signal, "grants": grants, **_missing(grants)} for signal, grants in signals.items()],
        }
        for flow, signals in flows.items()
    ]


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
    """Return one line for each signal and recipient, with the grants between them."""
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        pair = pairs.setdefault((row["signal"], row["recipient"]), {**row, "grants": []})
        pair["grants"].append(row)
    return list(pairs.values())


# --- as text ----------------------------------------------------------------------------------


def as_text(rows: Sequence[Mapping[str, Any]], width: int = 100) -> str:
    """Return the matrix for a terminal or a pipe: Dutch, grouped by flow and signal, without colour codes."""
    out = StringIO()
    console = Console(
        file=out, width=max(width, _NARROWEST), color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False
    )
    console.print(_text("WIE KRIJGT WAT"), _text(_intro(rows)), sep="\n")
    console.print()
    console.print(_summary_table(rows))
    for flow in _by_flow(rows):
        console.print()
        console.print(_text(f"FLOW {flow['name'].upper()}"))
        console.print(_grid([*(("Doel", text) for text in flow["purposes"]), *(("Register", text) for text in flow["activities"])]))
        for signal in flow["signals"]:
            first = signal["grants"][0]
            console.print()
            console.print(_text(signal["type"]))
            console.print(Padding(_grid([("Van", _roles(first["publishers"])), *_secrecy(first)]), (0, 0, 0, 2)))
            for row in signal["grants"]:
                console.print()
                console.print(Padding(_text(f"{row['grant']} -> {row['recipient']} ({_status(row['status'])})"), (0, 0, 0, 2)))
                console.print(Padding(_grid(_facts(row, says_purpose=len(flow["purposes"]) > 1)), (0, 0, 0, 4)))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _intro(rows: Sequence[Mapping[str, Any]]) -> str:
    waiting = sum(row["status"] == OPEN for row in rows)
    return (
        f"{len(rows)} regels, waarvan {waiting} met een grondslag die nog te toetsen is: die werken alleen tussen testdeelnemers. "
        "Wat hier niet staat, gebeurt niet: zonder regel levert de hub niets."
    )


def _summary_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for heading in ("Signaal", "Ontvanger", "Regel", "Status"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(_text(row[key]) for key in ("signal", "recipient", "grant")), _text(_status(row["status"])))
    return table


def _facts(row: Mapping[str, Any], *, says_purpose: bool) -> list[tuple[str, str]]:
    """Return label and text for everything that a grant says; the purpose if the flow has several."""
    facts = [("Ontvanger", row["recipient_name"]), ("Uitleg", row["explain"])]
    facts += [("Doel", row["purpose"])] if says_purpose else []
    for name, (word, _) in CLASSES.items():
        shown = [_shown(field) for field in row["fields"] if field["privacy"] == name]
        facts += [("Ziet", f"{word}: {', '.join(shown)}")] if shown else []
    hidden = [*row["not_shown"], *(f"de precieze waarde van {name}" for name in _inexact([row]))]
    facts.append(("Ziet niet", ", ".join(hidden) or "(de ontvanger ziet alle velden)"))
    facts += [("Grondslag", f"[{_status(g['status'])}] {g['text']}") for g in row["legal_basis"]]
    if basis := row["sanction_basis"]:
        facts.append(("AVG art. 10", f"[{_status(basis['status'])}] {basis['text']}"))
    if row["privacy_decision"]:
        facts.append(("Privacybesluit", row["privacy_decision"]))
    facts += [("Afspraken", f"{a['name']}: {_places(a)}, {_span(a)}, {_cap(a)}") for a in row["agreements"]]
    if row["when"]:
        facts.append(("Alleen als", row["when"]))
    facts += [("Voorwaarden", f"{r['text']}\n{r['code']}: {r['condition']}") for r in row["requires"]]
    if quota := row["quota"]:
        facts.append(("Grens", _quota_words(quota)))
        facts += [("", f"Telt niet mee en wacht nooit als: {quota['exempt']}")] if quota["exempt"] else []
    return [*facts, ("Geldig", _span(row["valid"])), ("Bewaren", _duration(row["retention"])), ("Staat in", row["where"])]


def _secrecy(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    field = row["government_only_if"]
    return [("Geheim", f"Is `{field}` waar, dan krijgen alleen overheden dit signaal.")] if field else []


def _shown(field: Mapping[str, Any]) -> str:
    return f"{field['name']} ({_way(field['transform'])})" if field["transform"] else str(field["name"])


def _grid(facts: Sequence[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=14)
    grid.add_column(overflow="fold")
    before = None
    for label, text in facts:
        grid.add_row(_text("" if label == before else label), _text(text))
        before = label
    return grid


def _text(text: str) -> Text:
    """Return text without markup; a control code in a rule file must not reach the terminal."""
    return Text("".join(char if char.isprintable() or char == "\n" else " " for char in text))


# --- as a page --------------------------------------------------------------------------------


def as_html(rows: Sequence[Mapping[str, Any]], version: str) -> str:
    """Return the matrix as one page that needs nothing else, for who must judge the rules."""
    return _templates().get_template("matrix.html.j2").render(
        flows=_by_flow(rows), summary=_summary(rows), rows=rows, version=version, classes=CLASSES, open=OPEN
    )  # fmt: skip


@cache
def _templates() -> Environment:
    environment = Environment(loader=PackageLoader("hub"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "cap": _cap, "day": _day, "duration": _duration, "en": _and, "inexact": lambda row: _inexact([row]), "places": _places,
        "quota": _quota_words, "roles": _roles, "span": _span, "status": _status, "way": _way,
    }  # fmt: skip
    return environment
