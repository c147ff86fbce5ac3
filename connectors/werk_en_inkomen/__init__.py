"""The connector of Werk en Inkomen: announced measures from the benefit system's database, the guard's answer back into it."""

from __future__ import annotations

from connectors.werk_en_inkomen.connector import ping, run
from connectors.werk_en_inkomen.settings import WerkEnInkomenSettings
from hub.client import Connector

CONNECTOR = Connector(
    name="werk_en_inkomen",
    summary="Announces measures from an outbox in the benefit system's database, and writes there whether each may be carried out now.",
    kind="source",
    settings=WerkEnInkomenSettings,
    ping=ping,
    run=run,
)
