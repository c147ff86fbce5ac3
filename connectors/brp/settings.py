"""What the BRP connector needs to know before it runs."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class BrpSettings(BaseModel):
    """Where the person records are, and where the connector keeps the key of its ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path = Field(description="The file with person records: LO3 columns, `;` between them, UTF-8.")
    state_dir: Path = Field(
        default=Path(".hub/connectors/brp"),
        description="The folder in which the connector keeps `id.key`, made at the first run. "
        "With another key the same file gives other signal ids, so keep it with the home.",
    )
