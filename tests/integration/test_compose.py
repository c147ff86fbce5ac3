"""The compose file is one that Compose reads, holds no secret, and starts what the hub needs to run on Kafka and PostgreSQL."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import yaml

from tests.integration.support import ROOT
from tests.services.own import failing
from tests.services.tools import need, program

SECRETS = {"POSTGRES_PASSWORD": "gekozen", "HUB_MASTER_KEY": "c2xldXRlbA=="}


def compose() -> list[str] | None:
    """Return the Compose that is here: Docker's own, else Debian's."""
    if (docker := program("docker")) and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    return [found] if (found := program("docker-compose")) else None


def read(**given: str) -> subprocess.CompletedProcess[str]:
    with failing():
        command = need("Compose", compose, "docker-compose")
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **given}
    return subprocess.run([*command, "config"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found = read(**SECRETS)
    assert found.returncode == 0, found.stderr
    made: dict[str, Any] = yaml.safe_load(found.stdout)["services"]
    return made


def test_every_process_is_there_and_waits_for_what_it_needs(services: dict[str, Any]) -> None:
    assert services.keys() == {"kafka", "postgres", "topics", "router-1", "router-2", "relay", "clock", "api"}
    for name in ("router-1", "router-2", "relay", "clock", "api"):
        assert services[name]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
        assert services[name]["read_only"] is True
    assert {need["condition"] for need in services["topics"]["depends_on"].values()} == {"service_healthy"}
    instances = [services[name]["environment"]["HUB_KAFKA_INSTANCE"] for name in ("router-1", "router-2")]
    assert len(set(instances)) == 2


def test_what_must_last_is_on_a_volume_and_only_this_machine_reaches_a_port(services: dict[str, Any]) -> None:
    for name in ("kafka", "postgres", "relay"):
        assert services[name]["volumes"]
    ports = [str(port) for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 1
    assert "127.0.0.1" in ports[0]


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_without_a_secret_it_does_not_start_and_none_stands_in_the_file(missing: str) -> None:
    found = read(**{name: value for name, value in SECRETS.items() if name != missing})
    assert found.returncode != 0
    assert missing in found.stderr
    assert "gekozen" not in (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def test_the_image_runs_as_nobody_special_on_a_pinned_base() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    bases = {line.split()[1] for line in lines if line.startswith("FROM")}
    assert len(bases) == 1
    assert bases.pop().count(".") == 2, "a version to the last number"
    assert lines.index("USER hub") > max(i for i, line in enumerate(lines) if line.startswith("RUN"))
    assert any("--require-hashes" in line for line in lines)
