"""A housing corporation: an SFTP server on 127.0.0.1 that serves one folder of this machine."""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paramiko import common, sftp

SPAWN: Final = multiprocessing.get_context("spawn")
USER: Final = "signaalhub"
PASSWORD: Final = "een-verzonnen-wachtwoord"  # noqa: S105  (of nobody)


def fresh_key(path: Path) -> paramiko.PKey:
    """Make a key pair; the private one is at `path`."""
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    path.write_bytes(private)
    path.chmod(0o600)
    return paramiko.PKey.from_path(path)


def public(key: paramiko.PKey) -> str:
    """Return its public half, as settings pin it."""
    return f"{key.get_name()} {key.get_base64()}"


class Corporation:
    """One server: it lets `USER` in with `PASSWORD` or the key that it knows, and can be told to fail."""

    def __init__(self, folder: Path, host_key: paramiko.PKey) -> None:
        self.folder = folder
        self.known: paramiko.PKey | None = None
        self.refuse: set[str] = set()
        """Operations that fail from now on: `open`, `rename`, `list`."""
        self.silent = False
        """Whether it takes connections and says nothing."""
        self.short = 0
        """How many bytes at the end of a file it does not give, without saying so; below zero, how many more it gives."""
        self.logins: list[str] = []
        """How somebody tried to come in."""
        self.port = 0
        """Where it listens: the same after it was closed and opened again."""
        self._key = host_key
        self._connections: list[paramiko.Transport | socket.socket] = []
        self.open()

    @property
    def host_key(self) -> str:
        """Its public key, as settings pin it."""
        return public(self._key)

    def open(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, args=(self._listener,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._thread.join(10)

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if self.silent:
                self._connections.append(connection)
                continue
            transport = paramiko.Transport(connection)
            transport.add_server_key(self._key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Folder, self)
            self._connections.append(transport)
            with suppress(paramiko.SSHException, EOFError):
                transport.start_server(server=_Door(self))


@contextmanager
def corporation(folder: Path, keys: Path) -> Iterator[Corporation]:
    """Run a housing corporation for one block; `keys` is where its host key is made."""
    server = Corporation(folder, fresh_key(keys / "host_key"))
    try:
        yield server
    finally:
        server.close()


class Address(NamedTuple):
    """Where a server in a process of its own listens, and its public key."""

    port: int
    host_key: str


@contextmanager
def corporation_apart(folder: Path, keys: Path) -> Iterator[Address]:
    """Run one in a process of its own, so that this one can fork."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_stand, args=(folder, keys, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Address(*ours.recv())
    finally:
        ours.close()
        process.join(10)


def _stand(folder: Path, keys: Path, pipe: Connection) -> None:
    logging.getLogger("paramiko").addHandler(logging.NullHandler())  # a client that is killed is no news
    with corporation(folder, keys) as server:
        pipe.send((server.port, server.host_key))
        with suppress(EOFError):
            pipe.recv()


class _Door(paramiko.ServerInterface):
    def __init__(self, server: Corporation) -> None:
        self._server = server

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        return "password,publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        self._server.logins.append("password")
        return common.AUTH_SUCCESSFUL if (username, password) == (USER, PASSWORD) else common.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._server.logins.append("publickey")
        return common.AUTH_SUCCESSFUL if username == USER and key == self._server.known else common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
        return common.OPEN_SUCCEEDED if kind == "session" else common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


class _Folder(paramiko.SFTPServerInterface):
    def __init__(self, door: paramiko.ServerInterface, server: Corporation) -> None:
        super().__init__(door)
        self._server = server

    def _real(self, path: str) -> Path:
        return self._server.folder / self.canonicalize(path).lstrip("/")

    def _done(self, operation: str, work: Callable[[], Any]) -> Any:
        if operation in self._server.refuse:
            return sftp.SFTP_FAILURE
        try:
            return work()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def list_folder(self, path: str) -> Any:
        return self._done("list", lambda: [
            paramiko.SFTPAttributes.from_stat(entry.stat(follow_symlinks=False), os.fsencode(entry.name))  # type: ignore[arg-type]
            for entry in os.scandir(self._real(path))
        ])  # fmt: skip

    def stat(self, path: str) -> Any:
        return self._done("stat", lambda: paramiko.SFTPAttributes.from_stat(self._real(path).stat()))

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:  # noqa: ARG002
        return self._done("open", lambda: self._handle(path, flags))

    def _handle(self, path: str, flags: int) -> paramiko.SFTPHandle:
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
        stream = os.fdopen(os.open(self._real(path), flags, 0o600), "r+b" if writes else "rb")
        handle = _Handle(flags)
        handle.short = 0 if writes else self._server.short
        handle.readfile = handle.writefile = stream  # type: ignore[attr-defined]
        return handle

    def rename(self, oldpath: str, newpath: str) -> int:
        new = self._real(newpath)
        if new.exists():
            return sftp.SFTP_FAILURE
        return self.posix_rename(oldpath, newpath)

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return self._ok("rename", lambda: self._real(oldpath).replace(self._real(newpath)))

    def mkdir(self, path: str, attr: Any) -> int:  # noqa: ARG002
        return self._ok("mkdir", lambda: self._real(path).mkdir())

    def _ok(self, operation: str, work: Callable[[], object]) -> int:
        told = self._done(operation, work)
        return told if isinstance(told, int) else sftp.SFTP_OK


class _Handle(paramiko.SFTPHandle):
    short = 0

    def read(self, offset: int, length: int) -> Any:
        left = os.fstat(self.readfile.fileno()).st_size - self.short - offset  # type: ignore[attr-defined]
        if left <= 0:
            return sftp.SFTP_EOF
        return super().read(offset, min(length, left)) or b"\n" * min(length, left)

    def stat(self) -> Any:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))  # type: ignore[attr-defined]
