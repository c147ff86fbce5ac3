"""What the connector of Werk en Inkomen must be told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class WerkEnInkomenSettings(BaseModel):
    """Each is an option of `hub connector run werk_en_inkomen`, or HUB_WERK_EN_INKOMEN_<SETTING>."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: SecretStr = Field(
        description="The benefit system's database, as SQLAlchemy has it: `postgresql+psycopg://...` or `sqlite:///...`. "
        "It holds a password, so give it as HUB_WERK_EN_INKOMEN_DATABASE_URL."
    )
    timeout_seconds: float = Field(default=10.0, gt=0, description="How long the database may stay silent, or keep a row from us.")
