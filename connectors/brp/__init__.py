"""The BRP connector: person records in LO3 columns in, spookbewoning signals out."""

from __future__ import annotations

from connectors.brp.connector import ping, run
from connectors.brp.settings import BrpSettings
from hub.client import Connector

CONNECTOR = Connector(
    name="brp",
    summary="Reads BRP person records (LO3) and signals who no longer lives at the address.",
    kind="source",
    settings=BrpSettings,
    ping=ping,
    run=run,
)
