"""Faults in rule and schema files: where, what, and the fix."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault, printed as `file:line: what; fix`. A warning does not stop loading."""

    file: str
    line: int
    what: str
    fix: str = ""
    warning: bool = False

    def __str__(self) -> str:
        kind = "warning: " if self.warning else ""
        fix = f"; {self.fix}" if self.fix else ""
        return f"{self.file}:{self.line}: {kind}{self.what}{fix}"
