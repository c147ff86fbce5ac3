"""From one rule file to grants, content rules and examples; every fault in the file together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from hub.domain import forms, processfile, rulefiles
from hub.domain.conditions import ConditionError
from hub.domain.grants import GrantBuilder, condition_faults
from hub.domain.processes import Processes
from hub.domain.reasons import REASONS
from hub.domain.registers import HUB
from hub.domain.ruleset import ContentRule, Grant

if TYPE_CHECKING:
    from hub.domain.conditions import Environment
    from hub.domain.contract import Contract
    from hub.domain.faults import Fault
    from hub.domain.grants import Registers
    from hub.domain.machine import Machine
    from hub.domain.sources import Path, Source

_PARTS: Final = ("grants", "processes", "refuse", "examples")
NOBODY_ELSE: Final = "*"
REFUSED: Final = "refused"
NONE: Final = "none"


class FlowReader:
    """Reads rule files one by one and gathers what is in them."""

    def __init__(
        self, contracts: dict[str, Contract], registers: Registers, processes: Processes, environment: Callable[[str], Environment]
    ) -> None:
        self._contracts = contracts
        self._registers = registers
        self._processes = processes
        self._environment = environment
        self._places: dict[str, str] = {}
        self._forms: list[tuple[Source, rulefiles.FlowFile, bool]] = []
        self.faults: list[Fault] = []
        self.grants: dict[str, list[Grant]] = {}
        self.refusals: dict[str, list[ContentRule]] = {}
        self.machines: dict[str, Machine] = {}
        self.examples: dict[str, tuple[tuple[rulefiles.Example, str], ...]] = {}

    def survey(self, source: Source, *, own: bool) -> None:
        """Take one file in, and note its processes: conditions in any file may read their cases."""
        flow, faults = forms.read(source, rulefiles.FlowFile)
        self.faults += faults
        if flow is None:
            if not isinstance(source.value, dict):
                return
            given = {key: source.value.get(key) for key in _PARTS}
            parts: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else () for key, value in given.items()}
            flow = rulefiles.FlowFile.model_construct(flow="?", purpose="?", activity="?", **parts)
        self._forms.append((source, flow, own))
        self._processes.survey(source, flow)

    def read(self) -> None:
        """Read every file taken in. What is wrong in one part of it hides nothing in another."""
        for source, flow, own in self._forms:
            self._file(source, flow, own=own)
        self.faults += self._processes.faults

    def _file(self, source: Source, flow: rulefiles.FlowFile, *, own: bool) -> None:
        builder = GrantBuilder(self._contracts, self._registers, self._environment, self._processes.unset, own=own)
        entries = []
        for i in range(len(flow.grants)):
            entry, faults = forms.read(source, rulefiles.GrantEntry, ("grants", i))
            self.faults += faults
            if entry is not None:
                entries.append(entry)
                grant = self._grant(source, ("grants", i), builder, flow, entry)
                if grant is not None:
                    self.grants.setdefault(grant.signal, []).append(grant)
        for i in range(len(flow.refuse)):
            refusal, faults = forms.read(source, rulefiles.Refusal, ("refuse", i))
            self.faults += faults
            if refusal is not None:
                self._refusal(source, ("refuse", i), refusal)

        def register(path: Path, entry: rulefiles.GrantEntry) -> Grant | None:
            return self._grant(source, path, builder, flow, entry)

        for declared in self._processes.declared:
            if declared.source is source:
                environments = (self._environment, self._processes.timed(declared))
                machine = processfile.build(declared, self._contracts, self._registers, environments, entries, register)
                if machine is not None:
                    self.machines[machine.id] = machine
        found = [self._example(source, ("examples", i)) for i in range(len(flow.examples))]
        self.examples[flow.flow] = (*self.examples.get(flow.flow, ()), *(example for example in found if example))

    def _fault(self, source: Source, path: Path, what: str, fix: str = "") -> None:
        self.faults.append(source.fault(path, what, fix))

    def _grant(
        self, source: Source, path: Path, builder: GrantBuilder, flow: rulefiles.FlowFile, entry: rulefiles.GrantEntry
    ) -> Grant | None:
        grant = builder.build(source, path, flow, entry)
        self.faults += builder.take_faults()
        here = f"{source.file}:{source.line(path)}"
        first = self._places.setdefault(entry.id, here)
        if first != here:
            self._fault(source, (*path, "id"), f"the grant id `{entry.id}` is used twice", f"first at {first}")
            return None
        return grant

    def _refusal(self, source: Source, path: Path, entry: rulefiles.Refusal) -> None:
        if entry.code in REASONS:
            self._fault(source, (*path, "code"), f"the code `{entry.code}` is one of the hub's own", "choose another")
        if not self._exists(source, (*path, "signal"), entry.signal):
            return
        try:
            condition = self._environment(entry.signal).compile(entry.when)
        except ConditionError as exc:
            self.faults += condition_faults(source, (*path, "when"), exc)
            return
        for what in self._processes.unset(entry.signal, condition):
            self._fault(source, (*path, "when"), what, "set it in the start, or on every way to that state")
        where = f"{source.file}:{source.line(path)}"
        self.refusals.setdefault(entry.signal, []).append(ContentRule(entry.code, condition, entry.text, where))

    # --- examples -------------------------------------------------------------------------

    def _example(self, source: Source, path: Path) -> tuple[rulefiles.Example, str] | None:
        example, faults = forms.read(source, rulefiles.Example, path)
        self.faults += faults
        if example is None:
            return None
        for j, step in enumerate(example.steps or (example,)):
            self._step(source, (*path, "steps", j) if example.steps else path, step)
        return example, f"{source.file}:{source.line(path)}"

    def _step(self, source: Source, at: Path, step: rulefiles.Step) -> None:
        if step.tick is None and (step.signal is None or step.as_ is None or step.data is None):
            self._fault(source, at, "a step has `signal`, `as` and `data`, or a `tick`")
            return
        if step.signal is not None:
            self._exists(source, (*at, "signal"), step.signal)
        if step.as_ is not None:
            self._participant(source, (*at, "as"), step.as_)
        refused = (step.expect or {}).get(REFUSED, [])
        if not isinstance(refused, list) or not all(isinstance(code, str) for code in refused):
            self._fault(source, (*at, "expect", REFUSED), f"`{REFUSED}` is a list of reason codes")
        for name, wanted in (step.expect or {}).items():
            here = (*at, "expect", name)
            if name == NOBODY_ELSE and wanted != NONE:
                self._fault(source, here, f"what is expected for everyone else is `{NONE}`")
            elif name not in {NOBODY_ELSE, REFUSED}:
                self._participant(source, here, name)

    def _exists(self, source: Source, at: Path, signal_type: str) -> bool:
        if signal_type not in self._contracts and signal_type not in self._registers.unread:
            self._fault(source, at, f"the signal type `{signal_type}` does not exist")
        return signal_type in self._contracts

    def _participant(self, source: Source, at: Path, name: str) -> None:
        if self._registers.whole and name != HUB and self._registers.participants.find(name) is None:
            self._fault(source, at, f"the participant `{name}` does not exist")
