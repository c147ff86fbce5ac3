"""A connector that does wrong on purpose: what the conformance suite must find. It is not installed as a connector."""

from __future__ import annotations

from connectors.hostile.connector import connector
from connectors.hostile.settings import Misdeed

CONNECTOR = connector(frozenset(Misdeed))
