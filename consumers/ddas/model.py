"""The delivery as DDAS Vroegsignalering v1.2 describes it, as far as a hub can fill it.

Names and values are those of the exchange model (VNG-Realisatie/ddas-vroegsignalering). What a municipality
does not learn through the hub has no place here; all of that is optional there.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Partner = Literal["Energie", "Huur", "Water", "Zorg"]
Status = Literal["Nog niet opgepakt", "Opgepakt"]


class _Part(BaseModel):
    """A part of the delivery; absent when None."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class Signaalpartner(_Part):
    """The kind of partner that reported; which one is not delivered."""

    type: Partner | None


class Client(_Part):
    """The person, by address; the hub gives a municipality no BSN here."""

    geboortedatum: date | None
    postcode: str = Field(pattern=r"^[1-9][0-9]{3}[A-Z]{2}$")
    huisnummer: str = Field(pattern=r"^[1-9][0-9]{0,4}$")
    huisnummertoevoeging: str | None


class Vroegsignaal(_Part):
    """One arrear of one partner."""

    id: str = Field(alias="ID")
    crisissignaal: bool | None
    bedrag: int
    """Whole euros."""
    signaaldatum: date | None
    status: Status | None
    signaalpartner: Signaalpartner
    client: Client


class Reference(_Part):
    """Names a vroegsignaal of the same delivery."""

    id: str = Field(alias="ID")


class Vroegsignaalzaak(_Part):
    """What the municipality did about a vroegsignaal."""

    datum_opgepakt: date
    vroegsignalen: tuple[Reference, ...] = Field(min_length=1)


class Contactpersoon(_Part):
    """A desk, not a person."""

    email: str


class Organisatie(_Part):
    """Who delivers."""

    naam: str | None
    kvk_nummer: str | None = Field(alias="kvk-nummer")
    contactpersonen: tuple[Contactpersoon, ...] | None


class Levering(_Part):
    """What one municipality delivers."""

    teller: int
    gemeentecode: str
    aanleverende_organisatie: Organisatie
    vroegsignalen: tuple[Vroegsignaal, ...]
    vroegsignaalzaken: tuple[Vroegsignaalzaak, ...]


class Uitwisselmodel(_Part):
    """The whole document."""

    code_gegevensleverancier: str
    startdatum_levering: date
    einddatum_levering: date
    aanleverdatum_en_tijd: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")
    leveringen: tuple[Levering, ...] = Field(min_length=1)

    def as_json(self) -> str:
        """Return the document; the same delivery gives the same text."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=1) + "\n"
