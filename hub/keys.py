"""The keys of a hub and everything that is done with them.

One master key per version; every other key is derived from it (HKDF-SHA256), so that one file,
or one environment variable, is all there is to guard. The newest version seals and names; older
versions stay readable.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hub.errors import RetryLaterError, StopError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY_BYTES: Final = 32
_NONCE: Final = 12
_KETEN: Final = b"\x00keten\x00\x00"
_DELIVERY: Final = b"\x00deliver"
_PROOF: Final = b"signaalhub"
_WRONG_KEY: Final = "the key does not open this database"
_WRONG_KEY_HINT: Final = "put back the keys folder, or HUB_MASTER_KEY, that belongs to this home; nothing was changed"


class KeyVersion:
    """All keys derived from one master key."""

    def __init__(self, number: int, master: bytes) -> None:
        self.number = number
        self._master = master
        self.kek = AESGCM(self.derive("kek"))
        self.log = AESGCM(self.derive("log"))
        self.subject = self.derive("subject")
        self.fingerprint = self.derive("fingerprint")
        self.trace = self.derive("trace")
        self.pseudonym = lru_cache(maxsize=4096)(lambda about: self.derive(f"pseudonym {about}"))
        self._local = threading.local()

    def derive(self, purpose: str) -> bytes:
        """Return the key for one purpose."""
        return HKDF(SHA256(), KEY_BYTES, None, f"signaalhub {purpose}".encode()).derive(self._master)

    def block(self, participant: str) -> tuple[Any, Any]:
        """Return an AES encryptor and decryptor of single blocks for one participant.

        Electronic code book is sound here and only here: one block, never the same twice.
        A context is not safe to share between threads.
        """
        known: dict[str, tuple[Any, Any]] = self._local.__dict__.setdefault("known", {})
        if participant not in known:
            cipher = Cipher(algorithms.AES(self.derive(f"handle {participant}")), modes.ECB())  # noqa: S305
            known[participant] = (cipher.encryptor(), cipher.decryptor())
        return known[participant]


class Keys:
    """The key versions of one hub."""

    def __init__(self, masters: Mapping[int, bytes]) -> None:
        self.versions = {number: KeyVersion(number, master) for number, master in masters.items()}
        self.newest = self.versions[max(self.versions)]
        self._oldest = self.versions[min(self.versions)]

    # --- sealing --------------------------------------------------------------------------

    def new_data_key(self) -> tuple[AESGCM, bytes]:
        """Return a fresh data key and the same, wrapped, to store. Deleting that erases."""
        random = os.urandom(KEY_BYTES + _NONCE)
        key, nonce = random[:KEY_BYTES], random[KEY_BYTES:]
        wrapped = bytes([self.newest.number]) + nonce + self.newest.kek.encrypt(nonce, key, None)
        return AESGCM(key), wrapped

    def data_key(self, wrapped: bytes) -> AESGCM:
        """Unwrap a stored data key. Raises StopError if the hub has not the right key."""
        version = self.versions.get(wrapped[0])
        try:
            if version is not None:
                return AESGCM(version.kek.decrypt(wrapped[1 : 1 + _NONCE], wrapped[1 + _NONCE :], None))
        except InvalidTag:
            pass
        raise StopError(_WRONG_KEY, _WRONG_KEY_HINT)

    def seal_log(self, data: bytes) -> bytes:
        """Seal a record of the embedded transport."""
        nonce = os.urandom(_NONCE)
        return bytes([self.newest.number]) + nonce + self.newest.log.encrypt(nonce, data, None)

    def open_log(self, sealed: bytes) -> bytes:
        """Open a record of the embedded transport. Raises StopError if the key is not the right one."""
        version = self.versions.get(sealed[0])
        try:
            if version is not None:
                return version.log.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], None)
        except InvalidTag:
            pass
        raise StopError(_WRONG_KEY, _WRONG_KEY_HINT)

    def proof(self, number: int) -> bytes:
        """Return a sealed constant by which a key version is recognised later."""
        nonce = os.urandom(_NONCE)
        return nonce + self.versions[number].kek.encrypt(nonce, _PROOF, None)

    def check(self, number: int, proof: bytes) -> None:
        """Raise StopError unless this is the key that made the proof."""
        try:
            if number in self.versions:
                self.versions[number].kek.decrypt(proof[:_NONCE], proof[_NONCE:], None)
                return
        except InvalidTag:
            pass
        raise StopError(_WRONG_KEY, _WRONG_KEY_HINT)

    # --- names that stand for something ---------------------------------------------------

    def fingerprint(self, content: bytes, version: int | None = None) -> bytes:
        """Return 16 bytes by which equal content is recognised; useless without the key. Of the newest key unless given."""
        key = self.newest if version is None else self.versions[version]
        return hashlib.blake2b(content, key=key.fingerprint, digest_size=16).digest()

    def fingerprints(self, content: bytes) -> set[bytes]:
        """Return the fingerprint under every key version."""
        return {hashlib.blake2b(content, key=v.fingerprint, digest_size=16).digest() for v in self.versions.values()}

    def subjects(self, canonical: str) -> tuple[bytes, ...]:
        """Return the hub's own pseudonym of a person under every key, the newest first: key version, then 16 bytes."""
        newest_first = sorted(self.versions.values(), key=lambda version: -version.number)
        digests = ((v.number, hmac.digest(v.subject, canonical.encode(), "sha256")) for v in newest_first)
        return tuple(bytes([number]) + digest[:16] for number, digest in digests)

    def pseudonym(self, recipient: str, flow: str, subject: bytes) -> str:
        """Return what stands for a person at one recipient in one flow, as 32 hex digits."""
        key = self.versions[subject[0]].pseudonym(f"{recipient} {flow}")
        return hmac.digest(key, subject, "sha256")[:16].hex()

    def value_pseudonym(self, recipient: str, flow: str, value: str) -> str:
        """Return what stands for a value at one recipient in one flow, as 32 hex digits."""
        key = self.newest.pseudonym(f"{recipient} {flow} value")
        return hmac.digest(key, value.encode(), "sha256")[:16].hex()

    def trace(self, about: bytes) -> str:
        """Return by what the log knows a signal, as 32 hex digits; useless without the key, and nowhere else used.

        The oldest key makes it, so that it stays the same when a newer one is added.
        """
        return hashlib.blake2b(about, key=self._oldest.trace, digest_size=16).hexdigest()

    # --- handles --------------------------------------------------------------------------

    def keten_handle(self, participant: str, keten: int, like: bytes | None = None) -> bytes:
        """Return the 16 bytes by which one participant knows a keten. No two share one.

        Of the newest key, or of the key under which the delivery_id `like` was made, so that a repeat says the same.
        """
        key = self.newest if like is None else self._key_of("", like, _DELIVERY) or self.newest
        encrypt, _ = key.block(participant)
        return bytes(encrypt.update(_KETEN + keten.to_bytes(8)))

    def keten_of(self, participant: str, handle: bytes) -> int | None:
        """Return the keten that a handle of this participant stands for, or None."""
        return self._unblock(participant, handle, _KETEN)

    def delivery_id(self, delivery: int) -> bytes:
        """Return the public id of a delivery: random to everyone else, and never the same twice."""
        encrypt, _ = self.newest.block("")
        return bytes(encrypt.update(_DELIVERY + delivery.to_bytes(8)))

    def delivery_of(self, delivery_id: bytes) -> int | None:
        """Return the delivery that has this public id, or None."""
        return self._unblock("", delivery_id, _DELIVERY)

    def _unblock(self, participant: str, block: bytes, tag: bytes) -> int | None:
        key = self._key_of(participant, block, tag)
        if key is None:
            return None
        _, decrypt = key.block(participant)
        return int.from_bytes(bytes(decrypt.update(block))[8:])

    def _key_of(self, participant: str, block: bytes, tag: bytes) -> KeyVersion | None:
        """Return the key under which a block of this kind was made, or None."""
        for version in self.versions.values():
            _, decrypt = version.block(participant)
            if hmac.compare_digest(bytes(decrypt.update(block))[:8], tag):
                return version
        return None


def seal(key: AESGCM, data: bytes) -> bytes:
    """Encrypt with AES-256-GCM under a fresh nonce, which stands before the result."""
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, data, None)


def unseal(key: AESGCM, sealed: bytes) -> bytes:
    """Decrypt what `seal` made. Raises StopError if it was altered."""
    try:
        return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    except InvalidTag:
        msg = "a stored record was altered or damaged"
        raise StopError(msg, "restore the newest backup of the home") from None


def load_keys(folder: Path, given: str | None) -> Keys:
    """Read the master keys of a home, or make the first one.

    `given` (HUB_MASTER_KEY) is base64 of 32 bytes and is used instead of the folder. Key files
    are called `1.key`, `2.key`, ...; the highest number is the newest. Raises StopError.
    """
    if given is not None:
        return Keys({1: _decode(given, "HUB_MASTER_KEY")})
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        msg = f"the folder of the keys, {folder}, cannot be made ({exc.strerror})"
        raise StopError(msg, "move what is in its place, or check the rights") from None
    files = {int(path.stem): path for path in folder.glob("*.key") if path.stem.isdigit()}
    if not files:
        files = {1: _make(folder / "1.key")}
    try:
        return Keys({number: _decode(path.read_bytes().decode("ascii", "replace"), str(path)) for number, path in files.items()})
    except OSError as exc:
        msg = f"a key in {folder} cannot be read ({exc.strerror})"
        raise StopError(msg, "put back the right key; nothing was changed") from None


def _make(path: Path) -> Path:
    """Write a new key so that it is whole or not there, also when two processes start at once."""
    temporary = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)).decode())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first; its key counts
            os.link(temporary, path)
    except OSError as exc:
        msg = f"the first key cannot be written in {path.parent} ({exc.strerror}); nothing was stored"
        raise RetryLaterError(msg, "make room or check the rights, then run the same command again") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _decode(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        msg = f"the key in {where} is not base64 of {KEY_BYTES} bytes"
        raise StopError(msg, "put back the right key; nothing was changed")
    return key
