"""The HTTP client of the kit against a small real server: what is tried again, what is counted, what stops, what is said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.kit.counterpart import Counterpart, Request
from connectors.kit.http import HttpClient
from connectors.kit.listening import listening, told
from connectors.kit.memory import START, MemoryGateway
from connectors.kit.rig import Fault
from hub.errors import HubError, RefusedError, RetryLaterError, StopError

VALUE = "999990019"
SECRET = "geheim-van-de-proef"  # noqa: S105  (of this test)


class Script:
    """Answers one after the other; the last stays."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Any:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def hub() -> MemoryGateway:
    return MemoryGateway()


@pytest.fixture
def script() -> Script:
    return Script((200, {"ok": True}))


@pytest.fixture
def server(script: Script) -> Iterator[Counterpart]:
    with Counterpart(script) as server:
        yield server


@pytest.fixture
def client(server: Counterpart, hub: MemoryGateway) -> Iterator[HttpClient]:
    with HttpClient(server.url, hub, token=SecretStr(SECRET)) as client:
        yield client


def test_json_goes_out_and_comes_back(client: HttpClient, script: Script) -> None:
    assert client.post("/berichten", {"bsn": VALUE}, key="k-1").json() == {"ok": True}
    (request,) = script.requests
    assert (request.method, request.path, request.json) == ("POST", "/berichten", {"bsn": VALUE})
    assert request.headers["idempotency-key"] == "k-1"
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert client.get("/rijen", {"pagina": "2"}).status == 200
    assert script.requests[1].query == {"pagina": "2"}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_what_may_get_better_is_tried_again_after_longer_and_longer(
    status: int, client: HttpClient, script: Script, hub: MemoryGateway
) -> None:
    script.answers = [(status, None), (status, None), (200, 1)]
    assert client.get("/").json() == 1
    assert hub.pauses == [1, 2]


def test_after_some_tries_it_is_for_later(client: HttpClient, script: Script, hub: MemoryGateway) -> None:
    script.answers = [(503, None)]
    with pytest.raises(RetryLaterError):
        client.get("/")
    assert len(script.requests) == 4
    assert hub.pauses == [1, 2, 4]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("Mon, 02 Nov 2026 08:00:30 GMT", 30), ("Mon, 02 Nov 2026 07:00:00 GMT", 0), ("soon", None), (None, None)],
)
def test_retry_after_is_seconds_or_a_moment(header: str | None, seconds: int | None, client: HttpClient) -> None:
    assert client._after(header) == seconds


def test_retry_after_is_heeded(server: Counterpart, client: HttpClient, hub: MemoryGateway) -> None:
    server.spoil(Fault.RATE_LIMIT)
    with pytest.raises(RetryLaterError):
        client.get("/")
    assert hub.pauses == [7, 7, 7]


def test_who_asks_for_much_patience_is_asked_another_time(server: Counterpart, hub: MemoryGateway) -> None:
    server.spoil(Fault.RATE_LIMIT)
    with HttpClient(server.url, hub, longest_wait_seconds=6) as client, pytest.raises(RetryLaterError):
        client.get("/")
    assert hub.pauses == []
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_refusal_has_a_reason_code_and_is_not_tried_again(status: int, client: HttpClient, script: Script) -> None:
    script.answers = [(status, {"sent": VALUE})]
    with pytest.raises(RefusedError) as raised:
        client.post("/", {"bsn": VALUE}, key="k")
    assert raised.value.codes == (f"http-{status}",)
    assert len(script.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 401, 403, 407])
def test_who_is_not_let_in_or_sent_elsewhere_stops(status: int, client: HttpClient, script: Script) -> None:
    script.answers = [(status, None)]
    with pytest.raises(StopError) as raised:
        client.get("/")
    assert not isinstance(raised.value, RefusedError)
    assert len(script.requests) == 1


def test_what_is_no_json_stops(server: Counterpart, client: HttpClient) -> None:
    server.spoil(Fault.ENCODING)
    with pytest.raises(StopError):
        client.get("/").json()


def test_a_ping_is_one_try(server: Counterpart, script: Script) -> None:
    script.answers = [(503, None)]
    with HttpClient(server.url) as client, pytest.raises(RetryLaterError):
        client.get("/ping")
    assert len(script.requests) == 1


def test_nobody_there_is_for_later(hub: MemoryGateway) -> None:
    with Counterpart(lambda _: None) as gone:
        url = gone.url
    with HttpClient(url, hub) as client, pytest.raises(RetryLaterError):
        client.get("/")
    assert hub.now() == START + timedelta(seconds=1 + 2 + 4)


def test_a_wrong_address_stops(hub: MemoryGateway) -> None:
    with pytest.raises(StopError):
        HttpClient("http://[", hub)


@pytest.mark.parametrize("answer", [(422, VALUE), (403, VALUE), (503, VALUE), (302, VALUE), (200, VALUE)])
def test_nothing_of_what_is_said_is_repeated(answer: Any, client: HttpClient, script: Script) -> None:
    script.answers = [answer]
    with listening() as said:
        try:
            text = repr(client.post("/", {"bsn": VALUE}, key="k"))
        except HubError as error:
            text = told(error)
    assert VALUE not in said.getvalue() + text
    assert SECRET not in said.getvalue() + text
