"""What the BRP connector needs to know before it runs."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class BrpSettings(BaseModel):
    """Where the BRP is read, a file or the API, and where the connector keeps what it needs.

    Either `file`, or `api_url` with `municipality` and `persons`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path | None = Field(default=None, description="The file with person records: LO3 columns, `;` between them, UTF-8.")
    api_url: str | None = Field(default=None, description="The address of the BRP personen API, without `/personen`.")
    token: SecretStr | None = Field(default=None, description="The bearer token for the API.")
    municipality: str | None = Field(
        default=None, pattern=r"^[0-9]{4}$", description="The CBS code of the municipality whose investigations are polled."
    )
    persons: Path | None = Field(
        default=None,
        description="The list of who is under investigation: a burgerservicenummer a line, kept by burgerzaken. Nobody else is asked for. "
        "Someone stays on it until the end of the investigation has been seen.",
    )
    notified: Path | None = Field(
        default=None,
        description="A burgerservicenummer a line, of those about whom the BRP sent a notification: then only these are asked for, and "
        "only if they are on the list.",
    )
    timeout_seconds: float = Field(default=10.0, gt=0, description="How long the API may stay silent.")
    state_dir: Path = Field(
        default=Path(".hub/connectors/brp"),
        description="The folder in which the connector keeps `id.key`, made at the first run, and what it saw before. "
        "With another key the same facts give other signal ids, so keep it with the home.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> BrpSettings:
        if (self.file is None) == (self.api_url is None):
            msg = "give either file or api_url"
            raise ValueError(msg)
        if self.api_url is not None and (self.municipality is None or self.persons is None):
            msg = "api_url needs municipality and persons"
            raise ValueError(msg)
        return self
