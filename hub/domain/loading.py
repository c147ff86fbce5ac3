"""From rule and schema files to a rule set, or to every fault in them together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cel_expr_python import cel
from pydantic import BaseModel, ValidationError

from hub.domain import contractfile, rulefiles
from hub.domain.conditions import DATE, ConditionError, Environment, Kind, Variable
from hub.domain.faults import Fault
from hub.domain.grants import GrantBuilder, Registers, condition_faults
from hub.domain.reasons import REASONS
from hub.domain.registers import HUB, Participants, Settings
from hub.domain.ruleset import ContentRule, Grant, RuleSet, TypeRules
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
    return _Loader(content).load()


class _Loader:
    def __init__(self, content: Mapping[str, str]) -> None:
        self.content = content
        self.faults: list[Fault] = []
        self.sources: dict[str, Source] = {}
        self.contracts: dict[str, Contract] = {}
        self.contract_sources: dict[str, Source] = {}
        self.grants: dict[str, list[Grant]] = {}
        self.refusals: dict[str, list[ContentRule]] = {}
        self.examples: dict[str, tuple[tuple[rulefiles.Example, str], ...]] = {}
        self.environments: dict[str, Environment] = {}
        self.grant_lines: dict[str, str] = {}

    def load(self) -> Loaded:
        for file in sorted(self.content):
            read = read_json if file.endswith(".avsc") else read_yaml
            try:
                self.sources[file] = read(file, self.content[file])
            except FaultsError as exc:
                self.faults += exc.faults
        self.load_contracts()
        registers = self.load_registers()
        for file, source in self.sources.items():
            if file.endswith(".yaml") and self.register_name(file) is None:
                self.load_flow(source, registers)
        real = [fault for fault in self.faults if not fault.warning]
        return Loaded(None if real else self.ruleset(registers), tuple(sorted(self.faults)))

    def ruleset(self, registers: Registers) -> RuleSet:
        for name in self.contracts:
            self.environment(name, registers=registers)
        types = {
            name: TypeRules(contract, self.environments[name], tuple(self.grants.get(name, ())), tuple(self.refusals.get(name, ())))
            for name, contract in self.contracts.items()
        }
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
            examples=self.examples,
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
        )
        self.check_registers(registers, loaded)
        return registers

    def check_registers(self, registers: Registers, loaded: Mapping[str, list[tuple[Source, Any]]]) -> None:
        self.by_id(loaded.get("participants.yaml", ()), "participants")
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
        try:
            return form.model_validate(source.value)
        except ValidationError as exc:
            for error in exc.errors(include_input=False, include_url=False, include_context=False):
                self.faults.append(_form_fault(source, error["loc"], error["type"], error["msg"]))
        return None

    # --- flows ----------------------------------------------------------------------------

    def load_flow(self, source: Source, registers: Registers) -> None:
        flow = self.parse(source, rulefiles.FlowFile)
        if flow is None:
            return
        own = source.file.startswith(_OWN)
        builder = GrantBuilder(self.contracts, registers, partial(self.environment, registers=registers), own=own)
        for i, entry in enumerate(flow.grants):
            grant = builder.build(source, ("grants", i), flow, entry)
            self.faults += builder.take_faults()
            first = self.grant_lines.setdefault(entry.id, f"{source.file}:{source.line(('grants', i))}")
            if first != f"{source.file}:{source.line(('grants', i))}":
                self.faults.append(source.fault(("grants", i, "id"), f"the grant id `{entry.id}` is used twice", f"first at {first}"))
            elif grant is not None:
                self.grants.setdefault(grant.signal, []).append(grant)
        for i, refusal in enumerate(flow.refuse):
            self.load_refusal(source, ("refuse", i), refusal, registers)
        self.load_examples(source, flow, registers)

    def load_refusal(self, source: Source, path: tuple[str | int, ...], entry: rulefiles.Refusal, registers: Registers) -> None:
        if entry.code in REASONS:
            self.faults.append(source.fault((*path, "code"), f"the code `{entry.code}` is one of the hub's own", "choose another"))
        if entry.signal not in self.contracts:
            self.faults.append(source.fault((*path, "signal"), f"the signal type `{entry.signal}` does not exist"))
            return
        try:
            condition = self.environment(entry.signal, registers=registers).compile(entry.when)
        except ConditionError as exc:
            self.faults += condition_faults(source, (*path, "when"), exc)
            return
        where = f"{source.file}:{source.line(path)}"
        self.refusals.setdefault(entry.signal, []).append(ContentRule(entry.code, condition, entry.text, where))

    def load_examples(self, source: Source, flow: rulefiles.FlowFile, registers: Registers) -> None:
        found = []
        for i, example in enumerate(flow.examples):
            path: tuple[str | int, ...] = ("examples", i)
            found.append((example, f"{source.file}:{source.line(path)}"))
            for j, step in enumerate(example.steps or (example,)):
                at = (*path, "steps", j) if example.steps else path
                if step.tick is None and (step.signal is None or step.as_ is None or step.data is None):
                    self.faults.append(source.fault(at, "a step has `signal`, `as` and `data`, or a `tick`"))
                    continue
                if step.signal is not None and step.signal not in self.contracts:
                    self.faults.append(source.fault((*at, "signal"), f"the signal type `{step.signal}` does not exist"))
                if step.as_ is not None and registers.participants.find(step.as_) is None:
                    self.faults.append(source.fault((*at, "as"), f"the participant `{step.as_}` does not exist"))
        self.examples[flow.flow] = (*self.examples.get(flow.flow, ()), *found)

    def environment(self, signal_type: str, *, registers: Registers) -> Environment:
        if signal_type not in self.environments:
            contract = self.contracts[signal_type]
            self.environments[signal_type] = Environment(contract, _shared_variables(contract, registers))
        return self.environments[signal_type]


def _shared_variables(contract: Contract, registers: Registers) -> dict[str, Variable]:
    text, number = cel.Type.STRING, cel.Type.INT
    maybe = cel.Type("google.protobuf.Int64Value")
    every_role = tuple(sorted(registers.participants.roles() | {HUB}))
    roles = every_role if "*" in contract.publishers else contract.publishers
    variables = {
        "e.type": Variable(text, text),
        "e.role": Variable(text, text, Kind("enum", roles)),
        "e.participant": Variable(text, text),
        "e.correlationid": Variable(text, text),
        "today": Variable(text, text, DATE),
        "cfg.agreement.id": Variable(text, text),
        "cfg.agreement.limit": Variable(maybe, cel.Type.DYN),
    }
    for name, by_municipality in registers.settings.values.items():
        kinds = {type(v.value) for values in by_municipality.values() for v in values}
        known = {frozenset({int}): number, frozenset({bool}): cel.Type.BOOL, frozenset({str}): text}
        kind = known.get(frozenset(kinds), cel.Type.DYN)
        variables[f"cfg.{name}"] = Variable(kind, cel.Type.DYN)
    return variables


def _form_fault(source: Source, loc: tuple[str | int, ...], kind: str, message: str) -> Fault:
    name = str(loc[-1]) if loc else ""
    if kind == "extra_forbidden":
        return source.fault(loc, f"unknown key `{name}`", "remove it or correct the spelling")
    if kind == "missing":
        return source.fault(loc, f"`{name}` is missing")
    where = ".".join(str(part) for part in loc)
    return source.fault(loc, f"`{where}`: {message}")
