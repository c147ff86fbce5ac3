"""Configuration of a hub, from options and from the environment (`HUB_...`)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class HubSettings(BaseSettings):
    """Where a hub lives and what it runs on. With none of them it runs embedded in `./.hub`."""

    model_config = SettingsConfigDict(env_prefix="HUB_", frozen=True, extra="ignore")

    home: Path = Field(default=Path(".hub"), description="Folder with the keys, the locks and the embedded database.")
    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL, as postgresql+psycopg://user:password@host/name; without it SQLite in the home."
    )
    kafka_bootstrap: str | None = Field(default=None, description="Brokers of Kafka, as host:port,...; else topics live in the database.")
    kafka_user: str | None = Field(default=None, description="User for SASL/SCRAM-SHA-512 over TLS; without it the connection is plain.")
    kafka_password: SecretStr | None = Field(default=None, description="Password of that user.")
    kafka_ca: Path | None = Field(default=None, description="File with the certificates of the authority that signs for the brokers.")
    kafka_session_ms: int = Field(
        default=10_000, ge=1_000, description="After how many milliseconds of silence the topics of a router go to another."
    )
    kafka_instance: str | None = Field(default=None, description="Name of this router among routers; it keeps its partitions at a restart.")
    health_port: int | None = Field(default=None, ge=0, le=65_535, description="Port of /live, /ready and /metrics; none without it.")
    health_host: str = Field(default="127.0.0.1", description="Address on which that port listens.")
    unsent_alarm_seconds: int = Field(
        default=300, ge=1, description="From which age on a delivery that could leave and has not is counted, listed and logged."
    )
    rules_dir: Path | None = Field(default=None, description="Folder of rule files; ./rules, else the package's.")
    schemas_dir: Path | None = Field(default=None, description="Folder of schemas; ./schemas, else the package's.")
    master_key: SecretStr | None = Field(
        default=None, description="Base64 of the 32-byte master key; without it the home keeps its own key file."
    )
    oin: str = Field(default="00000099000000000000", description="OIN of the organisation that runs the hub; a test OIN by default.")
    log_level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        default="warning", description="debug, info, warning or error; logs go to standard error."
    )


def from_environment(prefix: str, names: Iterable[str]) -> dict[str, str]:
    """Return the settings that the environment gives under a prefix, by name."""
    found = {name: os.environ.get(prefix + name.upper()) for name in names}
    return {name: value for name, value in found.items() if value is not None}
