"""What the Toeslagen connector must be told."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class ToeslagenSettings(BaseModel):
    """Each is an option of `hub connector run toeslagen`, or HUB_TOESLAGEN_<SETTING>."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="The address of Toeslagen's service for address signals, without `/adressignalen`.")
    token: SecretStr = Field(description="The bearer token that Toeslagen gave; better in the environment than as an option.")
    timeout_seconds: float = Field(default=10.0, gt=0, description="How many seconds the service may stay silent.")
    state_dir: Path = Field(
        default=Path(".hub/connectors/toeslagen"),
        description="The folder in which the connector keeps which deliveries Toeslagen still has to answer. Keep it with the home.",
    )
