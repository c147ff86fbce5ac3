"""Open cases under a new rule set: they go on in it, are moved as it says, or it does not come into force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hub.casebook import MIGRATED, Casebook, Moment, StoredCase, standing, step_row
from hub.domain.faults import Fault
from hub.domain.process import Calendar, rearmed
from hub.storage.rows import Inserts, Rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.domain.machine import Machine
    from hub.domain.ruleset import RuleSet
    from hub.keys import Keys
    from hub.storage.names import Names


def stranded(connection: Connection, names: Names, ruleset: RuleSet) -> list[Fault]:
    """Return a fault for every state with open cases that the rule set does not know and says nothing of."""
    faults = []
    for process, state, count in Casebook.open_states(connection, names):
        machine = ruleset.machines.get(process)
        if machine is None:
            file = next((file for file in ruleset.content if file.startswith("rules/")), "rules")
            what = f"the process `{process}` is gone, and {count} of its cases are open (in `{state}`)"
            faults.append(Fault(file, 1, what, "put it back; let its cases end before you remove it"))
        elif state not in machine.states and state not in machine.migrate:
            file, _, line = machine.where.rpartition(":")
            what = f"{count} open cases of `{process}` are in state `{state}`, which is no longer there"
            faults.append(Fault(file, int(line), what, f"say where they go: `migrate: {{{state}: <state>}}`"))
    return faults


@dataclass(slots=True)
class CarryOver:
    """Takes the open cases into a rule set, in the transaction that puts it in force."""

    names: Names
    keys: Keys
    now_ms: Callable[[], int]

    def faults(self, connection: Connection, ruleset: RuleSet) -> list[Fault]:
        """Return why open cases cannot go on under this rule set."""
        found = stranded(connection, self.names, ruleset)
        for machine in ruleset.machines.values():
            lacking: dict[tuple[str, str], int] = {}
            strange: dict[str, int] = {}
            for stored in Casebook(connection, self.names, self.keys).of_process(machine.id):
                state = machine.migrate.get(stored.case.state, stored.case.state)
                for name, value in stored.case.variables.items():
                    variable = machine.environment.variables.get(f"c.{name}")
                    if variable is not None and not variable.can_be(value):
                        strange[name] = strange.get(name, 0) + 1
                for name in sorted(machine.assigned.get(state, frozenset()) - stored.case.variables.keys()):
                    lacking[state, name] = lacking.get((state, name), 0) + 1
            file, _, line = machine.where.rpartition(":")
            fix = "give the new steps a process of their own, or let these cases end first"
            for (state, name), count in sorted(lacking.items()):
                what = f"{count} open cases of `{machine.id}` in state `{state}` have no `{name}`, which every path now sets"
                found.append(Fault(file, int(line), what, fix))
            for name, count in sorted(strange.items()):
                what = f"{count} open cases of `{machine.id}` hold a `{name}` of another type than it has now"
                found.append(Fault(file, int(line), what, fix))
        return found

    def move(self, connection: Connection, ruleset: RuleSet, number: int, before: RuleSet | None) -> None:
        """Move cases whose state went, and set the terms of the machines that changed; terms that run go on.

        `number` is that of the rule set: each case that moves gets a step that names it.
        """
        now = self.now_ms()
        rows = Rows(connection, Inserts(connection.dialect))
        for machine in ruleset.machines.values():
            old = before.machines.get(machine.id) if before else None
            if old is not None and old.entry == machine.entry and before is not None and before.settings.values == ruleset.settings.values:
                continue
            book = Casebook(connection, self.names, self.keys)
            for stored in list(book.of_process(machine.id)):
                carried = _carried(machine, stored, ruleset, now)
                if carried == stored:
                    continue
                book.by_id(stored.id)
                book.put(carried)
                if carried.case.state != stored.case.state:
                    moment = Moment(MIGRATED, None, now, number)
                    name = partial(self.names.id, connection)
                    id_ = rows.next("case_steps")
                    rows.add("case_steps", step_row(id_, carried, stored.case.state, moment, name, self.keys, moved=True))
            book.flush()
        rows.flush()


def _carried(machine: Machine, stored: StoredCase, ruleset: RuleSet, now: int) -> StoredCase:
    state = machine.migrate.get(stored.case.state, stored.case.state)
    moved = state != stored.case.state
    case = stored.case._replace(state=state, mover=None, before=None) if moved else stored.case
    case = rearmed(machine, case, Calendar(ruleset.settings, stored.municipality), moved=moved).case
    return stored if case == stored.case and state not in machine.final else standing(stored, case, ruleset, now)
