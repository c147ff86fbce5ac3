"""The DDAS export: vroegsignalen and what became of them, from a municipality to Statistics Netherlands (CBS)."""

from __future__ import annotations

from consumers.ddas.consumer import run
from consumers.ddas.settings import DdasSettings
from hub.client import Consumer

CONSUMER = Consumer(
    name="ddas",
    summary="Writes the national delivery of vroegsignalen of one municipality and month (DDAS Vroegsignalering v1.2).",
    settings=DdasSettings,
    run=run,
)
