"""From rule and schema files to a rule set, or to every fault in them together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cel_expr_python import cel
from pydantic import BaseModel

from hub.domain import contractfile, forms, rulefiles
from hub.domain.celcheck import DATE, Kind
from hub.domain.conditions import Environment, Variable
from hub.domain.faults import Fault
from hub.domain.flows import FlowReader
from hub.domain.grants import Registers
from hub.domain.processes import Processes
from hub.domain.registers import HUB, Participants, Settings
from hub.domain.ruleset import RuleSet, TypeRules
from hub.domain.sources import Source, read_json, read_yaml
from hub.errors import FaultsError

if TYPE_CHECKING:
    from hub.domain.contract import Contract

_REGISTERS: Final[dict[str, type[BaseModel]]] = {
    "participants.yaml": rulefiles.ParticipantsFile,
    "agreements.yaml": rulefiles.AgreementsFile,
    "grounds.yaml": rulefiles.GroundsFile,
    "forbidden.yaml": rulefiles.ForbiddenFile,
    "settings.yaml": rulefiles.SettingsFile,
    "feestdagen.yaml": rulefiles.HolidaysFile,
}
_OWN: Final = "own/"
Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading gave: a rule set when no fault stands in the way, and all faults."""

    ruleset: RuleSet | None
    faults: tuple[Fault, ...]

    def unwrap(self) -> RuleSet:
        """Return the rule set. Raises FaultsError with everything that must be put right."""
        if self.ruleset is None:
            raise FaultsError([fault for fault in self.faults if not fault.warning])
        return self.ruleset


def load(content: Mapping[str, str]) -> Loaded:
    """Load files named `rules/*.yaml`, `schemas/*.avsc` and `own/*` (the hub's own)."""
    return _loaded(tuple(sorted(content.items())))


@lru_cache(maxsize=8)
def _loaded(content: tuple[tuple[str, str], ...]) -> Loaded:
    """Load each content once: what comes of it never changes."""
    return _Loader(dict(content)).load()


class _Loader:
    def __init__(self, content: Mapping[str, str]) -> None:
        self.content = content
        self.faults: list[Fault] = []
        self.sources: dict[str, Source] = {}
        self.contracts: dict[str, Contract] = {}
        self.contract_sources: dict[str, Source] = {}
        self.environments: dict[str, Environment] = {}
        self.registers_whole = True
        """No register has a fault in its form; else what seems to be missing from it may well be there."""

    def load(self) -> Loaded:
        for file in sorted(self.content):
            read = read_json if file.endswith(".avsc") else read_yaml
            try:
                self.sources[file] = read(file, self.content[file])
            except FaultsError as exc:
                self.faults += exc.faults
        self.load_contracts()
        registers = self.load_registers()
        self.processes = Processes(self.contracts, registers, lambda contract: _shared_variables(contract, registers))
        flows = FlowReader(self.contracts, registers, self.processes, lambda name: self.environment(name, registers))
        for file, source in self.sources.items():
            if file.endswith(".yaml") and self.register_name(file) is None:
                flows.survey(source, own=file.startswith(_OWN))
        flows.read()
        self.faults += flows.faults
        real = [fault for fault in self.faults if not fault.warning]
        return Loaded(None if real else self.ruleset(registers, flows), tuple(sorted(self.faults)))

    def ruleset(self, registers: Registers, flows: FlowReader) -> RuleSet:
        machine_of = {name: machine for machine in flows.machines.values() for name in machine.keys}
        types = {
            name: TypeRules(
                contract, self.environment(name, registers), tuple(flows.grants.get(name, ())), tuple(flows.refusals.get(name, ())),
                machine_of.get(name),
            )
            for name, contract in self.contracts.items()
        }  # fmt: skip
        canonical = json.dumps({file: source.value for file, source in self.sources.items()}, sort_keys=True, separators=(",", ":"))
        return RuleSet(
            version=hashlib.sha256(canonical.encode()).hexdigest(),
            content=dict(self.content),
            types=types,
            participants=registers.participants,
            settings=registers.settings,
            grounds=registers.grounds,
            agreements=registers.agreements,
            forbidden=registers.forbidden,
            examples=flows.examples,
            machines=flows.machines,
        )

    # --- contracts ------------------------------------------------------------------------

    def load_contracts(self) -> None:
        for file, source in self.sources.items():
            if not file.endswith(".avsc"):
                continue
            contract, faults = contractfile.load(source)
            self.faults += faults
            if contract is None:
                continue
            if contract.type.startswith(f"nl.{HUB}.") and not file.startswith(_OWN):
                self.faults.append(source.fault((), f"types under nl.{HUB} are the hub's own", "choose another name"))
            self.contracts[contract.type] = contract
            self.contract_sources[contract.type] = source

    # --- registers ------------------------------------------------------------------------

    @staticmethod
    def register_name(file: str) -> str | None:
        name = file.rsplit("/", 1)[-1]
        return name if name in _REGISTERS else None

    def load_registers(self) -> Registers:
        loaded: dict[str, list[tuple[Source, Any]]] = {}
        for file, source in self.sources.items():
            name = self.register_name(file)
            if name is not None:
                form = self.parse(source, _REGISTERS[name])
                if form is not None:
                    loaded.setdefault(name, []).append((source, form))
        if "rules/participants.yaml" not in self.content:
            self.faults.append(Fault("rules/participants.yaml", 1, "the file is missing", "list who takes part"))
        entries = [e for _, form in loaded.get("participants.yaml", ()) for e in form.participants]
        registers = Registers(
            participants=Participants(entries),
            agreements=self.by_id(loaded.get("agreements.yaml", ()), "agreements"),
            grounds=self.by_id(loaded.get("grounds.yaml", ()), "grounds"),
            settings=Settings({n: by for _, form in loaded.get("settings.yaml", ()) for n, by in form.root.items()}),
            forbidden=tuple(e for _, form in loaded.get("forbidden.yaml", ()) for e in form.forbidden),
            equated=frozenset(day.datum for _, form in loaded.get("feestdagen.yaml", ()) for day in form.gelijkgesteld),
            unread=self.unread(),
            whole=self.registers_whole and "rules/participants.yaml" in self.sources,
        )
        self.check_registers(registers, loaded)
        return registers

    def unread(self) -> frozenset[str]:
        """Return the types whose schema is there but could not be read."""
        files = {file.rsplit("/", 1)[-1].removesuffix(".avsc") for file in self.content if file.endswith(".avsc")}
        return frozenset(files - self.contracts.keys())

    def check_registers(self, registers: Registers, loaded: Mapping[str, list[tuple[Source, Any]]]) -> None:
        self.by_id(loaded.get("participants.yaml", ()), "participants")
        if not registers.whole:
            return
        for source, form in loaded.get("participants.yaml", ()):
            unclear = dict(registers.participants.unclear_roles())
            for i, entry in enumerate(form.participants):
                if entry.id in unclear:
                    self.faults.append(
                        source.fault(("participants", i), unclear[entry.id], "give each role one participant a municipality")
                    )
        roles = registers.participants.roles()
        ids = {entry.id for entry in registers.participants.entries}
        self.faults += contractfile.cross_check(self.contracts, self.contract_sources, roles | ids)
        for source, form in loaded.get("agreements.yaml", ()):
            for i, agreement in enumerate(form.agreements):
                for j, party in enumerate(agreement.parties):
                    if party not in roles and party not in ids:
                        self.faults.append(source.fault(("agreements", i, "parties", j), f"`{party}` is no role or participant"))
        for name, contract in self.contracts.items():
            for i, role in enumerate(contract.publishers):
                if role not in roles and role not in {"*", HUB}:
                    self.faults.append(
                        self.contract_sources[name].fault(
                            ("signal", "publishers", i), f"no participant has the role `{role}`", "add it to participants.yaml"
                        )
                    )

    def by_id(self, loaded: Any, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for source, form in loaded:
            for i, entry in enumerate(getattr(form, kind)):
                if entry.id in found:
                    self.faults.append(source.fault((kind, i, "id"), f"the id `{entry.id}` is used twice"))
                found[entry.id] = entry
        return found

    def parse(self, source: Source, form: type[Form]) -> Form | None:
        parsed, faults = forms.read(source, form)
        self.faults += faults
        self.registers_whole &= parsed is not None
        return parsed

    def environment(self, signal_type: str, registers: Registers) -> Environment:
        if signal_type not in self.environments:
            contract = self.contracts[signal_type]
            extra = {**_shared_variables(contract, registers), **self.processes.variables(signal_type)}
            self.environments[signal_type] = Environment(contract, extra, registers.equated)
        return self.environments[signal_type]


def _shared_variables(contract: Contract | None, registers: Registers) -> dict[str, Variable]:
    """Return what conditions may read besides data and case; without a contract there is no event and no agreement."""
    text, number = cel.Type.STRING, cel.Type.INT
    variables = {"today": Variable(text, text, DATE)}
    if contract is not None:
        every_role = tuple(sorted(registers.participants.roles() | {HUB}))
        roles = every_role if "*" in contract.publishers else contract.publishers
        variables |= {
            "e.type": Variable(text, text),
            "e.role": Variable(text, text, Kind("enum", roles)),
            "e.participant": Variable(text, text),
            "e.correlationid": Variable(text, text),
            "cfg.agreement.id": Variable(text, text),
            "cfg.agreement.limit": Variable(cel.Type("google.protobuf.Int64Value"), cel.Type.DYN),
        }
    for name, by_municipality in registers.settings.values.items():
        kinds = {type(v.value) for values in by_municipality.values() for v in values}
        known = {frozenset({int}): number, frozenset({bool}): cel.Type.BOOL, frozenset({str}): text}
        kind = known.get(frozenset(kinds), cel.Type.DYN)
        variables[f"cfg.{name}"] = Variable(kind, cel.Type.DYN)
    return variables
