"""What the hostile connector is told, and the misdeeds that it knows: one for each check of the suite."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Misdeed(StrEnum):
    """A way to do wrong, by the name of the check that must find it."""

    SETTINGS = "settings"
    PING = "ping"
    TOTAL = "total"
    ROUND_TRIP = "round-trip"
    TWICE = "twice"
    REPEATS = "repeats"
    KILLED = "killed"
    HUB_AWAY = "hub-away"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "time-out"
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
    RATE_LIMIT = "429"
    TRUNCATED = "truncated"
    ENCODING = "encoding"
    SECRETS = "secrets"
    CANARY = "canary"


class HostileSettings(BaseModel):
    """As settings should be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="Address of the system.")
    token: SecretStr = Field(description="Token of the system.")
    state_dir: Path = Field(description="Folder in which the connector keeps the key of its ids.")
    timeout_seconds: float = Field(default=10, description="How many seconds the system may be silent.")


class CarelessSettings(BaseModel):
    """As settings should not be."""

    url: str
    token: SecretStr
    state_dir: Path
    timeout_seconds: float = 10
