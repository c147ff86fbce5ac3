"""What the CJIB connector must be told."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class CjibSettings(BaseModel):
    """Each is an option of `hub connector run cjib`, or HUB_CJIB_<SETTING>."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="The address of the CJIB's service for requests, without `/verzoeken`.")
    token: SecretStr = Field(description="The bearer token that the CJIB gave; better in the environment than as an option.")
    timeout_seconds: float = Field(default=10.0, gt=0, description="How many seconds the service may stay silent.")
    state_dir: Path = Field(
        default=Path(".hub/connectors/cjib"),
        description="The folder in which the connector keeps up to where it read, and which signal came of which message. "
        "Keep it with the home.",
    )
