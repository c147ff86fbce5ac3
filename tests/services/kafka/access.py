"""A broker that lets nobody in without TLS, a name and a password, and nobody read or write without a rule that allows it.

Names are invented and passwords random; both live as long as the broker.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.services.process import LOOPBACK

ADMIN: Final = "beheerder"
SCRAM: Final = "SCRAM-SHA-512"
SASL: Final = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Access:
    """Who may log in, and the certificates."""

    folder: Path
    passwords: Mapping[str, str]

    @classmethod
    def for_users(cls, folder: Path, users: Iterable[str]) -> Access:
        """Give each user, and the administrator, a password."""
        return cls(folder, {user: secrets.token_hex(12) for user in (ADMIN, *users)})

    @property
    def ca_file(self) -> Path:
        """The certificate of the authority, in PEM."""
        return self.folder / "ca.pem"

    def prepare(self) -> None:
        """Write the certificates."""
        authority, broker = write_certificates()
        self.ca_file.write_bytes(authority)
        self._keystore.touch(mode=0o600)
        self._keystore.write_bytes(broker)

    def format_options(self) -> list[str]:
        """Return what makes the users while the storage is made, for nobody can log in to make them later."""
        return [f"--add-scram={SCRAM}=[name={user},password={password}]" for user, password in self.passwords.items()]

    def settings(self) -> dict[str, str]:
        """Return what the broker needs. SCRAM users are data of the cluster, so its controller knows its peer by another mechanism."""
        password = self.passwords[ADMIN]
        login = f'required username="{ADMIN}" password="{password}"'
        return {
            "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:SASL_SSL",
            "ssl.keystore.type": "PEM", "ssl.keystore.location": str(self._keystore),
            "ssl.truststore.type": "PEM", "ssl.truststore.location": str(self.ca_file),
            "sasl.enabled.mechanisms": SCRAM, "sasl.mechanism.inter.broker.protocol": SCRAM,
            f"listener.name.clients.{SCRAM.lower()}.sasl.jaas.config": f"{SASL}.scram.ScramLoginModule {login};",
            "sasl.mechanism.controller.protocol": "PLAIN", "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.controller.plain.sasl.jaas.config": f'{SASL}.plain.PlainLoginModule {login} user_{ADMIN}="{password}";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMIN}", "allow.everyone.if.no.acl.found": "false",
        }  # fmt: skip

    def client(self, user: str = ADMIN, password: str | None = None) -> dict[str, Any]:
        """Return the settings with which a client of kafka-python logs in as this user."""
        return {
            "security_protocol": "SASL_SSL", "ssl_cafile": str(self.ca_file), "sasl_mechanism": SCRAM,
            "sasl_plain_username": user, "sasl_plain_password": password or self.passwords[user],
        }  # fmt: skip

    @property
    def _keystore(self) -> Path:
        return self.folder / "broker.pem"


def write_certificates() -> tuple[bytes, bytes]:
    """Return an authority's certificate, and the key and chain of a broker on the loopback address."""
    authority_key, broker_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = [x509.IPAddress(ipaddress.ip_address(LOOPBACK)), x509.DNSName("localhost")]
    authority = (
        _certificate("test authority", authority_key.public_key(), "test authority")
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    broker = (
        _certificate("test broker", broker_key.public_key(), "test authority")
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    key = broker_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in (broker, authority)]
    return chain[1], b"".join([key, *chain])


def _certificate(name: str, key: ec.EllipticCurvePublicKey, issuer: str) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name)).issuer_name(_name(issuer)).public_key(key).serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=2))
    )  # fmt: skip


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
