"""The BRP connector: person records in LO3 columns or answers of the personen API in, spookbewoning signals out."""

from __future__ import annotations

from connectors.brp.connector import ping, run
from connectors.brp.settings import BrpSettings
from hub.client import Connector

CONNECTOR = Connector(
    name="brp",
    summary="Reads the BRP (an LO3 file, or the personen API) and signals who no longer lives at the address.",
    kind="source",
    settings=BrpSettings,
    ping=ping,
    run=run,
)
