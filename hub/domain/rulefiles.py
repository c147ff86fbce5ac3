"""The form of the rule files, as pydantic models. What they mean is checked in `loading`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]
"""A reason code: Dutch, kebab-case."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*$", max_length=80)]
Municipality = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
Oin = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}([0-9A-Z]{12}|[0-9A-Z]{8}\{gemeentecode\})$")]
"""20 positions; `{gemeentecode}` stands for four of them."""
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Model(BaseModel):
    """Unknown keys are faults; values are never coerced in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Period(Model):
    """From and until, both days included; `until` may be open."""

    from_: date = Field(alias="from")
    until: date | None = None

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        if self.until is not None and self.until < self.from_:
            raise PydanticCustomError("period", "`until` lies before `from`")
        return self


class Local(Model):
    """What a participant is in one municipality."""

    oin: Oin | None = None
    teams: tuple[Name, ...] = ()


class ParticipantEntry(Model):
    """One line of participants.yaml."""

    id: Name
    name: Text
    role: Name | None = None
    """The id unless given."""
    oin: Oin | None = None
    """With `{gemeentecode}` in it for a participant per municipality."""
    government: bool = False
    """Only government bodies may receive signals under BRP secrecy."""
    per_municipality: Literal["all"] | dict[Municipality, Local] | None = None
    municipalities: tuple[Municipality, ...] | None = None
    """Where a company works; everywhere if absent."""


class ParticipantsFile(Model):
    """participants.yaml: who may take part."""

    participants: tuple[ParticipantEntry, ...]


class Agreement(Period):
    """Who agreed to what, where and from when. `until` is the last day."""

    id: Name
    name: Text
    parties: tuple[Name, ...]
    """Roles or participant ids."""
    municipalities: Literal["all"] | tuple[Municipality, ...]
    limit: int | None = Field(default=None, ge=0)
    """At most this many a period; no limit means no cap."""
    source: Text | None = None


class AgreementsFile(Model):
    """agreements.yaml."""

    agreements: tuple[Agreement, ...]


class Ground(Model):
    """A legal basis, with how sure we are of it."""

    id: Name
    text: Text
    status: Literal["vastgesteld", "te-toetsen"]
    source: Text


class GroundsFile(Model):
    """grounds.yaml."""

    grounds: tuple[Ground, ...]


class SettingValue(Period):
    """A number that nobody states, with its validity and source."""

    value: int | bool | str
    source: Text


class SettingsFile(RootModel[dict[Name, dict[Literal["*"] | Municipality, tuple[SettingValue, ...]]]]):
    """settings.yaml: name -> municipality (`*` for every other) -> values."""


class EquatedDay(Model):
    """A day that a royal decree makes equal to a holiday (Algemene termijnenwet art. 3)."""

    datum: date
    status: Literal["vastgesteld", "te-toetsen"]
    source: Text


class HolidaysFile(Model):
    """feestdagen.yaml."""

    gelijkgesteld: tuple[EquatedDay, ...]


class Forbidden(Model):
    """A type that may never be published; `*` stands for any text."""

    type: Text
    code: Code
    text: Text


class ForbiddenFile(Model):
    """forbidden.yaml."""

    forbidden: tuple[Forbidden, ...]


class Validity(Model):
    """From and until, both days included."""

    from_: date | None = Field(default=None, alias="from")
    until: date | None = None

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        if self.from_ is not None and self.until is not None and self.until < self.from_:
            raise PydanticCustomError("period", "`until` lies before `from`")
        return self


class Requirement(Model):
    """A legal precondition and the sentence that its reason code stands for."""

    condition: Text
    text: Text | None = None


class Quota(Model):
    """A cap per key and period."""

    name: Name
    limit: Annotated[int, Field(ge=0)] | Text | None = None
    """A number or an expression such as cfg.agreement.limit; null means no cap."""
    per: Literal["day", "month", "year"]
    key: tuple[Literal["agreement", "recipient", "publisher", "municipality"], ...]
    overflow: Literal["defer"]
    exempt: Text | None = None
    """What this holds for is never deferred nor counted."""


class GrantEntry(Model):
    """This type, to this recipient, for this purpose, these fields, under these conditions."""

    id: Name
    signal: Text
    to: Text
    agreements: tuple[Name, ...] = ()
    legal_basis: tuple[Name, ...]
    valid: Validity = Validity()
    when: Text | None = None
    requires: dict[Code, Text | Requirement] = {}
    follows: Text | None = None
    """Only to recipients that received this type in the same keten."""
    release_on: Text | None = None
    """Held back until the recipient publishes this type in the same keten."""
    fields: tuple[Text | dict[str, Text], ...]
    quota: Quota | None = None
    retention: str
    """How long the recipient may keep it: an ISO 8601 duration."""
    explain: Text
    purpose: Text | None = None
    """The flow's purpose unless given."""
    privacy_decision: Text | None = None
    sanction_basis: Name | None = None


class Refusal(Model):
    """A content rule on the signal itself; the publisher is told."""

    signal: Text
    when: Text
    code: Code
    text: Text


class Step(Model):
    """One signal or one tick of the clock in an example."""

    name: Name | None = None
    signal: Text | None = None
    as_: Text | None = Field(default=None, alias="as")
    data: dict[str, Any] | None = None
    at: str | None = None
    repeat: int = Field(default=1, ge=1, le=1000)
    correlation: str | None = None
    cause: Name | None = None
    """The name of an earlier step."""
    replaces: Name | None = None
    """The name of an earlier step that this one corrects."""
    tick: str | None = None
    expect: dict[str, Any] | None = None
    state: Text | dict[Name, Text] | None = None
    """The state of the one case afterwards, or of the case in the keten of each named step."""
    may: dict[Name, Text] | None = None
    """What guards answer afterwards: `open`, or the code for which it may not be done."""


class Example(Step):
    """A signal, or steps, with what must follow."""

    name: Text
    steps: tuple[Step, ...] = ()


StateName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*([_-][a-z0-9]+)*$", max_length=60)]
States = StateName | tuple[StateName, ...]
"""A state, a set of states, or a list of those."""
VariableName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Assignments = dict[VariableName, Text | int | bool | None]


class Unmet(Model):
    """What the publisher hears when the condition of a step does not hold."""

    code: Code
    text: Text


class Conditional(Model):
    """A step that a condition may stand before."""

    when: Text | None = None
    unmet: Unmet | None = None
    set: Assignments = {}

    @model_validator(mode="after")
    def _heard(self) -> Self:
        if self.unmet is not None and self.when is None:
            raise PydanticCustomError("step", "`unmet` says what is heard when `when` does not hold, and there is no `when`")
        return self


class StartEntry(Conditional):
    """The signal that opens a case."""

    on: Text
    to: StateName


class TransitionEntry(Conditional):
    """A step that a signal takes, or its withdrawal."""

    from_: States = Field(alias="from")
    on: Text | None = None
    withdrawn: Text | None = None
    to: StateName | None = None
    """The same state if absent."""
    fact: bool = False
    """It happened: never refused, whatever the state."""
    notify: tuple[Text, ...] = ()
    code: Code | None = None
    text: Text | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.on is None) == (self.withdrawn is None):
            raise PydanticCustomError("transition", "a transition has either `on` or `withdrawn`")
        if bool(self.notify) != (self.code is not None):
            raise PydanticCustomError("transition", "`notify` and `code` go together")
        if self.text is not None and not self.notify:
            raise PydanticCustomError("transition", "nobody hears this `text`: name who in `notify`")
        if self.fact and (self.on is None or self.unmet is not None):
            raise PydanticCustomError("transition", "a fact is a signal that is never refused: no `withdrawn` and no `unmet`")
        return self


class TermEntry(Model):
    """What falls due while a case is in a state."""

    in_: States = Field(alias="in")
    after: Text | None = None
    before: tuple[Text, Text] | None = None
    at: Text | None = None
    to: StateName | None = None
    set: Assignments = {}
    notify: tuple[Text, ...] = ()
    code: Code
    text: Text | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sum(timing is not None for timing in (self.after, self.before, self.at)) != 1:
            raise PydanticCustomError("term", "a term has one of `after`, `before` and `at`")
        if self.to is None and not self.notify:
            raise PydanticCustomError("term", "a term leads to a state or tells somebody: give it `to` or `notify`")
        return self


class GuardEntry(Model):
    """May this be done now? Not while a case is in one of these states."""

    name: Code
    closed_in: States
    code: Code
    text: Text | None = None


class AlarmEntry(Model):
    """It was done all the same: who hears it."""

    on: Text
    in_: States = Field(alias="in")
    notify: tuple[Text, ...]
    code: Code
    text: Text | None = None


class ProcessEntry(Model):
    """The memory of a flow: a state machine."""

    id: Name
    case: Text
    """An expression that is equal for the signals of one case."""
    scope: Literal["keten", "subject"] = "keten"
    """`subject`: guards and alarms look at every open case about the same person."""
    legal_basis: tuple[Name, ...] | None = None
    """Of its reminders; that of the flow's other grants to the recipient unless given."""
    start: StartEntry
    final: tuple[StateName, ...]
    sets: dict[StateName, tuple[StateName, ...]] = {}
    transitions: tuple[TransitionEntry, ...] = ()
    terms: tuple[TermEntry, ...] = ()
    guards: tuple[GuardEntry, ...] = ()
    alarms: tuple[AlarmEntry, ...] = ()
    migrate: dict[StateName, StateName] = {}
    """Where an open case goes whose state is no longer there."""


class FlowFile(Model):
    """One flow."""

    flow: Name
    purpose: Text
    activity: Text
    """URI of the entry in the register of processing activities (AVG art. 30)."""
    grants: tuple[Any, ...] = ()
    """Each a GrantEntry, read one by one, so that a fault in one hides nothing in another."""
    processes: tuple[Any, ...] = ()
    """Each a ProcessEntry."""
    refuse: tuple[Any, ...] = ()
    """Each a Refusal."""
    examples: tuple[Any, ...] = ()
    """Each an Example."""
