"""The chapters with memory: a benefit that is paused, a pause that is broken, a CJIB pause, a withdrawal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hub import cases, recalls
from hub.client import NewSignal
from hub.placing import CONFIRMED, WITHDRAWN

if TYPE_CHECKING:
    from hub.client import Receipt
    from hub.demo import Demo

PW: Final = "nl.participatiewet."
WAHV: Final = "nl.wahv."
REMINDER: Final = "nl.signaalhub.herinnering.v1"
GUARD: Final = "maatregel-uitvoeren"
UTRECHT: Final = "0344"


def benefit(demo: Demo) -> str:
    """From announcement through pick-up, pause and outcome. Returns the signal_id of the pause."""
    office, team, enforcement = f"werk-en-inkomen.{UTRECHT}", f"buurtteam.{UTRECHT}", f"handhaving.{UTRECHT}"
    demo.at("2026-12-07T09:15")
    announced = _announce(demo, office, bsn="999990019", name="Voorbeeld", planned="2026-12-21")
    alert = demo.newest(team)
    fields = ", ".join(name for name in alert["data"] if name not in {"contactrol", "betrokkene_geinformeerd", "lopend_hulptraject"})
    demo.answer(team, f"{PW}melding-opgepakt.v1", alert, reden="CONTACT_ZOEKEN", contactrol="buurtteam-zuid")
    identity = demo.newest(team)["data"]
    asked = demo.answer(
        team, f"{PW}pauze-gevraagd.v1", alert, reden="HUISBEZOEK_GEPLAND", gevraagd_op="2026-12-07", contactrol="buurtteam-zuid"
    )
    closed = cases.may(demo.hub, GUARD, office, announced.correlation or "")
    demo.at("2026-12-08T10:00")
    demo.follow(
        office, f"{PW}pauze-ingesteld.v1", announced, ingangsdatum="2026-12-08", herzien_op="2027-01-15", beslisser="CONSULENT_WENI",
        voorwaarden=["GESPREK"], huisarts_aangeboden=None, onderzoek_door="BUURTTEAM",
    )  # fmt: skip
    seen = ", ".join(demo.newest(enforcement)["data"])
    demo.at("2027-01-13T00:00")
    reminder = demo.newest(office)["data"]
    demo.at("2027-01-14T11:00")
    demo.follow(office, f"{PW}pauze-afgerond.v1", announced, uitkomst="VOORTGEZET", ingangsdatum="2027-01-14", vervolg_aangeboden=True)
    outcome = demo.newest(team)["data"]["uitkomst"]
    demo.story.tells("Een uitkering dreigt te stoppen (Utrecht, december)", [
        f"Het buurtteam ziet {fields}; pas na oppakken ook {', '.join(identity)}",
        f"Pauze gevraagd. Mag de maatregel nu? {_said(closed)}. Na het besluit ziet Handhaving {seen}",
        f"Twee werkdagen voor {_day(reminder['uiterlijk'])}: {reminder['code']}. Uitkomst voor het buurtteam: {outcome}",
    ])  # fmt: skip
    return asked.signal_id or ""


def broken(demo: Demo) -> None:
    """A measure that is carried out during a pause: the fact is accepted, and everyone in the case hears it at once."""
    office, team = f"werk-en-inkomen.{UTRECHT}", f"buurtteam.{UTRECHT}"
    demo.at("2027-01-18T09:00")
    announced = _announce(demo, office, bsn="999993653", name="Proefpersoon", planned="2027-02-01", known=True)
    demo.answer(
        team, f"{PW}pauze-gevraagd.v1", demo.newest(team), reden="CONTACT_LOOPT", gevraagd_op="2027-01-18", contactrol="buurtteam-zuid"
    )
    done = demo.publish(office, [NewSignal(type=f"{PW}maatregel-uitgevoerd.v1", correlation=announced.correlation, data={
        "gemeentecode": UTRECHT, "bsn": "999993653", "maatregelsoort": "BEEINDIGING", "uitgevoerd_op": "2027-01-18",
        "betrokkene_geinformeerd": "JA", "contactrol": "loket-inkomen",
    })])[0]  # fmt: skip
    heard = [who for who in (office, f"handhaving.{UTRECHT}", team) if any(_is(d, "pauze-doorbroken") for d in demo.received(who))]
    demo.story.tells("Een pauze wordt doorbroken (Utrecht, januari)", [
        f"Toch uitgevoerd: het feit wordt {_accepted(done)}; meteen horen het {', '.join(heard)}",
    ])  # fmt: skip


def fines(demo: Demo) -> None:
    """A CJIB pause: a request holds nothing, the decision does, and the helper is reminded before it ends."""
    helper = f"schuldhulp.{UTRECHT}"
    demo.at("2027-01-20T10:00")
    asked = demo.publish(helper, [NewSignal(type=f"{WAHV}pauze-verzocht.v1", data={
        "gemeentecode": UTRECHT, "persoonskenmerk": "3f0c1a52-6a57-4d3b-9d0e-5b7a1c2d3e4f", "cjib_zaaknummers": ["155554660"],
        "zaaksoort": "WAHV", "verzoeksoort": "INNING_AANHOUDEN", "onderdeel": None, "gevraagd_tot": "2027-03-15", "verlenging": False,
        "gemeentebesluit_op": None, "bewijs_ref": None, "machtiging_ref": "MACHT-2027-12", "betaalcapaciteit_cent_per_maand": 4_500,
        "betrokkene_geinformeerd": "JA", "contactrol": "loket-12",
    })])[0]  # fmt: skip
    before = cases.may(demo.hub, "inning-voortzetten", helper, asked.correlation or "")
    request = demo.newest("cjib")
    hidden = {"persoonskenmerk", "zaaksoort", "betrokkene_geinformeerd"} - request["data"].keys()
    demo.at("2027-01-22T10:00")
    demo.answer(
        "cjib", f"{WAHV}pauze-besluit.v1", request, besluit="TOEGEWEZEN", na_taak=False, gijzeling_aangehouden=False,
        onderdelen=[{"onderdeel": "INITIELE_BOETE", "actie": "AANHOUDEN"}], cjib_zaaknummers=["155554660"], bedrag_cent_per_maand=None,
        tot="2027-03-15", redencode="GEEN",
    )  # fmt: skip
    after = cases.may(demo.hub, "inning-voortzetten", helper, asked.correlation or "")
    demo.at("2027-03-01T00:00")
    reminder = demo.newest(helper)["data"]
    demo.story.tells("Het CJIB pauzeert een boete (tot half maart)", [
        f"Schuldhulp vraagt; het CJIB ziet geen {', geen '.join(sorted(hidden))}",
        f"Mag de inning door? Na het verzoek: {_said(before)}; na het besluit: {_said(after)}",
        f"Veertien dagen voor {_day(reminder['uiterlijk'])} hoort schuldhulp: {reminder['code']}",
    ])  # fmt: skip


def withdrawal(demo: Demo, original: Receipt) -> None:
    """A withdrawal reaches who got the original, and is confirmed."""
    demo.at("2027-01-19T09:00")
    demo.publish("burgerzaken.0855", [NewSignal(type=WITHDRAWN, data={"redencode": "ONTERECHT"}, cause=original.signal_id)])
    told = demo.newest("toeslagen")
    open_before = sum(entry["unconfirmed"] for entry in recalls.listing(demo.hub, everything=True))
    demo.answer("toeslagen", CONFIRMED, told, resultaat="VERWERKT")
    open_after = sum(entry["unconfirmed"] for entry in recalls.listing(demo.hub, everything=True))
    demo.story.tells("Tilburg trekt een adressignaal in: de persoon woont er toch (januari)", [
        f"Toeslagen hoort het ({told['data']['redencode']}) en bevestigt: {open_before} nog te bevestigen, daarna {open_after}",
    ])  # fmt: skip


def _announce(demo: Demo, office: str, *, bsn: str, name: str, planned: str, known: bool = False) -> Receipt:
    data = {
        "gemeentecode": UTRECHT, "bsn": bsn, "achternaam": name, "geboortedatum": "19700101", "maatregelsoort": "BEEINDIGING",
        "aanleiding": "NIET_VERSCHENEN", "aantal_contactpogingen": 2, "gepland_op": planned, "bezwaar_tot": None,
        "extra_contact_nodig": False, "lopend_hulptraject": "JA" if known else "NEE", "betrokkene_geinformeerd": "NEE_NIET_BEREIKBAAR",
        "contactrol": "loket-inkomen",
    }  # fmt: skip
    return demo.publish(office, [NewSignal(type=f"{PW}maatregel-voorgenomen.v1", data=data)])[0]


def _is(delivery: dict[str, Any], code: str) -> bool:
    return bool(delivery["type"] == REMINDER and delivery["data"]["code"] == code)


def _said(answer: cases.Answer) -> str:
    return "ja" if answer.allowed else f"nee ({answer.code})"


def _accepted(receipt: Receipt) -> str:
    return "aangenomen" if receipt.status == "accepted" else "geweigerd"


def _day(iso: str | None) -> str:
    year, month, day = (iso or "0000-00-00").split("-")
    return f"{int(day)}-{int(month)}-{year}"
