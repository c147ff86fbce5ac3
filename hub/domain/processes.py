"""The processes of a rule set as declared: which types move which cases, and the types of their variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cel_expr_python import cel

from hub.domain import forms, processshape, rulefiles
from hub.domain.celcheck import Kind
from hub.domain.conditions import Condition, ConditionError, Environment, Given, Variable
from hub.domain.processshape import Declared

if TYPE_CHECKING:
    from hub.domain.contract import Contract
    from hub.domain.faults import Fault
    from hub.domain.grants import Registers
    from hub.domain.sources import Path, Source


class Processes:
    """Every process of a rule set: declared first, because conditions anywhere may read a case; then built."""

    def __init__(
        self, contracts: Mapping[str, Contract], registers: Registers, shared: Callable[[Contract | None], dict[str, Variable]]
    ) -> None:
        self._contracts = contracts
        self._registers = registers
        self._shared = shared
        self._of_type: dict[str, Declared] = {}
        self.declared: list[Declared] = []
        self._forms: list[Fault] = []

    @property
    def faults(self) -> list[Fault]:
        """Everything that is wrong with the processes."""
        return self._forms + [fault for declared in self.declared for fault in declared.faults]

    # --- declaring ------------------------------------------------------------------------

    def survey(self, source: Source, flow: rulefiles.FlowFile) -> None:
        """Note the processes of one rule file."""
        for i in range(len(flow.processes)):
            path: Path = ("processes", i)
            entry, faults = forms.read(source, rulefiles.ProcessEntry, path)
            self._forms += faults
            if entry is None:
                continue
            declared = Declared(source, path, flow, entry)
            if any(other.entry.id == entry.id for other in self.declared):
                declared.fault(("id",), f"the process id `{entry.id}` is used twice")
            self.declared.append(declared)
            for name, places in declared.types.items():
                if name in self._of_type:
                    other = self._of_type[name].entry.id
                    fix = "a signal moves one case; put the steps in one process"
                    declared.faults.append(source.fault(places[0], f"`{name}` already belongs to process `{other}`", fix))
                else:
                    self._of_type[name] = declared
            processshape.check(declared)
            self._infer(declared)

    def variables(self, signal_type: str) -> dict[str, Variable]:
        """Return what conditions on a type may read of a case, as `c.<name>`."""
        declared = self._of_type.get(signal_type)
        return {} if declared is None else declared.variables

    def timed(self, declared: Declared) -> Environment:
        """Return what conditions on a case alone may read: those of terms and withdrawals."""
        return Environment(None, {**self._shared(None), **declared.variables}, self._registers.equated)

    def unset(self, signal_type: str, condition: Condition) -> list[str]:
        """Return what is wrong with a condition of a grant or content rule that reads a case."""
        declared = self._of_type.get(signal_type)
        read = [name for name in condition.variables if name.startswith("c.")]
        if declared is None or not read:
            return []
        if declared.may_lack_a_case(signal_type):
            return [f"`{name}` is read, and {signal_type} may come without a case" for name in read]
        return declared.lacking(read, declared.after(signal_type))

    # --- the types of variables -----------------------------------------------------------

    def _setters(self, declared: Declared) -> Iterator[tuple[str, str | None, str, tuple[str | int, ...]]]:
        """Yield (variable, type that sets it or None for a term or withdrawal, expression, place)."""
        entry = declared.entry
        given: list[tuple[str | None, Mapping[str, Any], tuple[str | int, ...]]] = [(entry.start.on, entry.start.set, ("start", "set"))]
        given += [(step.on, step.set, ("transitions", i, "set")) for i, step in enumerate(entry.transitions)]
        given += [(None, term.set, ("terms", i, "set")) for i, term in enumerate(entry.terms)]
        for signal_type, assignments, at in given:
            for name, value in assignments.items():
                yield name, signal_type, expression(value), (*at, name)

    def _infer(self, declared: Declared) -> None:
        """Type each variable by what sets it; what needs a variable whose type is not known yet waits a round."""
        pending = list(self._setters(declared))
        known: dict[str, Given] = {}
        variables: dict[str, Variable] = {"c.state": Variable(cel.Type.STRING, cel.Type.DYN, Kind("enum", declared.all_states))}
        while pending:
            waiting = []
            environments: dict[str | None, Environment] = {}
            for setter in pending:
                name, signal_type, text, at = setter
                contract = self._contracts.get(signal_type) if signal_type else None
                if signal_type and contract is None:
                    continue
                if signal_type not in environments:
                    extra = {**self._shared(contract), **variables}
                    environments[signal_type] = Environment(contract, extra, self._registers.equated)
                try:
                    gives = environments[signal_type].gives(text)
                except ConditionError:
                    waiting.append(setter)
                    continue
                if name == "state":
                    declared.fault(at, "`state` is the state of the case itself", "give the variable another name")
                    continue
                joined = known[name].joined(gives) if name in known else gives
                if joined is None:
                    declared.fault(at, f"`{name}` gets another type than elsewhere", "a variable has one type")
                else:
                    known[name] = joined
            fresh = {f"c.{name}": made for name, gives in known.items() if (made := gives.variable()) is not None}
            if len(waiting) == len(pending):
                break  # what is wrong with them is told when they are compiled
            variables |= fresh
            pending = waiting
        declared.variables = variables


def expression(value: Any) -> str:
    """Return the CEL text of a value in `set`: text is an expression, anything else is itself."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
