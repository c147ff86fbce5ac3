"""Services as processes of this machine: PostgreSQL's own binaries, and Apache Kafka in KRaft mode from its Maven artifacts."""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
_START_SECONDS: Final = 60
_CLUSTER: Final = "c2lnbmFhbGh1YnRlc3QxMg"
_DEBIAN_POSTGRES: Final = Path("/usr/lib/postgresql")


def free_port() -> int:
    """Return a port on which nothing listens now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(ready: Callable[[], bool], what: str, log: Path, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until something answers; fail with the end of its log."""
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if time.monotonic() > deadline or not alive():
            tail = log.read_text(errors="replace")[-2_000:] if log.exists() else "(no log)"
            pytest.fail(f"{what} did not start:\n{tail}", pytrace=False)
        time.sleep(0.05)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Let one process at a time into the block."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def install(command: str, *packages: str) -> None:
    """Install what is missing where that can be done, else say the one command."""
    apt = shutil.which("apt-get")
    line = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if apt is None or os.geteuid() != 0:
        pytest.fail(f"{command} is missing; install it with: sudo {line}", pytrace=False)
    with locked(Path(tempfile.gettempdir()) / "signaalhub-apt.lock"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(f"apt-get update -q && {line}", shell=True, env=quiet, capture_output=True, text=True, check=False)  # noqa: S602
    if done.returncode != 0:
        pytest.fail(f"{command} is missing and `{line}` failed:\n{done.stderr[-1_000:]}", pytrace=False)


class Process:
    """A service that a test may stop, kill and start again on the same port and data."""

    def __init__(self, folder: Path, command: Sequence[str], what: str, owner: int) -> None:
        self.folder = folder
        self.log = folder / "service.log"
        self.what = what
        self._command = [sys.executable, "-m", "tests.services.keeper", str(owner), *command]
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self._keeper = subprocess.Popen(
                self._command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        keeper = self._keeper
        until(ready, self.what, self.log, lambda: keeper.poll() is None)

    @property
    def pid(self) -> int:
        """The process id of the keeper; its group is the service."""
        assert self._keeper is not None
        return self._keeper.pid

    def leave(self) -> int:
        """Let it run on when this process ends, and return its process id."""
        pid = self.pid
        assert self._keeper is not None
        self._keeper.returncode = 0  # else Python complains that nobody waits for it: the run does, see `shared.end`
        return pid

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it; with SIGKILL it and everything that it started end at once."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(keeper.pid, how) if how is signal.SIGKILL else os.kill(keeper.pid, how)
        keeper.wait()
        with suppress(ProcessLookupError):
            while True:  # its group is gone when the last of it is, and its port with it
                os.killpg(keeper.pid, 0)
                time.sleep(0.02)


class LocalPostgres:
    """A PostgreSQL server with an empty cluster, on 127.0.0.1 only."""

    def __init__(self, owner: int) -> None:
        binaries = _postgres_binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="signaalhub-pg-"))
        self.port = free_port()
        as_postgres: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            as_postgres = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        data = self.folder / "data"
        initdb = [*as_postgres, str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"]
        done = subprocess.run(initdb, capture_output=True, text=True, check=False, cwd="/")
        if done.returncode != 0:
            pytest.fail(f"PostgreSQL could not make its data folder:\n{done.stderr[-1_000:]}", pytrace=False)
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "max_connections": 200}
        server = [str(binaries / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in options.items())]
        self.process = Process(self.folder, [*as_postgres, *server], "PostgreSQL", owner)

    @property
    def url(self) -> str:
        """The address of the server, for SQLAlchemy."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process.start(self._answers)

    def _answers(self) -> bool:
        try:
            psycopg.connect(plain(self.url), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def plain(url: str) -> str:
    """Return an address as psycopg itself wants it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def _postgres_binaries() -> Path:
    for _ in range(2):
        found = sorted(_DEBIAN_POSTGRES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if found:
            return found[-1].parent
        if (on_path := shutil.which("initdb")) is not None:
            return Path(on_path).resolve().parent
        install("PostgreSQL", "postgresql")
    pytest.fail("PostgreSQL was installed, yet `initdb` is nowhere; put its folder on PATH", pytrace=False)


class LocalKafka:
    """One Kafka broker that is its own controller, on 127.0.0.1 only.

    With `users` (names and passwords) it demands SASL/SCRAM over TLS, and lets nobody but `admin` do what no ACL allows.
    """

    def __init__(self, owner: int, users: Mapping[str, str] | None = None) -> None:
        self.users = users
        java = _tool("java", "default-jre-headless")
        classes = f"{_kafka_jars()}/*"
        self.folder = Path(tempfile.mkdtemp(prefix="signaalhub-kafka-"))
        self.port, controller = free_port(), free_port()
        settings = self.folder / "server.properties"
        settings.write_text("\n".join(f"{name}={value}" for name, value in self.settings(controller).items()) + "\n")
        format_ = [java, "-cp", classes, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(settings)]
        for name, password in (users or {}).items():
            format_ += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        done = subprocess.run(format_, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.fail(f"Kafka could not make its data folder:\n{done.stderr[-1_000:]}", pytrace=False)
        run = [java, "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classes, "kafka.Kafka", str(settings)]
        self.process = Process(self.folder, run, "Kafka", owner)

    def settings(self, controller: int) -> dict[str, str | int]:
        """Return the settings of the broker."""
        kind = "PLAINTEXT" if self.users is None else "SASL_SSL"
        made: dict[str, str | int] = {
            "process.roles": "broker,controller", "node.id": 1, "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"{kind}://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"{kind}://127.0.0.1:{self.port}", "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.folder / "data"), "offsets.topic.replication.factor": 1, "offsets.topic.num.partitions": 5,
            "transaction.state.log.replication.factor": 1, "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0, "group.min.session.timeout.ms": 1_000, "auto.create.topics.enable": "true",
        }  # fmt: skip
        return made if self.users is None else made | self._demanding(self.users)

    def _demanding(self, users: Mapping[str, str]) -> dict[str, str | int]:
        key = self.folder / "server.pem"
        self.ca = self.folder / "ca.pem"
        key.write_bytes(certificate(self.ca))
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        return {
            "inter.broker.listener.name": "SASL_SSL", "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512", "auto.create.topics.enable": "false",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f'{login} username="admin" password="{users["admin"]}";',
            "ssl.keystore.type": "PEM", "ssl.keystore.location": str(key), "ssl.truststore.type": "PEM", "ssl.truststore.location": str(self.ca),
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:admin;User:ANONYMOUS",  # the controller's own listener; clients cannot be anonymous
        }  # fmt: skip

    @property
    def bootstrap(self) -> str:
        """The address of the broker."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process.start(self._answers)

    def _answers(self) -> bool:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self.port), timeout=1)):
            return True
        return False


def certificate(ca: Path) -> bytes:
    """Return a key and certificate for 127.0.0.1 as PEM, and write the certificate that signs it: it is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    ca.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + ca.read_bytes()


def _kafka_jars() -> Path:
    """Return the folder with Kafka's jars, fetched once: a fetch that broke off is never used."""
    version = re.search(r"kafka_2.13</artifactId><version>([0-9.]+)<", (HERE / "pom.xml").read_text(encoding="utf-8"))
    assert version is not None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "signaalhub"
    folder = cache / f"kafka-{version[1]}"
    with locked(cache / "kafka.lock"):
        if folder.exists():
            return folder
        fetched = Path(tempfile.mkdtemp(dir=cache))
        goal = ["-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={fetched}"]
        done = subprocess.run([_tool("mvn", "maven"), *goal], capture_output=True, text=True, check=False)
        if done.returncode != 0 or not any(fetched.glob("kafka_2.13-*.jar")):
            shutil.rmtree(fetched, ignore_errors=True)
            pytest.fail(
                f"Kafka could not be fetched from Maven Central; try `mvn {' '.join(goal)}`:\n{done.stdout[-1_000:]}", pytrace=False
            )
        fetched.chmod(0o755)
        fetched.rename(folder)
    return folder


def _tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        install(name, package)
        found = shutil.which(name)
    if found is None:
        pytest.fail(f"`{name}` was installed, yet it is not on PATH", pytrace=False)
    return found
