"""The CJIB connector: requests of helpers out to the CJIB, its decisions and announced measures back as signals."""

from __future__ import annotations

from connectors.cjib.connector import ping, run
from connectors.cjib.settings import CjibSettings
from hub.client import Connector

CONNECTOR = Connector(
    name="cjib",
    summary="Hands requests and reminders to the CJIB, publishes what it decides and plans, and tells it what may be done now.",
    kind="both",
    settings=CjibSettings,
    ping=ping,
    run=run,
)
