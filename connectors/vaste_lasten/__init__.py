"""The vaste-lasten connector: partners' files with arrears in, signals for schuldhulp out, a receipt back."""

from __future__ import annotations

from connectors.vaste_lasten.connector import ping, run
from connectors.vaste_lasten.settings import VasteLastenSettings
from hub.client import Connector

CONNECTOR = Connector(
    name="vaste_lasten",
    summary="Takes partners' files with arrears from a folder or over SFTP, and answers each row in a receipt.",
    kind="source",
    settings=VasteLastenSettings,
    ping=ping,
    run=run,
)
