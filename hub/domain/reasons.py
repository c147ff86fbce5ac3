"""Every reason code that the hub itself can give: a Dutch sentence and what to do about it.

Rule files add codes of their own (`requires`, `refuse`), each with its own text.
Codes are stable: publishers build on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason code. `text` says what is the case, `advice` what the reader can do."""

    code: str
    text: str
    advice: str


def _table(*rows: tuple[str, str, str]) -> dict[str, Reason]:
    return {code: Reason(code, text, advice) for code, text, advice in rows}


ADMISSION: Final = _table(
    ("onleesbaar", "Het bericht is geen geldige JSON of Avro.", "Controleer de codering van het bericht."),
    ("envelop-ongeldig", "Een kenmerk van de envelop ontbreekt of klopt niet.", "Volg het NL GOV-profiel voor CloudEvents."),
    ("te-groot", "Het signaal is groter dan 64 KiB.", "Stuur een verwijzing in plaats van de inhoud."),
    ("type-onbekend", "Dit signaaltype bestaat niet.", "Vraag de lijst van typen op met `hub schemas list`."),
    ("deelnemer-onbekend", "Deze deelnemer staat niet in het register.", "Laat de deelnemer opnemen in participants.yaml."),
    ("afzender-klopt-niet", "De afzender in `source` hoort niet bij deze deelnemer.", "Gebruik urn:nld:oin:<oin>:systeem:<deelnemer>."),
    ("geen-publicatierecht", "Deze deelnemer mag dit signaaltype niet publiceren.", "Zie `publishers` in het contract van het type."),
    ("gemeente-niet-toegestaan", "Deze deelnemer mag niet voor deze gemeente publiceren.", "Publiceer alleen voor de eigen gemeente."),
    ("verboden-type", "Dit soort signaal mag nooit via de hub.", "Zie rules/forbidden.yaml voor de reden."),
    ("id-ongeldig", "Het id is leeg, te lang of heeft andere tekens dan A-Z a-z 0-9 . _ -", "Gebruik 1 tot 64 van die tekens."),
    ("id-bevat-bsn", "In het id of de keten staat een reeks cijfers die een BSN kan zijn.", "Gebruik een id zonder persoonsgegevens."),
    ("id-hergebruikt", "Dit id is al gebruikt voor een signaal met andere inhoud.", "Geef elk signaal een eigen id."),
    ("tijd-ongeldig", "De tijd is geen RFC 3339-tijdstip met zone.", "Schrijf bijvoorbeeld 2026-11-02T09:00:00+01:00."),
    ("tijd-in-toekomst", "De tijd ligt meer dan 5 minuten in de toekomst.", "Controleer de klok van het zendende systeem."),
    ("veld-ontbreekt", "Een verplicht veld ontbreekt.", "Vul het veld volgens het contract."),
    ("veld-onbekend", "Er staat een veld in dat het contract niet kent.", "Laat het veld weg: de hub bewaart niets extra."),
    ("verkeerd-type", "De waarde heeft niet het type van het contract.", "Stuur het type dat het contract noemt."),
    ("getal-te-groot", "Het getal past niet in het type van het contract.", "Controleer de eenheid, bijvoorbeeld eurocenten."),
    ("waarde-onbekend", "De code komt niet voor in de lijst van het contract.", "Gebruik een code uit het contract."),
    ("tekst-ongeldig", "De tekst is te lang of heeft regeleinden.", "Vrije tekst hoort niet in een signaal."),
    ("patroon-klopt-niet", "De waarde past niet op het patroon van het contract.", "Zie `pattern` bij het veld."),
    ("bevat-bsn", "In een veld dat niemand mag aanwijzen staat een reeks cijfers die een BSN kan zijn.", "Gebruik een code zonder persoonsgegevens."),
    ("datum-ongeldig", "Dit is geen bestaande datum.", "Schrijf jjjj-mm-dd."),
    ("tijdstip-ongeldig", "Dit is geen tijdstip met zone.", "Schrijf bijvoorbeeld 2026-11-02T09:00:00+01:00."),
    ("bsn-ongeldig", "Dit is geen geldig BSN (9 cijfers, 11-proef).", "Controleer het BSN in het bronsysteem."),
    ("gemeentecode-ongeldig", "Dit is geen gemeentecode van 4 cijfers.", "Gebruik de CBS-code, met voorloopnul."),
    ("bag-id-ongeldig", "Dit is geen BAG-id van 16 cijfers.", "Bewaar BAG-id's als tekst: de voorloopnul telt mee."),
    ("postcode-ongeldig", "Dit is geen postcode.", "Schrijf bijvoorbeeld 1234AB."),
    ("oin-ongeldig", "Dit is geen OIN van 20 posities.", "Zie het OIN-register."),
    ("cjib-nummer-ongeldig", "Dit is geen CJIB-nummer van 9 of 16 cijfers.", "Schrijf alleen de cijfers."),
    ("gba-datum-ongeldig", "Dit is geen datum jjjjmmdd met nullen voor wat onbekend is.", "Zie het Logisch Ontwerp BRP."),
    ("email-ongeldig", "Dit is geen e-mailadres.", "Controleer het adres of laat het veld leeg."),
    ("telefoon-ongeldig", "Dit is geen telefoonnummer.", "Schrijf bijvoorbeeld +31612345678."),
    ("brin-ongeldig", "Dit is geen BRIN-nummer.", "Schrijf 2 cijfers en 2 letters."),
    ("keten-onbekend", "Deze keten of dit eerdere signaal is niet van u, of bestaat niet.", "Noem een eigen signal_id of een ontvangen delivery_id."),
    ("oorzaak-ontbreekt", "Dit type is een antwoord: noem het signaal dat u beantwoordt.", "Geef causationid mee."),
    ("oorzaak-past-niet", "Dit type beantwoordt een ander soort signaal.", "Zie `answers` in het contract."),
    ("keten-niet-toegestaan", "Een anoniem signaal heeft geen keten, en is nooit de oorzaak van een signaal over een persoon.", "Laat correlationid en causationid weg."),
    ("niet-uw-signaal", "Alleen wie een signaal stuurde, kan het intrekken of corrigeren.", "Meld uw twijfel aan de afzender."),
    ("al-ingetrokken", "Dit signaal is al ingetrokken.", "U hoeft niets te doen."),
    ("al-gecorrigeerd", "Dit signaal is al vervangen door een ander.", "Trek het nieuwste signaal in, of corrigeer dat."),
    ("niet-intrekbaar", "Een intrekking, een bevestiging of een bericht van de hub kan niet worden ingetrokken.", "Stuur zo nodig een nieuw signaal."),
    ("origineel-gewist", "De inhoud van het eerdere signaal is gewist, dus er is niets meer te corrigeren.", "Stuur zo nodig een nieuw signaal."),
    ("correctie-ander-type", "Een correctie heeft hetzelfde type als het signaal dat zij vervangt.", "Trek het eerdere signaal in en stuur een nieuw."),
    ("correctie-andere-gemeente", "Een correctie verandert de gemeente niet.", "Trek het eerdere signaal in en stuur een nieuw."),
    ("correctie-andere-persoon", "Een correctie gaat over dezelfde persoon.", "Trek het eerdere signaal in en stuur een nieuw."),
    ("niets-te-bevestigen", "U kreeg onder dit nummer geen intrekking of correctie.", "Noem de delivery_id van de intrekking of correctie."),
    ("al-bevestigd", "U heeft de ontvangst al bevestigd.", "U hoeft niets te doen."),
    ("keten-andere-persoon", "Deze keten gaat over een andere persoon.", "Noem de keten van deze persoon, of laat hem weg."),
    ("zaak-onbekend", "In deze keten loopt geen zaak waar dit bij hoort.", "Noem de melding waarop u reageert."),
    ("zaak-bestaat-al", "In deze keten loopt al een zaak, of er is er een geweest.", "Begin een nieuwe keten."),
    ("staat-past-niet", "De zaak is niet (meer) in een staat waarin dit kan.", "Vraag de staat op met `hub cases show`."),
    ("al-gedaan", "U heeft dit al gedaan; er is niets dubbel gebeurd.", "U hoeft niets te doen."),
    ("ander-was-voor", "Een ander was u voor; er is niets dubbel gebeurd.", "U hoeft niets te doen."),
    ("stap-voorwaarde", "De zaak laat deze stap nu niet toe.", "Zie de regels van dit proces met `hub rules show`."),
    ("stap-al-gezet", "Dit signaal bracht een zaak verder en de zaak is daarna veranderd.", "Stuur het signaal dat bij de staat van nu past."),
    ("geen-afspraak", "Er is geen afspraak die deze partij en gemeente vandaag dekt.", "Zie rules/agreements.yaml."),
    ("regel-fout", "Een weigeringsregel kon niet worden uitgerekend; het signaal is voor de zekerheid geweigerd.", "De beheerder van de hub heeft een alarm gekregen."),
    ("interne-fout", "De hub kon dit signaal niet verwerken.", "De beheerder van de hub heeft een alarm gekregen; het signaal is bewaard."),
)  # fmt: skip

DECISION: Final = _table(
    ("volgens-regel", "De regel laat deze levering toe.", ""),
    ("geen-regel", "Er is geen regel die dit signaal aan iemand geeft.", ""),
    ("eigen-signaal", "Een signaal gaat nooit terug naar de afzender.", ""),
    ("ontvanger-onbekend", "Deze ontvanger is niet aangesloten op de hub.", "Laat de ontvanger opnemen in participants.yaml."),
    ("brp-geheimhouding", "Voor deze persoon geldt geheimhouding; alleen overheden mogen het signaal krijgen.", ""),
    ("grondslag-te-toetsen", "De grondslag is nog niet getoetst; daarmee mag niets naar echte organisaties.", "Laat de grondslag vaststellen."),
    ("voorwaarde-fout", "Een voorwaarde kon niet worden uitgerekend; er is niets geleverd.", "De beheerder van de hub heeft een alarm gekregen."),
    ("wacht-op-ruimte", "Het afgesproken aantal voor deze periode is bereikt; de levering wacht op de volgende.", ""),
    ("ruimte-vrij", "De wachtende levering past in de nieuwe periode.", ""),
    ("regel-vervallen", "Terwijl de levering wachtte verviel de regel, de afspraak of de geldigheid.", ""),
    ("volgt-niet", "De ontvanger kreeg in deze keten niet het signaal waarop dit volgt.", ""),
    ("wacht-op-oppakken", "De ontvanger krijgt dit pas als hij de melding oppakt.", ""),
    ("opgepakt", "De ontvanger heeft de melding opgepakt.", ""),
    ("ingetrokken", "De afzender heeft het signaal ingetrokken; wie het kreeg, hoort dat.", ""),
    ("gecorrigeerd", "De afzender heeft het signaal vervangen door een ander; wie het kreeg, hoort dat.", ""),
    ("vervangt-wachtend", "Deze levering neemt de plaats in van het gecorrigeerde signaal in de wachtrij.", ""),
    ("bewaartermijn-verstreken", "Terwijl de levering wachtte verstreek de bewaartermijn.", ""),
)  # fmt: skip

REASONS: Final = ADMISSION | DECISION


def text_of(code: str) -> str:
    """Return the Dutch sentence of a code of the hub, or a general one for a rule's own code."""
    reason = REASONS.get(code)
    return reason.text if reason else f"Aan een voorwaarde van de regel is niet voldaan ({code})."
