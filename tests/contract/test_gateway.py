"""What a connector may count on, kept by the gateway of a real hub and by the one in memory that connectors are tested with."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.kit.memory import MemoryGateway
from hub.app import Hub
from hub.client import Delivery, Gateway, GuardAnswer, NewSignal
from hub.errors import RetryLaterError, StopError, UsageError
from hub.gateway import BATCH, HubGateway
from hub.transport.base import OUT, Message
from tests.integration.support import TAX, TILBURG
from tests.sample import ADDRESS, DEBT, address

MAY = "maatregel-uitvoeren"


class GatewaySuite(ABC):
    """The promises of `hub.client.Gateway`."""

    @abstractmethod
    def deliver(self, count: int) -> None:
        """See to it that so many more deliveries lie in the mailbox of Toeslagen."""

    @pytest.fixture
    @abstractmethod
    def gateway(self) -> Gateway:
        """Return the gateway under test."""

    @abstractmethod
    def repeat(self) -> None:
        """See to it that the first of these comes once more, after all others."""

    def sequences(self, deliveries: Sequence[Delivery]) -> list[int]:
        return [delivery.sequence for delivery in deliveries]

    def test_receipts_come_in_order_and_an_id_counts_once_for_each_participant(self, gateway: Gateway) -> None:
        first = gateway.publish(TILBURG, [named("a"), named("b")])
        assert [(receipt.id, receipt.status) for receipt in first] == [("a", "accepted"), ("b", "accepted")]
        again = gateway.publish(TILBURG, [named("b"), named("c")])
        assert [(receipt.id, receipt.status) for receipt in again] == [("b", "duplicate"), ("c", "accepted")]
        assert again[0].signal_id == first[1].signal_id
        assert again[0].correlation == first[1].correlation
        assert gateway.publish("burgerzaken.0344", [named("a", gemeentecode="0344")])[0].status == "accepted"

    def test_a_signal_without_an_id_is_new_each_time(self, gateway: Gateway) -> None:
        assert [gateway.publish(TILBURG, [address()])[0].status for _ in range(2)] == ["accepted", "accepted"]

    def test_deliveries_come_in_order_and_up_to_the_limit(self, gateway: Gateway) -> None:
        self.deliver(5)
        with gateway.mailbox(TAX, "lezer") as mailbox:
            assert [self.sequences(mailbox.next(2)) for _ in range(4)] == [[1, 2], [3, 4], [5], []]

    def test_what_is_not_done_comes_again_and_what_is_done_does_not(self, gateway: Gateway) -> None:
        self.deliver(4)
        with gateway.mailbox(TAX, "lezer") as mailbox:
            mailbox.done(mailbox.next(2))
            mailbox.next(2)
        with gateway.mailbox(TAX, "lezer") as mailbox:
            assert self.sequences(mailbox.next(1)) == [3]

    def test_done_counts_for_all_that_came_before(self, gateway: Gateway) -> None:
        self.deliver(3)
        with gateway.mailbox(TAX, "lezer") as mailbox:
            mailbox.done(mailbox.next(3)[1:2])
        with gateway.mailbox(TAX, "lezer") as mailbox:
            assert self.sequences(mailbox.next()) == [3]

    def test_done_counts_for_the_first_of_what_came_again(self, gateway: Gateway) -> None:
        self.deliver(2)
        with gateway.mailbox(TAX, "leest-vooruit") as mailbox:
            mailbox.next()
        self.repeat()
        with gateway.mailbox(TAX, "lezer") as mailbox:
            found = mailbox.next()
            assert self.sequences(found) == [1, 2, 1]
            mailbox.done(found[:1])
        with gateway.mailbox(TAX, "lezer") as mailbox:
            found = mailbox.next()
            assert self.sequences(found) == [2, 1]
            mailbox.done(found)
            assert mailbox.next() == []

    def test_done_with_nothing_is_nothing(self, gateway: Gateway) -> None:
        self.deliver(1)
        with gateway.mailbox(TAX, "lezer") as mailbox:
            mailbox.done([])
            mailbox.next()
        with gateway.mailbox(TAX, "lezer") as mailbox:
            assert self.sequences(mailbox.next()) == [1]

    def test_each_reader_keeps_its_own_place(self, gateway: Gateway) -> None:
        self.deliver(2)
        for reader in ("een", "twee"):
            with gateway.mailbox(TAX, reader) as mailbox:
                found = mailbox.next()
                assert self.sequences(found) == [1, 2]
                mailbox.done(found)

    def test_what_comes_later_is_found(self, gateway: Gateway) -> None:
        with gateway.mailbox(TAX, "lezer") as mailbox:
            assert mailbox.next() == []
            self.deliver(1)
            assert self.sequences(mailbox.next()) == [1]

    def test_a_delivery_is_whole_and_its_repr_shows_no_data(self, gateway: Gateway) -> None:
        self.deliver(1)
        with gateway.mailbox(TAX, "lezer") as mailbox:
            (found,) = mailbox.next()
        assert (found.type, found.recipient) == (ADDRESS, TAX)
        assert found.delivery_id
        assert found.data["bsn"] == "999990019"
        assert "999990019" not in repr(found)

    def test_what_was_exchanged_is_read_back_as_often_as_one_likes(self, gateway: Gateway) -> None:
        self.deliver(2)
        (receipt,) = gateway.publish(TILBURG, [named("a")])
        with gateway.mailbox(TAX, "lezer") as mailbox:
            found = mailbox.next(2)
            mailbox.done(found)
        for _ in range(2):
            got = [item for item in gateway.history(TAX, [ADDRESS]) if item.id in {delivery.delivery_id for delivery in found}]
            assert [(item.id, item.own, item.waited) for item in got] == [(delivery.delivery_id, False, False) for delivery in found]
            assert [item.time for item in got] == [datetime(2026, 11, 2, 8, tzinfo=UTC)] * 2
            assert got[0].data == found[0].data
            sent = {item.id: item for item in gateway.history(TILBURG, [ADDRESS, DEBT])}[str(receipt.signal_id)]
            assert (sent.own, sent.type, (sent.data or {})["bsn"]) == (True, ADDRESS, "999990019")
            assert "999990019" not in repr([got, sent])
        assert not list(gateway.history(TAX, [DEBT]))
        assert not list(gateway.history("burgerzaken.0344", [ADDRESS]))

    def test_a_keten_that_nobody_knows_is_closed(self, gateway: Gateway) -> None:
        answer = gateway.may("werk-en-inkomen.0344", "niets", MAY)
        assert (answer.open, answer.code) == (False, "keten-onbekend")

    def test_the_clock_is_the_hubs(self, gateway: Gateway) -> None:
        assert gateway.now() == datetime(2026, 11, 2, 8, tzinfo=UTC)


class TestMemory(GatewaySuite):
    """A hub in memory."""

    @pytest.fixture
    def gateway(self) -> MemoryGateway:
        self.made = MemoryGateway()
        return self.made

    def deliver(self, count: int) -> None:
        for _ in range(count):
            number = len(self.made.deliveries) // 2 + 1
            self.made.deliveries += [delivery(number, recipient) for recipient in (TAX, "toeslagen.0344")]

    def repeat(self) -> None:
        self.made.deliveries.append(self.made.deliveries[0])

    def test_each_step_may_be_the_last(self) -> None:
        steps: list[str] = []
        memory = MemoryGateway(step=steps.append)
        memory.publish(TILBURG, [address(), address()])
        memory.may(TILBURG, "k", MAY)
        with memory.mailbox(TAX, "lezer") as mailbox:
            mailbox.done(mailbox.next())
        assert steps == ["publish", "publish", "published", "may", "next", "done", "did"]

    def test_what_is_refused_is_not_kept(self) -> None:
        memory = MemoryGateway(refuse=lambda signal: "nee" if signal.id == "a" else None)
        receipts = memory.publish(TILBURG, [named("a"), named("b")])
        assert [receipt.status for receipt in receipts] == ["rejected", "accepted"]
        assert receipts[0].errors[0].code == "nee"
        assert [signal.id for _, signal in memory.published] == ["b"]

    def test_a_pause_moves_the_clock(self) -> None:
        memory = MemoryGateway()
        memory.pause(90)
        assert (memory.now().minute, memory.now().second, memory.pauses) == (1, 30, [90])

    def test_a_guard_answers_what_it_was_given(self) -> None:
        memory = MemoryGateway(guards={("p", "k", MAY): GuardAnswer(open=True)})
        assert memory.may("p", "k", MAY).open
        assert not memory.may("q", "k", MAY).open


def named(id_: str, **changed: Any) -> NewSignal:
    """Return a signal with an id."""
    return replace(address(**changed), id=id_)


def delivery(number: int, recipient: str = TAX) -> Delivery:
    """Return one of many deliveries."""
    return Delivery(delivery_id=f"{recipient}-{number}", type=ADDRESS, grant="spookbewoning.toeslagen", purpose="Toeslagen", recipient=recipient,
                    sequence=number, time="2026-11-02T08:00:00Z", data={"bsn": "999990019"})  # fmt: skip


class TestHub(GatewaySuite):
    """A real hub, in which nothing else runs."""

    @pytest.fixture
    def gateway(self, hub: Hub) -> HubGateway:
        self.hub = hub
        return HubGateway(hub)

    def deliver(self, count: int) -> None:
        signals = [address(bag_id=f"0855010000{number:06d}") for number in range(count)]
        assert {receipt.status for receipt in self.hub.publish(TILBURG, signals)} == {"accepted"}

    def repeat(self) -> None:
        self.hub.transport.send(OUT + TAX, [self.hub.received_by(TAX)[0].message])

    def test_only_what_is_for_that_very_recipient_is_read(self, hub: Hub, gateway: Gateway) -> None:
        for other in ("toeslagen.0344", "toeslagen-oost"):
            hub.transport.send(OUT + other, [Message(b"not readable at all", {"ce_id": b"x"})])
        self.deliver(1)
        with gateway.mailbox(TAX, "lezer") as mailbox:
            found = mailbox.next()
            assert self.sequences(found) == [1]
            mailbox.done(found)
            assert mailbox.next() == []

    def test_a_reader_that_is_read_already_gives_nothing(self, gateway: Gateway) -> None:
        self.deliver(1)
        with gateway.mailbox(TAX, "lezer") as mailbox:
            assert mailbox.next()
            with gateway.mailbox(TAX, "lezer") as other:
                assert other.next() == []

    def test_where_a_relay_runs_beside_it_nothing_is_sent_from_here(self, hub: Hub) -> None:
        self.hub = hub
        self.deliver(1)
        with HubGateway(hub, relays=False).mailbox(TAX, "lezer") as mailbox:
            assert mailbox.next() == []
            hub.relay_once()
            assert len(mailbox.next()) == 1

    def test_bytes_that_are_no_delivery_stop_the_reader(self, hub: Hub, gateway: Gateway) -> None:
        hub.transport.send(OUT + TAX, [Message(b"999990019", {"ce_id": b"x"})])
        with gateway.mailbox(TAX, "lezer") as mailbox, pytest.raises(StopError) as raised:
            mailbox.next()
        assert "999990019" not in str(raised.value)

    @pytest.mark.parametrize(("recipient", "reader"), [("niemand", "lezer"), (TAX, "Le.zer"), (TAX, "")])
    def test_a_mailbox_is_of_somebody_and_for_somebody(self, gateway: Gateway, recipient: str, reader: str) -> None:
        with pytest.raises(UsageError):
            gateway.mailbox(recipient, reader)

    def test_a_history_is_of_somebody(self, gateway: Gateway) -> None:
        with pytest.raises(UsageError):
            gateway.history("niemand", [ADDRESS])

    def test_a_history_sends_what_is_ready_unless_a_relay_does(self, hub: Hub, gateway: Gateway) -> None:
        self.deliver(1)
        assert not list(HubGateway(hub, relays=False).history(TAX, [ADDRESS]))
        assert len(list(gateway.history(TAX, [ADDRESS]))) == 1

    def test_an_unknown_guard_is_wrong_use(self, gateway: Gateway) -> None:
        with pytest.raises(UsageError):
            gateway.may("werk-en-inkomen.0344", "k", "niets")

    def test_who_is_told_to_stop_stops_at_the_next_call_and_not_before(self, hub: Hub) -> None:
        self.hub = hub
        self.deliver(1)
        stop = threading.Event()
        gateway = HubGateway(hub, stop=stop)
        gateway.pause(0)
        with gateway.mailbox(TAX, "lezer") as mailbox:
            found = mailbox.next()
            stop.set()
            mailbox.done(found)  # what was done is noted all the same
            for call in (mailbox.next, lambda: gateway.publish(TILBURG, [address()]), lambda: gateway.pause(3600)):
                with pytest.raises(RetryLaterError):
                    call()
        assert len(hub.received_by(TAX)) == 1

    def test_a_stop_comes_between_batches(self, hub: Hub) -> None:
        stop = threading.Event()
        gateway = HubGateway(hub, stop=stop)
        signals = [named(f"n-{number}", bag_id=f"0855010000{number:06d}") for number in range(BATCH + 1)]
        published: list[int] = []

        def publish(_participant: str, batch: Sequence[NewSignal]) -> list[object]:
            published.append(len(batch))
            stop.set()
            return []

        hub.publish = publish  # type: ignore[method-assign, assignment]
        with pytest.raises(RetryLaterError):
            gateway.publish(TILBURG, signals)
        assert published == [BATCH]
