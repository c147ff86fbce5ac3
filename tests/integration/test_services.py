"""The services for tests themselves: they are what they say, they are this test's own, and nothing of them is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ACLOperation
from kafka.errors import KafkaError, TopicAuthorizationFailedError

from tests.services import EmptyDatabase, Topics, docker, own_kafka, own_postgres, tools
from tests.services import postgres as postgres_module
from tests.services.kafka import jars
from tests.services.postgres import plain
from tests.services.process import listening
from tests.services.session import GIVEN, Session
from tests.services.waiting import ServiceError, until

ROOT: Final = Path(__file__).parents[2]
HEADERS: Final = [("ce_id", b"1")]


def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(plain(url), autocommit=True) as connection:
        found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


def produce(client: dict[str, Any], topic: str, value: bytes) -> None:
    producer = KafkaProducer(**client, acks="all")
    try:
        producer.send(topic, value, headers=HEADERS).get(30)
    finally:
        producer.close()


def consume(client: dict[str, Any], topic: str) -> Any:
    """Return the first record of a topic."""
    consumer = KafkaConsumer(**client, auto_offset_reset="earliest", enable_auto_commit=False, consumer_timeout_ms=30_000)
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return next(consumer)
    finally:
        consumer.close()


# --- the services of the run ------------------------------------------------------------------


def test_postgresql_answers_and_keeps_what_it_commits(postgres: EmptyDatabase) -> None:
    assert ask(postgres.url, "select 1, current_setting('fsync'), current_setting('server_version_num')::int >= 150000") == [
        (1, "on", True)
    ]


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_has_an_empty_database_of_its_own(postgres: EmptyDatabase, time: str) -> None:
    assert ask(postgres.url, "select 1 from pg_tables where schemaname = 'public'") == [], time
    ask(postgres.url, "create table mine ()")


def test_kafka_gives_back_a_record_with_its_header(kafka: Topics) -> None:
    client = {"bootstrap_servers": kafka.bootstrap}
    produce(client, kafka.prefix + "signals", b"value")
    record = consume(client, kafka.prefix + "signals")
    assert (record.value, record.headers) == (b"value", HEADERS)


def test_an_address_in_the_environment_comes_before_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GIVEN.values():
        monkeypatch.setenv(name, f"the address in {name}")
    assert [Session(tmp_path).address(name) for name in GIVEN] == [f"the address in {name}" for name in GIVEN.values()]
    assert not list(tmp_path.iterdir())


# --- servers of one test ----------------------------------------------------------------------


def test_an_own_postgresql_survives_a_kill() -> None:
    with own_postgres() as server:
        ask(server.url, "create table kept as select 1 as value")
        server.kill()
        assert not listening(server.port)
        server.start()
        assert ask(server.url, "select value, current_setting('fsync') from kept") == [(1, "on")]
        server.stop()
        server.start()
        assert ask(server.url, "select value from kept") == [(1,)]
    assert not listening(server.port)
    assert not server.folder.exists()


def test_an_own_kafka_survives_a_kill() -> None:
    with own_kafka() as server:
        produce(server.client(), "signals", b"kept")
        server.kill()
        assert not listening(server.port)
        server.start()
        assert consume(server.client(), "signals").value == b"kept"
    assert not listening(server.port)
    assert not server.folder.exists()


def test_a_broker_with_access_rules_lets_a_user_read_its_own_topic_only() -> None:
    with own_kafka(sasl=True, users=["lezer"]) as server:
        for topic in ("van-lezer", "van-een-ander", "zonder-regel"):
            produce(server.client(), topic, topic.encode())
        # without DESCRIBE kafka-python waits for the topic to appear, and raises nothing
        server.allow("lezer", ACLOperation.DESCRIBE, "van-", prefix=True)
        server.allow("lezer", ACLOperation.READ, "van-lezer")
        with KafkaAdminClient(**server.client("lezer")) as client:
            assert sorted(client.list_topics()) == ["van-een-ander", "van-lezer"]
        assert consume(server.client("lezer"), "van-lezer").value == b"van-lezer"
        with pytest.raises(TopicAuthorizationFailedError):
            consume(server.client("lezer"), "van-een-ander")
        with pytest.raises(KafkaError):  # its producer gets no id: it may write nowhere
            produce(server.client("lezer"), "van-lezer", b"may not write")
        with pytest.raises(KafkaError):
            consume({**server.client("lezer", "wrong"), "bootstrap_timeout_ms": 1500}, "van-lezer")
        with pytest.raises(KafkaError):  # without a password, and without TLS
            consume({"bootstrap_servers": server.bootstrap, "bootstrap_timeout_ms": 1500}, "van-lezer")


def test_a_server_that_does_not_start_shows_the_end_of_its_log() -> None:
    with (
        pytest.raises(pytest.fail.Exception, match=r"(?s)PostgreSQL ended while it started\n.*no_such_setting"),
        own_postgres(settings={"no_such_setting": "1"}),
    ):
        pytest.fail("it started")


# --- what is missing --------------------------------------------------------------------------


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of a user who is not root, with nothing installed and nothing fetched; gives the folder of its programs."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(postgres_module, "DEBIAN", tmp_path / "none")
    monkeypatch.setattr(tools, "NO_CLUSTER", tmp_path / "etc" / "createcluster.d" / "signaalhub.conf")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


@pytest.mark.parametrize(
    ("own", "here", "missing", "command"),
    [
        (own_postgres, [], "PostgreSQL's server", "postgresql"),
        (own_kafka, [], "Java", "default-jre-headless maven"),
        (own_kafka, ["java"], "Maven, which fetches Kafka,", "default-jre-headless maven"),
    ],
)
def test_what_is_missing_fails_with_the_one_command_to_run(
    own: Callable[[], Any], here: list[str], missing: str, command: str, bare: Path
) -> None:
    for name in here:
        put_program(bare / name, "")
    with pytest.raises(pytest.fail.Exception) as failure, own():
        pytest.fail("it started")
    assert (
        str(failure.value) == f"{missing} is missing and no Docker gives it; run: sudo apt-get install -y --no-install-recommends {command}"
    )


def test_root_on_debian_installs_what_is_missing_and_no_cluster_with_it(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    put_program(
        bare / "apt-get",
        f'echo "$@" >> {tmp_path}/asked\ncase "$*" in *install*) printf "" > {bare}/java && /bin/chmod +x {bare}/java;; esac',
    )
    assert jars.java() == str(bare / "java")
    assert jars.java() == str(bare / "java")
    asked = (tmp_path / "asked").read_text().splitlines()
    wait = "-o DPkg::Lock::Timeout=300"
    assert asked == [f"{wait} update", f"{wait} install -y --no-install-recommends default-jre-headless maven"]
    assert tools.NO_CLUSTER.read_text() == "create_main_cluster = false\n"


def test_a_fetch_that_breaks_off_is_never_used(bare: Path, tmp_path: Path) -> None:
    put_program(bare / "java", "")
    put_program(
        bare / "mvn",
        'for last in "$@"; do case "$last" in -DoutputDirectory=*) /bin/mkdir "${last#*=}";; esac; done; echo no network; exit 1',
    )
    with pytest.raises(ServiceError, match=r"(?s)Kafka could not be fetched; to see why, run: .*dependency:copy-dependencies.*no network"):
        jars.jars()
    assert not list((tmp_path / "cache" / "signaalhub").glob("*/"))


def put_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def silent_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Docker that takes a call and never answers."""
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield


@pytest.mark.usefixtures("silent_docker")
def test_a_docker_that_hangs_counts_as_none() -> None:
    assert tools.docker_present()
    assert docker.in_docker("postgres", within=0.5) is None


def test_where_nothing_says_docker_it_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(tools, "DOCKER_SOCKETS", [tmp_path / "none"])
    assert not tools.docker_present()


# --- the end of a run -------------------------------------------------------------------------

NESTED: Final = """
import json, os, sys
from pathlib import Path
import pytest
from tests.services.plugin import session_of
from tests.services.waiting import until

@pytest.mark.parametrize("number", [1, 2])
def test_it(number, postgres, postgres_server, request):
    here = Path(__file__).parent
    said = here / f"{number}.new"
    said.write_text(json.dumps({"server": postgres_server, "folder": str(session_of(request.config).folder), "pid": os.getpid()}))
    said.rename(here / f"{number}.json")
    until(lambda: (here / "go").exists(), within=60, what="the word to go on")
    assert number == 1
"""


@pytest.mark.parametrize(("end", "workers"), [("failure", 2), ("interrupt", 2), ("kill", 2), ("interrupt", 0)])
def test_the_workers_of_a_run_share_a_server_that_ends_with_it(end: str, workers: int, tmp_path: Path) -> None:
    (tmp_path / "test_nested.py").write_text(NESTED)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_") and name not in GIVEN.values()}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", f"-n{workers}", "-p", "tests.services.plugin", "--rootdir", str(tmp_path), "-c", os.devnull, str(tmp_path / "test_nested.py")],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as run:  # fmt: skip
        expected = [tmp_path / f"{number}.json" for number in range(1, max(1, workers) + 1)]
        until(lambda: all(path.exists() for path in expected), within=60, what="the nested run to use its server")
        said = [json.loads(path.read_text()) for path in expected]
        servers, folders, pids = ({found[what] for found in said} for what in ("server", "folder", "pid"))
        assert (len(servers), len(folders), len(pids)) == (1, 1, len(expected))
        port, folder = psycopg.conninfo.conninfo_to_dict(plain(servers.pop()))["port"], Path(folders.pop())
        assert listening(int(str(port)))
        if end == "interrupt":
            os.killpg(run.pid, signal.SIGINT)  # what Ctrl-C does
        elif end == "kill":
            run.kill()
        (tmp_path / "go").touch()
        printed, _ = run.communicate(timeout=60)
    if end == "failure":
        assert run.returncode == pytest.ExitCode.TESTS_FAILED, printed
        assert "1 failed, 1 passed" in printed
    if end == "kill":  # nobody is left to wait for it
        until(lambda: not listening(int(str(port))) and not folder.exists(), within=20, what="the end of an orphan")
    assert not listening(int(str(port)))
    assert not folder.exists()


def test_a_server_dies_with_the_process_that_started_it() -> None:
    script = (
        "from tests.services import own_postgres\nwith own_postgres() as server: print(server.port, server.folder, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        port, folder = run.stdout.readline().split()
        assert listening(int(port))
        run.kill()
    until(lambda: not listening(int(port)), within=10, what="the end of a server without a parent")
    shutil.rmtree(folder)
