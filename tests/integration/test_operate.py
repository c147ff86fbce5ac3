"""Processes as an operator sees them: how they are, what they count, and that they stop when told."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from hub.app import Hub
from hub.errors import StopError
from hub.health import Health, served
from hub.metrics import Metrics
from hub.transport.base import IN, ROUTERS, Message
from tests.integration.support import ROOT, TILBURG, Cli
from tests.sample import address
from tests.services.process import free_port
from tests.services.waiting import until

HUB = str(Path(sys.executable).with_name("hub"))


def asked(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def measured(hub: Hub) -> tuple[Metrics, dict[str, float]]:
    metrics = Metrics()
    metrics.watch(hub.database, hub.now_ms, lambda: hub.transport.lag(ROUTERS, IN), hub.unsent)
    hub.observer = metrics
    hub.run_once()
    return metrics, values(metrics)


def values(metrics: Metrics) -> dict[str, float]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_what_came_in_and_what_became_of_it_is_counted(hub: Hub) -> None:
    good = hub.encode(TILBURG, address())
    hub.transport.send(IN + TILBURG, [Message(good.body), Message(good.body), Message(b"no json")])
    metrics, found = measured(hub)
    expected = {
        "hub_received_total": 3, "hub_admitted_total": 1, "hub_repeated_total": 1, 'hub_refused_total{reason="onleesbaar"}': 1,
        'hub_decisions_total{outcome="deliver"}': 1, "hub_deliveries_total": 2, "hub_batch_seconds_count": 1, 'hub_queue_depth{state="ready"}': 0,
        'hub_queue_depth{state="waiting"}': 0, "hub_oldest_unsent_seconds": 0, "hub_refused_open": 1, "hub_oldest_refused_seconds": 0, "hub_consumer_lag": 0,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    hub.transport.send(IN + TILBURG, [Message(b"later")])
    hub.now_ms.now += 60_000  # type: ignore[attr-defined]
    later = values(metrics)
    assert (later["hub_consumer_lag"], later["hub_oldest_refused_seconds"]) == (1, 60)


def test_the_names_are_those_of_the_page_and_no_others(hub: Hub) -> None:
    good = hub.encode(TILBURG, address())
    hub.transport.send(IN + TILBURG, [Message(good.body), Message(b"no json")])
    _, found = measured(hub)
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    written = set(re.findall(r"^\| `(hub_\w+)` \|", page, re.MULTILINE))
    names = {re.sub(r"_(bucket|sum|count)$", "", name.partition("{")[0]) for name in found}
    assert {name for name in names if not name.endswith("_created")} == written


def test_a_process_is_live_and_ready_and_not_ready_without_its_database() -> None:
    can = [True]
    with served(Health(Metrics(), lambda: can[0]), "127.0.0.1", 0) as port:
        assert port is not None
        assert asked(port, "/live") == (200, "ok\n")
        assert asked(port, "/ready") == (200, "ok\n")
        can.clear()
        can.append(False)
        assert asked(port, "/ready")[0] == 503
        assert asked(port, "/elsewhere")[0] == 404
        with pytest.raises(StopError, match="cannot be opened"), served(Health(Metrics(), lambda: True), "127.0.0.1", port):
            pass


def test_the_database_is_brought_up_to_date_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(tmp_path / "home", monkeypatch)
    assert "is at revision 0003, and was at none" in cli("db", "upgrade").out
    assert cli("db", "upgrade").out == "the database is at revision 0003\n"


@pytest.mark.parametrize("command", ["up", "router", "relay", "clock", "api"])
def test_a_process_answers_how_it_is_and_stops_when_told(tmp_path: Path, command: str) -> None:
    port = free_port()
    environment = os.environ | {"HUB_HOME": str(tmp_path / "home"), "HUB_HEALTH_PORT": str(port)}
    if command == "api":  # it takes up no rules of its own
        subprocess.run([HUB, "run", "--once"], cwd=ROOT, env=environment, check=True, capture_output=True)
    process = subprocess.Popen([HUB, command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        until(lambda: asked(port, "/ready")[0] == 200, within=60, what=f"hub {command}")
        assert asked(port, "/live")[0] == 200
        assert "hub_queue_depth" in asked(port, "/metrics")[1]
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    assert b"up" in out
    assert b"Traceback" not in err
