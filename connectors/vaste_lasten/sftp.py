"""A partner's SFTP server: files are fetched from it, and go through the same folders there as they do here."""

from __future__ import annotations

import base64
import binascii
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn

import paramiko

from connectors.vaste_lasten.folder import ASIDE, BUSY, DONE, Folder, Handled, Looks, is_looked_at
from connectors.vaste_lasten.translate import MAX_BYTES
from hub.errors import HubError, RetryLaterError, StopError

if TYPE_CHECKING:
    from connectors.vaste_lasten.settings import Sftp

_LONGEST_NAME: Final = 200


class ServerError(Exception):
    """A partner's server cannot be used. It holds up that partner only, unlike the hub."""

    def __init__(self, problem: HubError) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Remote:
    """The folder of a partner on its server. Every method raises ServerError when it does not answer."""

    def __init__(self, client: paramiko.SFTPClient, folder: str, where: str) -> None:
        self._client = client
        self._where = where
        self._folder = folder.rstrip("/") or "/"

    def make(self) -> None:
        """Make the folders inside it that are not there."""
        with _answering(self._where):
            there = set(self._client.listdir(self._folder))
            for name in (BUSY, DONE, ASIDE):
                if name not in there:
                    self._client.mkdir(self._path(name))

    def look(self) -> Looks:
        """Return the deliveries that are there now."""
        return self._files(self._folder)

    def busy(self) -> list[str]:
        """Return what an earlier run took up and did not finish."""
        return list(self._files(self._path(BUSY)))

    def take(self, name: str) -> bool:
        """Take a file up; False if one with its name is still being handled, or if it is gone."""
        with _answering(self._where):
            if name in self._client.listdir(self._path(BUSY)):
                return False
            try:
                self._client.rename(self._path(name), self._path(BUSY, name))
            except FileNotFoundError:
                return False
            return True

    def give_back(self, name: str) -> None:
        """Put a file back that is not whole yet; if another came under its name, it stays taken up."""
        with _answering(self._where):
            if name not in self._client.listdir(self._folder):
                self._client.rename(self._path(BUSY, name), self._path(name))

    def fetch(self, name: str, folder: Folder) -> Path:
        """Fetch a file that was taken up: under a name that nobody looks at, renamed when all of it is there.

        Only this account may read it.
        """
        part = folder.path / f".{name}.part"
        with _answering(self._where), _private(part) as file:
            found = self._client.stat(self._path(BUSY, name))
            expected = min(found.st_size or 0, MAX_BYTES)
            size = self._client.getfo(self._path(BUSY, name), file, callback=_no_more_than(expected), max_concurrent_prefetch_requests=64)
            if size != expected:  # an end that came early is no end
                raise EOFError
            file.flush()
            os.fsync(file.fileno())
        if found.st_mtime is not None:
            os.utime(part, (found.st_mtime, found.st_mtime))
        return folder.arrived(part, name)

    def finish(self, name: str, handled: Handled) -> None:
        """Put the receipt back, whole or not at all, then move the file out."""
        to = handled.file.parent.name
        receipt = self._path(to, handled.receipt.name)
        with _answering(self._where):
            self._client.put(str(handled.receipt), f"{receipt}.part")
            self._client.posix_rename(f"{receipt}.part", receipt)
            self._client.posix_rename(self._path(BUSY, name), self._path(to, handled.file.name))

    def _files(self, folder: str) -> Looks:
        with _answering(self._where):
            entries = sorted(self._client.listdir_attr(folder), key=lambda entry: entry.filename)
        return {
            entry.filename: (entry.st_size or 0, entry.st_mtime or 0)
            for entry in entries
            if is_looked_at(entry.filename) and _is_plain(entry.filename)
            and entry.st_mode is not None and stat.S_ISREG(entry.st_mode) and (entry.st_size or 0) <= MAX_BYTES
        }  # fmt: skip

    def _path(self, *names: str) -> str:
        return "/".join((self._folder.removesuffix("/"), *names))


@contextmanager
def connected(settings: Sftp) -> Iterator[Remote]:
    """Open a session on a partner's server.

    Raises:
        ServerError: The server does not answer, has another key than was pinned, or does not let this account in; or a
            key cannot be read.
    """
    where = f"{settings.host}:{settings.port}"
    with paramiko.SSHClient() as client:
        with _answering(where):
            _pin(client, settings)
            client.connect(
                settings.host, settings.port, settings.user,
                password=settings.password.get_secret_value() if settings.password else None,
                pkey=_private_key(settings.key_file) if settings.key_file else None,
                allow_agent=False, look_for_keys=False, timeout=settings.timeout_seconds,
                banner_timeout=settings.timeout_seconds, auth_timeout=settings.timeout_seconds,
            )  # fmt: skip
            session = client.open_sftp()
            channel = session.get_channel()
            if channel is not None:
                channel.settimeout(settings.timeout_seconds)
        yield Remote(session, settings.folder, where)


@contextmanager
def _answering(where: str) -> Iterator[None]:
    """Turn what goes wrong with a server into ServerError; what a library says of it is not repeated."""
    try:
        yield
    except HubError as problem:
        raise ServerError(problem) from None
    except (_OtherKeyError, paramiko.BadHostKeyException):
        raise ServerError(StopError(
            f"{where}: the server has another key than `host_key` in the settings",
            "Nothing was sent to it. Ask the partner whether its key changed, and pin the new one.",
        )) from None  # fmt: skip
    except paramiko.AuthenticationException:
        raise ServerError(StopError(f"{where}: the server does not let this account in", "Check user, password or key_file.")) from None
    except PermissionError:
        raise ServerError(
            StopError(f"{where}: the account may not do all that is needed", "It must read, rename and write in `folder`.")
        ) from None
    except UnicodeDecodeError:
        raise ServerError(
            StopError(f"{where}: the name of a file is not UTF-8, so `folder` cannot be looked into", "Ask the partner to rename it.")
        ) from None
    except (paramiko.SSHException, paramiko.SFTPError, OSError, EOFError, ValueError, struct.error) as error:
        what = f"{where}: the server does not answer as it should ({type(error).__name__})"
        raise ServerError(RetryLaterError(what, "Run again later.")) from None


def _private(path: Path) -> IO[bytes]:
    """Open a file anew for this account only."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _no_more_than(size: int) -> Callable[[int, int], None]:
    """Return what ends a transfer that goes on after so many bytes."""

    def look(transferred: int, _total: int) -> None:
        if transferred > size:
            raise EOFError

    return look


class _OtherKeyError(Exception):
    """The server showed a key of a kind that is not pinned."""


class _Refuse(paramiko.MissingHostKeyPolicy):
    def missing_host_key(self, _client: paramiko.SSHClient, _hostname: str, _key: paramiko.PKey) -> NoReturn:
        raise _OtherKeyError


def _pin(client: paramiko.SSHClient, settings: Sftp) -> None:
    kind, _, text = settings.host_key.partition(" ")
    name = settings.host if settings.port == paramiko.config.SSH_PORT else f"[{settings.host}]:{settings.port}"
    try:
        key = paramiko.PKey.from_type_string(kind, base64.b64decode(text, validate=True))
    except (paramiko.SSHException, binascii.Error, ValueError, TypeError):
        raise StopError(
            f"{name}: `host_key` is no public key", "Give what `ssh-keyscan` prints behind the name, checked with the partner."
        ) from None
    client.get_host_keys().add(name, kind, key)
    client.set_missing_host_key_policy(_Refuse())


def _private_key(path: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except (paramiko.SSHException, OSError, ValueError, TypeError):
        raise StopError(f"{path}: the private key cannot be read", "Give a key in OpenSSH form without a passphrase.") from None


def _is_plain(name: str) -> bool:
    return "/" not in name and name.isprintable() and len(name.encode("utf-8", "surrogateescape")) <= _LONGEST_NAME
