"""What the DDAS export needs to know before it runs."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class DdasSettings(BaseModel):
    """Which municipality and month, where the file goes, and who delivers it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    municipality: str = Field(pattern=r"^[0-9]{4}$", description="The CBS code of the municipality: four digits.")
    month: str = Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", description="The month that the delivery covers, as 2026-10.")
    file: Path | None = Field(
        default=None,
        description="The file to write, replaced if it is there; by default `ddas-<municipality>-<month>.json` in state_dir. "
        "It holds personal data and is for its owner only.",
    )
    state_dir: Path = Field(default=Path(".hub/connectors/ddas"), description="The folder for the file when no file is given.")
    supplier: str = Field(
        default="Signaalhub",
        min_length=1,
        description="codeGegevensleverancier: the name of the software supplier, until CBS gives a code.",
    )
    organisation: str | None = Field(default=None, max_length=200, description="The name of the organisation that delivers.")
    kvk_number: str | None = Field(default=None, pattern=r"^[0-9]{8}$", description="Its number in the trade register: eight digits.")
    contact_email: str | None = Field(
        default=None, pattern=r"^[^@\s]+@[^@\s]+$", description="The mail address of the desk that answers questions about the delivery."
    )
