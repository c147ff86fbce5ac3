"""Reads back what schuldhulp received and answered, and writes the file: the I/O of the export."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from consumers.ddas.model import Contactpersoon, Levering, Organisatie, Uitwisselmodel
from consumers.ddas.translate import AMSTERDAM, TYPES, Period, standing, vroegsignaal, vroegsignaalzaak
from hub.client import RunReport
from hub.errors import StopError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from consumers.ddas.settings import DdasSettings
    from consumers.ddas.translate import Melding
    from hub.client import Gateway, Track


def run(settings: DdasSettings, gateway: Gateway, track: Track) -> RunReport:
    """Write the delivery of one municipality and month, whole or not at all. Running it again replaces the file.

    Nothing is published and no mailbox moves. The report counts deliveries of arrears: in the file, or why not; and the
    answers that the file tells of.

    Raises:
        UsageError: The month is not over, or there is no such municipality.
        StopError: Part of the month is not kept any more, or the file cannot be written.
    """
    period = Period.of(settings.month)
    now = gateway.now()
    if now.astimezone(AMSTERDAM).date() <= period.last:
        raise UsageError("the month is not over yet", "run it from the first day of the next month on")
    report = RunReport()
    told: list[Melding] = []
    meldingen = standing(gateway.history(f"schuldhulp.{settings.municipality}", TYPES))
    for melding in track(meldingen, total=len(meldingen), label="DDAS"):
        report.read += 1 + melding.corrections
        report.skipped["gecorrigeerd"] += melding.corrections
        if reason := melding.left_out(period):
            report.skipped[reason] += 1
            continue
        told.append(melding)
        report.delivered += 1
        report.answers.update(said.lower().replace("_", "-") for said, _ in melding.until(period.last))
    report.skipped = +report.skipped
    if gone := sum(melding.data is None for melding in told):
        raise StopError(
            f"of {gone} signals of that month the content is not kept any more, so the delivery would not be whole",
            "run the export sooner after the month; the rules say how long signals are kept",
        )
    _write(
        settings.file or settings.state_dir / f"ddas-{settings.municipality}-{settings.month}.json", _document(settings, now, period, told)
    )
    return report


def _document(settings: DdasSettings, now: datetime, period: Period, told: list[Melding]) -> Uitwisselmodel:
    desk = None if settings.contact_email is None else (Contactpersoon(email=settings.contact_email),)
    zaken = (vroegsignaalzaak(melding, period) for melding in told)
    levering = Levering(
        teller=1,
        gemeentecode=settings.municipality,
        aanleverende_organisatie=Organisatie(naam=settings.organisation, kvk_nummer=settings.kvk_number, contactpersonen=desk),
        vroegsignalen=tuple(vroegsignaal(melding, period) for melding in told),
        vroegsignaalzaken=tuple(zaak for zaak in zaken if zaak is not None),
    )
    return Uitwisselmodel(
        code_gegevensleverancier=settings.supplier,
        startdatum_levering=period.first,
        einddatum_levering=period.last,
        aanleverdatum_en_tijd=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        leveringen=(levering,),
    )


def _write(file: Path, document: Uitwisselmodel) -> None:
    """Write the file for its owner only; who looks sees the old one or the new one, never half."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=".ddas-")  # its mode is 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(document.as_json())
                stream.flush()
                os.fsync(stream.fileno())
            Path(draft).replace(file)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise StopError(
            f"{file}: cannot be written ({error.strerror or 'unknown error'})", "give a file where this account may write"
        ) from None
