"""The town in which the scenarios play: everybody in it, what each received since the last step, and what nobody may see.

A scenario works the command line only, as its parties would: `World.publish` and `World.refused` are
`hub publish`, `World.at` lets the clock stand elsewhere, and `World.arrived` is `hub run --once` and then
`hub deliveries` for every participant in sight, compared as a whole: whoever is not named got nothing.

On the way each delivery is searched. A value that `hide` names may stand in the data of those who may see
it, and nowhere else: not in a header, not in what a command prints. A word that `blind` names may stand
nowhere in what that participant receives. An id outside the data that two participants have in common is
a fault: with it they could lay their deliveries side by side.

What takes longer than all else together is done once: reading the rule set from its files and building the
parser of the command line for all commands, opening the home for the look at everyone's deliveries.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from pprint import pformat
from typing import Any, Final, TypeAlias

import pytest
import typer
import yaml

from hub import app, cli, rulebook
from hub.cli.common import Context, parse_now
from hub.domain.loading import Loaded, load
from hub.settings import HubSettings
from tests.integration.support import ROOT, Cli, Ran

TILBURG, UTRECHT, EINDHOVEN, ZAANSTAD = "0855", "0344", "0772", "0479"

# --- signal types ---
ADDRESS = "nl.brp.spookbewoning-gesignaleerd.v1"
INVESTIGATED = "nl.brp.adresonderzoek-afgerond.v1"
PROCESSED = "nl.awir.adressignaal-verwerkt.v1"
ANNOUNCED = "nl.participatiewet.maatregel-voorgenomen.v1"
PICKED_UP = "nl.participatiewet.melding-opgepakt.v1"
REACTED = "nl.participatiewet.reactie-gegeven.v1"
VISITED = "nl.participatiewet.huisbezoek-resultaat.v1"
KNOWN_BEFORE = "nl.participatiewet.melding-bekend.v1"
ASKED = "nl.participatiewet.pauze-gevraagd.v1"
SET = "nl.participatiewet.pauze-ingesteld.v1"
PROLONGED = "nl.participatiewet.pauze-verlengd.v1"
LIFTED = "nl.participatiewet.pauze-afgewezen.v1"
CONCLUDED = "nl.participatiewet.pauze-afgerond.v1"
DONE = "nl.participatiewet.maatregel-uitgevoerd.v1"
QUESTION = "nl.sociaal-domein.overleg-vraag.v1"
ADVICE = "nl.sociaal-domein.overleg-antwoord.v1"
REQUEST = "nl.wahv.pauze-verzocht.v1"
DECISION = "nl.wahv.pauze-besluit.v1"
INTENT = "nl.wahv.maatregel-voorgenomen.v1"
TASK_DONE = "nl.wahv.taak-volbracht.v1"
CAPACITY = "nl.wahv.betaalcapaciteit-vastgesteld.v1"
ARREARS = "nl.wgs.achterstand-gesignaleerd.v1"
OFFERED = "nl.wgs.hulpaanbod-resultaat.v1"
WITHDRAWN = "nl.signaalhub.signaal-ingetrokken.v1"
CONFIRMED = "nl.signaalhub.ontvangst-bevestigd.v1"
REMINDER = "nl.signaalhub.herinnering.v1"
REFUSED = "nl.signaalhub.signaal-geweigerd.v1"
DEFERRED = "nl.signaalhub.signaal-uitgesteld.v1"
EXPIRED = "nl.signaalhub.signaal-verlopen.v1"

Message: TypeAlias = "tuple[str, str, dict[str, Any]]"
"""What arrives, as a scenario tells it: type, grant, data."""
Expected: TypeAlias = "Mapping[str, Message | list[Message]]"
_NOTICES: Final = frozenset({REFUSED, DEFERRED, EXPIRED})
_LINKS: Final = ("delivery_id", "subject", "correlation", "cause", "replaces")
_loaded: dict[tuple[tuple[str, str], ...], Loaded] = {}


@dataclass(frozen=True, slots=True)
class Sent:
    """A signal that was accepted, as its publisher knows it."""

    by: str
    signal_id: str
    correlation: str | None


@dataclass(slots=True)
class World:
    """One home with the rules of the repository, in one municipality and with another one beside it."""

    cli: Cli
    patch: pytest.MonkeyPatch
    municipality: str
    other: str
    everyone: tuple[str, ...] = ()
    seen: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Every delivery so far, by recipient."""
    hidden: dict[str, frozenset[str]] = field(default_factory=dict)
    blinded: dict[str, list[str]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """Whose each id outside the data is."""
    due: dict[str, list[Message]] = field(default_factory=dict)
    """What publishers will hear of their refused signals when `arrived` is next asked."""

    def at(self, moment: str) -> None:
        """Let the clock stand at a moment in Dutch time. Nothing runs until something is asked."""
        self.cli.now = moment

    def of(self, role: str) -> str:
        """Return a role of the municipality: `buurtteam` is `buurtteam.0344` in Utrecht."""
        return f"{role}.{self.municipality}"

    # --- what nobody may see --------------------------------------------------------------

    def hide(self, value: str, *seers: str) -> None:
        """Let a value be seen in the data of these participants only."""
        self.hidden[value.lower()] = frozenset(seers)

    def blind(self, participant: str, *words: str) -> None:
        """Let these words appear nowhere in what a participant receives."""
        self.blinded.setdefault(participant, []).extend(word.lower() for word in words)

    # --- the command line -----------------------------------------------------------------

    def run(self, *arguments: str, stdin: bytes = b"", code: int = 0) -> Ran:
        """Run a command that ends with this code and says nothing that is hidden."""
        ran = self.cli(*arguments, stdin=stdin)
        assert ran.code == code, ran.said
        assert ran.err == ""
        leaked = [value for value in self.hidden if value in ran.said.lower()]
        assert not leaked, f"`hub {arguments[0]}` prints what is hidden: {leaked}"
        return ran

    def publish(self, by: str, type_: str, data: Any, **links: str) -> Sent:
        """Publish one signal that must be accepted. Links: cause, correlation, replaces, id, time."""
        [result] = self._publish(by, type_, data, links, code=0)
        assert result["status"] == "accepted", result
        assert result["errors"] == []
        return self._sent(by, result)

    def publish_all(self, by: str, type_: str, data: list[Any]) -> list[Sent]:
        """Publish several in one go; each must be accepted."""
        results = self._publish(by, type_, data, {}, code=0)
        assert {result["status"] for result in results} == {"accepted"}
        return [self._sent(by, result) for result in results]

    def refused(self, by: str, type_: str, data: Any, *codes: str, **links: str) -> None:
        """Publish one signal that must be refused with these codes; the next `arrived` finds that its publisher alone was told."""
        [result] = self._publish(by, type_, data, links, code=1)
        assert result["status"] == "rejected", result
        assert sorted({error["code"] for error in result["errors"]}) == sorted(codes)
        self._mine(by, result["signal_id"])
        reasons = [{"code": error["code"], "veld": error["field"]} for error in result["errors"]]
        notice = {"signaal_id": result["signal_id"], "signaaltype": type_, "redenen": reasons}
        self.due.setdefault(by, []).append((REFUSED, "signaalhub.geweigerd", notice))
        kept = self.run("rejections", "list", "--json").lines[-1]
        assert kept["publisher"] == by
        assert {error["code"] for error in kept["errors"]} == set(codes)
        self.run("rejections", "show", str(kept["rejection"]))
        why = self.run("why", result["signal_id"], "--json").json
        assert (why["decisions"], {reason["code"] for reason in why["refused"]}) == ([], set(codes))

    def withdraw(self, sent: Sent, code: str) -> Sent:
        """Take back a signal."""
        return self.publish(sent.by, WITHDRAWN, {"redencode": code}, cause=sent.signal_id)

    def confirm(self, recipient: str, result: str = "VERWERKT") -> Sent:
        """Confirm the newest delivery of a recipient, which must be a withdrawal or correction."""
        return self.publish(recipient, CONFIRMED, {"resultaat": result}, cause=self.last(recipient)["delivery_id"])

    def may(self, guard: str, by: str, correlation: str | None) -> str | None:
        """Ask whether something may be done now. Returns the code of a no, or None if it may."""
        assert correlation is not None
        ran = self.cli("cases", "may", guard, "--as", by, "--correlation", correlation, "--json")
        answer = ran.json
        assert ran.code == (0 if answer["allowed"] else 1)
        assert answer["allowed"] is (answer["code"] is None)
        return None if answer["code"] is None else str(answer["code"])

    def state(self, sent: Sent) -> str:
        """Return the state of the case in the keten of a signal."""
        return str(self.case(sent)["state"])

    def case(self, sent: Sent) -> dict[str, Any]:
        """Show the case in the keten of a signal; the list of cases says the same of it, and nothing more."""
        assert sent.correlation is not None
        shown = dict(self.run("cases", "show", sent.correlation, "--as", sent.by, "--json").json)
        [listed] = [row for row in self.run("cases", "list", "--all", "--json").lines if row["case"] == shown["case"]]
        assert listed == {name: shown[name] for name in shown if name not in {"variables", "terms", "steps"}}
        return shown

    def why(self, id_: str) -> list[tuple[str, str | None, str, str]]:
        """Return recipient, grant, outcome and reason of every decision, sorted; each told in prose, under one rule set."""
        told = self.run("why", id_, "--json").json
        assert len(told["rule_set"]) == 64
        prose = self.run("why", id_).out
        assert told["rule_set"][:12] in prose
        for decision in told["decisions"]:
            assert decision["text"].split("\n")[0] in prose
            assert decision["grant"] is None or f"Regel: {decision['grant']}, " in decision["text"]
        return sorted(((d["recipient"], d["grant"], d["outcome"], d["reason"]) for d in told["decisions"]), key=str)

    # --- what arrived ---------------------------------------------------------------------

    def arrived(self, expected: Expected) -> None:
        """Let the hub do all that is pending; exactly this is new, and everyone who is not named got nothing.

        What is due for signals that were refused since is part of it.
        """
        new = self.receive()
        told = {recipient: _told([(one["type"], one["grant"], one["data"]) for one in many]) for recipient, many in new.items()}
        wanted = {recipient: [*want] if isinstance(want, list) else [want] for recipient, want in expected.items()}
        for recipient, notices in self.due.items():
            wanted.setdefault(recipient, []).extend(notices)
        self.due.clear()
        wanted = {recipient: _told(want) for recipient, want in wanted.items()}
        assert told == wanted, f"arrived:\n{pformat(told, width=140)}\nexpected:\n{pformat(wanted, width=140)}"

    def receive(self) -> dict[str, list[dict[str, Any]]]:
        """Let the hub do all that is pending, and return what is new by recipient, searched."""
        self.run("run", "--once")
        new: dict[str, list[dict[str, Any]]] = {}
        for recipient, ran in self._deliveries().items():
            assert (ran.code, ran.err) == (0, ""), ran.said
            before = self.seen.setdefault(recipient, [])
            found = [one for one in ran.lines if one["sequence"] > len(before)]
            if found:
                assert [one["sequence"] for one in found] == list(range(len(before) + 1, len(before) + len(found) + 1))
                before += found
                new[recipient] = found
                for delivery in found:
                    self._search(recipient, delivery)
        return new

    def last(self, recipient: str, type_: str | None = None) -> dict[str, Any]:
        """Return the newest delivery of a recipient, of this type if one is given.

        Else what the hub says of its own signals is passed by.
        """
        return next(one for one in reversed(self.seen[recipient]) if (one["type"] == type_ if type_ else one["type"] not in _NOTICES))

    def _deliveries(self) -> dict[str, Ran]:
        settings = HubSettings(home=self.cli.home, rules_dir=self.cli.rules, schemas_dir=self.cli.schemas)
        with Context(settings, parse_now(self.cli.now or "")).hub(adopt=False) as opened, self.patch.context() as patch:
            patch.setattr(Context, "hub", lambda *_, **__: nullcontext(opened))
            return {recipient: self.cli("deliveries", recipient, "--json") for recipient in self.everyone}

    def _search(self, recipient: str, delivery: dict[str, Any]) -> None:
        data = json.dumps(delivery["data"], ensure_ascii=False).lower()
        headers = json.dumps({name: value for name, value in delivery.items() if name != "data"}, ensure_ascii=False).lower()
        assert delivery["recipient"] == recipient
        assert delivery["purpose"]
        for value, seers in self.hidden.items():
            assert value not in headers, f"{recipient} sees {value} outside the data"
            assert recipient in seers or value not in data, f"{recipient} sees {value}"
        for word in self.blinded.get(recipient, ()):
            assert word not in data + headers, f"{recipient} sees {word}"
        for name in _LINKS:
            self._mine(recipient, delivery[name])

    def _mine(self, participant: str, link: str | None) -> None:
        if link is not None:
            owner = self.owners.setdefault(link, participant)
            assert owner == participant, f"{participant} and {owner} share an id"

    def _publish(self, by: str, type_: str, data: Any, links: Mapping[str, str], *, code: int) -> list[dict[str, Any]]:
        options = [text for name, value in links.items() for text in (f"--{name.removesuffix('_')}", value)]
        raw = json.dumps(data).encode()
        return list(self.run("publish", "--as", by, "--type", type_, "--data", "-", "--json", *options, stdin=raw, code=code).json)

    def _sent(self, by: str, result: Mapping[str, Any]) -> Sent:
        self._mine(by, result["signal_id"])
        self._mine(by, result["correlation"])
        return Sent(by, result["signal_id"], result["correlation"])


def _told(messages: list[Message]) -> list[Message]:
    """In which order two messages of one step come does not matter."""
    return sorted(messages, key=lambda message: json.dumps(message, sort_keys=True))


def reminder(grant: str, municipality: str, state: str, until: str | None) -> Message:
    """Return the reminder that comes under a grant `<process>.<code>.<recipient>`."""
    process, code, _ = grant.split(".")
    return REMINDER, grant, {"gemeentecode": municipality, "proces": process, "code": code, "staat": state, "uiterlijk": until}


def taken_back(code: str) -> Message:
    """Return the withdrawal as everyone hears it who had the original."""
    return WITHDRAWN, "signaalhub.ingetrokken", {"redencode": code}


def confirmed(result: str = "VERWERKT") -> Message:
    """Return the receipt as the publisher of a withdrawal or correction hears it."""
    return CONFIRMED, "signaalhub.bevestigd", {"resultaat": result}


@contextmanager
def town(home: Path, patch: pytest.MonkeyPatch, municipality: str, other: str) -> Iterator[World]:
    """Give a fresh home, on Monday morning 2 November 2026, with everyone of two municipalities and of the whole country.

    When a scenario is over, nothing may be left that arrives without having been told.
    """
    patch.setattr(app, "load", _load)
    patch.setattr(rulebook, "load", _load)
    patch.setattr(cli, "app", _parser())
    world = World(Cli(home, patch), patch, municipality, other, _everyone(municipality, other))
    yield world
    world.arrived({})


@cache
def _parser() -> Callable[[], object]:
    return typer.main.get_command(cli.app)


def _load(content: Mapping[str, str]) -> Loaded:
    """Read the rule files once: a rule set never changes, and is the same whenever its files are."""
    key = tuple(sorted(content.items()))
    if key not in _loaded:
        _loaded[key] = load(content)
    return _loaded[key]


def _everyone(*municipalities: str) -> tuple[str, ...]:
    register = yaml.safe_load((ROOT / "rules" / "participants.yaml").read_text(encoding="utf-8"))["participants"]
    found: list[str] = []
    for entry in register:
        where = entry.get("per_municipality")
        if where is None:
            found.append(entry["id"])
        else:
            found += [f"{entry['id']}.{code}" for code in municipalities if where == "all" or code in where]
    return tuple(found)
