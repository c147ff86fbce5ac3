"""The Toeslagen connector: address signals out to Dienst Toeslagen, its answers back as signals."""

from __future__ import annotations

from connectors.toeslagen.connector import ping, run
from connectors.toeslagen.settings import ToeslagenSettings
from hub.client import Connector

CONNECTOR = Connector(
    name="toeslagen",
    summary="Hands address signals, corrections and withdrawals to Dienst Toeslagen, and publishes what it answers.",
    kind="both",
    settings=ToeslagenSettings,
    ping=ping,
    run=run,
)
