"""`hub connector check`, `new` and runs that repeat, and `hub consumer`, as authors and operators use them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.kit.files import REASONS
from connectors.kit.suite import CHECKS
from hub import plugins
from hub.app import Hub
from hub.client import Connector, Consumer, Gateway, RunReport, Track
from hub.errors import RetryLaterError
from tests.integration.support import ROOT, TAX, Cli
from tests.integration.test_cli import PERSONS, deliveries, ok, publish, wrong_use
from tests.sample import address_data

NAMES = [*(check.name for check in CHECKS), "accepted"]

OWN = {"water_schap", "agentschap", "weigering", "leeg_pakket", "kapot", "struikelt"}
"""Packages that these tests write and import."""


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    path = list(sys.path)
    yield Cli(tmp_path / "home", monkeypatch)
    sys.path[:] = path
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
        del sys.modules[name]


# --- check --------------------------------------------------------------------------------


def test_a_check_prints_what_it_looked_at_and_what_it_found(cli: Cli) -> None:
    ran = ok(cli("connector", "check", "brp", "--json"))
    assert [result["check"] for result in ran.json] == NAMES
    assert all(list(result) == ["check", "what", "verdict", "why"] for result in ran.json)
    verdicts = {result["check"]: result["verdict"] for result in ran.json}
    assert verdicts["accepted"] == verdicts["killed"] == verdicts["canary"] == "passed"
    assert verdicts["429"] == "not applicable"
    assert not (cli.home / "hub.db").exists()  # nothing of a check is in the home


def test_people_see_a_table_and_one_line_that_sums_it_up(cli: Cli) -> None:
    ran = ok(cli("connector", "check", "--from", str(ROOT / "connectors" / "brp")))
    assert "Connector connectors.brp" in ran.out
    assert ran.out.endswith("no check failed\n")


def test_what_fails_ends_with_code_1_and_says_no_value(cli: Cli) -> None:
    ran = cli("connector", "check", "--from", str(ROOT / "connectors" / "hostile"), "--json")
    assert ran.code == 1
    assert {result["verdict"] for result in ran.json if result["check"] != "accepted"} == {"failed"}
    assert "Verzonnen" not in ran.said
    assert "999990019" not in ran.said


def test_what_the_rules_refuse_is_told_by_its_reasons(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "weigering"
    ok(cli("connector", "new", "weigering", "--kind", "source", "--in", str(tmp_path)))
    path = folder / "translate.py"
    text = (
        path.read_text()
        .replace('"voorbeeld"', '"bron-voorbeeld"')
        .replace("nl.voorbeeld.melding-gedaan.v1", "nl.wgs.achterstand-gesignaleerd.v1")
    )
    path.write_text(text)
    ran = cli("connector", "check", "--from", str(folder), "--json")
    assert ran.code == 1
    (found,) = [result for result in ran.json if result["verdict"] == "failed"]
    assert found["check"] == "accepted"
    assert re.fullmatch(r"2 x [a-z-]+", found["why"])


@pytest.mark.parametrize(
    ("participant", "type_", "unknown"),
    [
        ("bron-voorbeedl", "nl.wgs.achterstand-gesignaleerd.v1", "the participant bron-voorbeedl"),
        ("bron-voorbeeld", "nl.wgs.achterstand-gesignaleerdd.v1", "the type nl.wgs.achterstand-gesignaleerdd.v1"),
        ("bron-voorbeeld", "nl.voorbeeld.melding-gedaan.v1", None),
        ("voorbeeld", "nl.voorbeeld.melding-gedaan.v1", None),
    ],
)
def test_what_the_rules_do_not_know_fails_by_its_name_unless_it_is_the_placeholder(
    participant: str, type_: str, unknown: str | None, cli: Cli, tmp_path: Path
) -> None:
    folder = tmp_path / "weigering"
    ok(cli("connector", "new", "weigering", "--kind", "source", "--in", str(tmp_path)))
    path = folder / "translate.py"
    path.write_text(path.read_text().replace('"voorbeeld"', f'"{participant}"').replace("nl.voorbeeld.melding-gedaan.v1", type_))
    if unknown is None:
        last = ok(cli("connector", "check", "--from", str(folder))).out.splitlines()[-1]
        assert last.startswith("no check failed, but it was not held against the rules: ")
        return
    ran = cli("connector", "check", "--from", str(folder), "--json")
    (found,) = [result for result in ran.json if result["verdict"] == "failed"]
    assert (ran.code, found["check"]) == (1, "accepted")
    assert f"do not know {unknown}:" in found["why"]


@pytest.mark.parametrize("arguments", [(), ("bestaat-niet",), ("brp", "--from", "."), ("--from", "weg")])
def test_a_check_of_nothing_is_wrong_use(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli("connector", "check", *arguments).code == 2


def test_a_connector_without_a_rig_is_told_so(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "leeg_pakket").mkdir()
    (tmp_path / "leeg_pakket" / "__init__.py").write_text("")
    ran = cli("connector", "check", "--from", str(tmp_path / "leeg_pakket"))
    assert ran.code == 1
    assert "leeg_pakket.rig" in ran.err


# --- new ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "nested"), [("source", ""), ("sink", "agentschap"), ("both", ""), ("source", "agentschap")])
def test_a_new_connector_passes_everything_as_it_is_written(kind: str, nested: str, cli: Cli, tmp_path: Path) -> None:
    outer = tmp_path / "agentschap"
    outer.mkdir()
    if nested:
        (outer / "__init__.py").write_text('"""The connectors of an agency."""\n\nfrom __future__ import annotations\n')
    ran = ok(cli("connector", "new", "water_schap", "--kind", kind, "--in", str(outer)))
    folder = outer / "water_schap"
    names = ["README.md", "__init__.py", "connector.py", "rig.py", "settings.py", "test_water_schap.py", "translate.py"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert all(str(folder / name) in ran.out for name in names)
    assert all(code in (folder / "README.md").read_text() for code in (REASONS if kind == "source" else ()))
    results = ok(cli("connector", "check", "--from", str(folder), "--json")).json
    assert {result["check"]: result["why"] for result in results if result["verdict"] == "failed"} == {}
    top = outer if not nested else tmp_path
    package = "water_schap" if not nested else "agentschap"
    environment = {**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": os.pathsep.join([str(top), str(ROOT)])}
    config = str(ROOT / "pyproject.toml")
    for command in (
        ["ruff", "check", "--no-cache", "--config", config, package],
        ["ruff", "format", "--no-cache", "--check", "--config", config, package],
        ["mypy", "--config-file", config, "--cache-dir", str(ROOT / ".mypy_cache"), "-p", package],
        ["pytest", "-q", "-p", "no:cacheprovider", package],
    ):
        done = subprocess.run([sys.executable, "-m", *command], cwd=top, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_written_over(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "waterschap").mkdir()
    wrong_use(cli("connector", "new", "waterschap", "--kind", "sink", "--in", str(tmp_path)))
    assert list((tmp_path / "waterschap").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Water", "sink"), ("water-schap", "sink"), ("../water", "sink"), ("class", "sink"), ("json", "sink"), ("waterschap", "bron")],
)
def test_a_bad_name_or_kind_is_wrong_use(name: str, kind: str, cli: Cli, tmp_path: Path) -> None:
    wrong_use(cli("connector", "new", name, "--kind", kind, "--in", str(tmp_path)))
    assert not (tmp_path / name).exists()


# --- run ----------------------------------------------------------------------------------


def test_the_name_may_come_first(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "persoonslijsten.csv"
    file.write_text(PERSONS, encoding="utf-8")
    assert ok(cli("connector", "brp", "run", "--file", str(file), "--json")).json["accepted"] == 2


def taking(name: str, kind: str) -> Connector | Consumer:
    """Return what reads the mailbox of Toeslagen and counts."""
    model = plugins.connector_named("brp").settings

    def run(_settings: object, gateway: Gateway, _track: Track) -> RunReport:
        report = RunReport()
        with gateway.mailbox(TAX, "proef") as mailbox:
            while found := mailbox.next(1):
                report.read += 1
                report.delivered += 1
                mailbox.done(found)
        return report

    if kind == "consumer":
        return Consumer(name=name, summary="x", settings=model, run=run)
    return Connector(name=name, summary="x", kind="sink", settings=model, ping=lambda _: None, run=run)


@pytest.mark.parametrize("kind", ["connector", "consumer"])
def test_what_takes_deliveries_needs_nothing_to_run_beside_it(kind: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = taking("proef", kind)
    monkeypatch.setattr(plugins, "_installed", lambda _group: [plugin])
    assert [row["name"] for row in ok(cli(kind, "list", "--json")).json] == ["proef"]
    for _ in range(2):
        publish(cli, address_data())
    first = ok(cli(kind, "run", "proef", "--file", "x", "--json")).json
    assert first == {"read": 2, "accepted": 0, "duplicate": 0, "delivered": 2, "skipped": {}, "refused": {}, "answers": {}}
    assert ok(cli(kind, "proef", "run", "--file", "x", "--json")).json["read"] == 0
    assert "afgeleverd" in ok(cli(kind, "run", "proef", "--file", "x")).out
    assert len(deliveries(cli, TAX)) == 2


@pytest.mark.parametrize("arguments", [("run", "brp", "--help"), ("brp", "run", "--help")])
def test_the_help_of_a_run_shows_the_settings_of_that_connector(arguments: tuple[str, ...], cli: Cli) -> None:
    said = ok(cli("connector", *arguments)).out
    assert all(f"--{name.replace('_', '-')}" in said for name in plugins.connector_named("brp").settings.model_fields)
    assert "HUB_BRP_FILE" in said
    assert "HUB_BRP_FILE" not in ok(cli("connector", "run", "--help")).out
    wrong_use(cli("connector", "run", "bestaat-niet", "--help"))
    assert "--month" in ok(cli("consumer", "run", plugins.consumers()[0].name, "--help")).out


# --- connectors that are broken -----------------------------------------------------------

STUMBLING = """
from pydantic import BaseModel
from hub.client import Connector, NewSignal

class Settings(BaseModel):
    via: str

def run(settings, gateway, track):
    rows = track(({"bsn": "999990019"}[name] for name in ["naam"]), total=1, label="x")
    if settings.via == "hub":
        gateway.publish("toeslagen", [NewSignal(type="nl.a.v1", data=None)])
    return next(iter(rows))

CONNECTOR = Connector(name="struikelt", summary="x", kind="source", settings=Settings, ping=None, run=run)
"""


def installed(site: Path, name: str, text: str) -> None:
    """Put a connector in a folder as if it were installed there, and the folder on the path."""
    (site / f"{name}-1.dist-info").mkdir(parents=True)
    (site / f"{name}-1.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (site / f"{name}-1.dist-info" / "entry_points.txt").write_text(f"[signaalhub.connectors]\n{name} = {name}:CONNECTOR\n")
    (site / f"{name}.py").write_text(text)
    sys.path.insert(0, str(site))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import zonder_dit_pakket\n", "the module zonder_dit_pakket is missing"),
        ("\nraise ValueError('999990019')\n", "ValueError at kapot.py:2"),
        ("x = (\n", "SyntaxError at kapot.py:1"),
    ],
)
def test_a_connector_that_cannot_be_imported_stops_no_other(text: str, why: str, cli: Cli, tmp_path: Path) -> None:
    installed(tmp_path / "site", "kapot", text)
    rows = {row["name"]: row for row in ok(cli("connector", "list", "--json")).json}
    assert rows["kapot"] == {"name": "kapot", "summary": "", "not_importable": why}
    assert "not_importable" not in rows["brp"]
    assert "not importable: " in ok(cli("connector", "list")).out
    for command in (("run", "kapot"), ("check", "kapot")):
        ran = cli("connector", *command)
        assert ran.code == 1
        assert f"the connector kapot cannot be imported: {why}" in ran.err
    assert cli("connector", "check", "bestaat-niet").code == 2


def test_an_exception_in_a_connector_is_its_own_fault_and_one_in_the_hub_is_not(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path / "site", "struikelt", STUMBLING)
    ran = cli("connector", "run", "struikelt", "--via", "eigen")
    assert ran.code == 1
    assert "a fault of the connector struikelt (KeyError at struikelt.py:9)" in ran.err
    assert "999990019" not in ran.said
    monkeypatch.setattr(Hub, "publish", lambda *_: int(""))
    assert "a fault of the hub itself (ValueError at " in cli("connector", "run", "struikelt", "--via", "hub").err


@pytest.mark.parametrize(
    ("text", "why"), [("RIG = weg\n", "cannot be imported: NameError at rig.py:1"), (None, "opens no world: KeyError at rig.py:")]
)
def test_a_rig_that_fails_is_told_by_its_place(text: str | None, why: str, cli: Cli, tmp_path: Path) -> None:
    ok(cli("connector", "new", "water_schap", "--kind", "source", "--in", str(tmp_path)))
    rig = tmp_path / "water_schap" / "rig.py"
    rig.write_text(text or rig.read_text().replace('file=folder / "input.csv"', 'file={}["x"]'))
    ran = cli("connector", "check", "--from", str(rig.parent))
    assert (ran.code, ran.out) == (1, "")
    assert f"water_schap.rig {why}" in ran.err


def test_an_unknown_consumer_is_wrong_use(cli: Cli) -> None:
    wrong_use(cli("consumer", "run", "bestaat-niet"))


REPEATING = """
import os, signal, sys
from hub import plugins
from hub.app import Hub
from hub.cli import main
from hub.client import Consumer, RunReport
from hub.errors import RetryLaterError
from pydantic import BaseModel

runs = []

def run(settings, gateway, track):
    runs.append(1)
    if len(runs) == 2:
        raise RetryLaterError("not now")
    if len(runs) == 3:
        os.kill(os.getpid(), signal.SIGTERM)
        gateway.pause(3600)
    return RunReport(read=1, delivered=1)

class Settings(BaseModel):
    pass

plugins._installed = lambda _group: [Consumer(name="proef", summary="", settings=Settings, run=run)]
sys.argv = ["hub", "--home", sys.argv[1], "consumer", "run", "proef", "--every", "0.1"]
try:
    main()
finally:
    print("runs:", len(runs))
"""


def test_a_run_that_repeats_goes_on_after_a_failure_and_stops_when_told(tmp_path: Path) -> None:
    environment = {**os.environ, "HUB_LOG_LEVEL": "info", "HUB_RULES_DIR": str(ROOT / "rules"), "HUB_SCHEMAS_DIR": str(ROOT / "schemas")}
    done = subprocess.run(
        [sys.executable, "-c", REPEATING, str(tmp_path / "home")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["proef runs every 0.1 s; Ctrl-C stops it", "runs: 3"]
    events = [json.loads(line) for line in done.stderr.splitlines()]
    told = [event for event in events if event["event"] in {"connector_ran", "retry_later"}]
    assert [event["event"] for event in told] == ["connector_ran", "retry_later"]
    assert told[0] | {"timestamp": None} == {
        "event": "connector_ran", "level": "info", "timestamp": None, "connector": "proef", "read": 1, "accepted": 0, "duplicate": 0,
        "delivered": 1, "skipped": 0, "refused": 0, "answers": 0,
    }  # fmt: skip


def test_a_single_run_that_is_told_to_stop_says_how_to_go_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_settings: object, gateway: Gateway, _track: Track) -> RunReport:
        os.kill(os.getpid(), signal.SIGTERM)
        gateway.pause(3600)
        raise AssertionError

    model = plugins.connector_named("brp").settings
    monkeypatch.setattr(plugins, "_installed", lambda _group: [Consumer(name="proef", summary="", settings=model, run=run)])
    ran = cli("consumer", "run", "proef", "--file", "x")
    assert ran.code == RetryLaterError.exit_code
    assert "told to stop" in ran.err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
