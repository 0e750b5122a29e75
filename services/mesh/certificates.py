"""A CA of the mesh's own, for the first day: makes certificates for the wall and nats-server in one folder.

::

    ca.pem, ca.key          the CA; browsers and clients get ca.pem, nobody gets ca.key
    server.pem, server.key  a certificate for this machine's names, and its private key
"""

import datetime as dt
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.contracts.errors import InvalidInputError, PantauError
from services.mesh.authority import write_secret

CA_DAYS: Final = 3650
SERVER_DAYS: Final = 397
"""Browsers refuse certificates that are good for longer than 398 days."""
_BEFORE: Final = dt.timedelta(hours=1)
"""Clocks of clients may be late."""


class CertificateError(PantauError):
    """The folder of certificates cannot be used."""

    code = "certificates"


class Issued(NamedTuple):
    """A server's certificate, as files."""

    ca: Path
    certificate: Path
    key: Path
    names: tuple[str, ...]
    until: dt.datetime


def issue(folder: Path, hosts: Sequence[str]) -> Issued:
    """Makes a certificate for ``hosts`` (names and addresses) and this machine, and the CA where there is none.

    The CA stays when it is called again. Raises `InvalidInputError`, `CertificateError`.
    """
    names = tuple(dict.fromkeys([*hosts, socket.gethostname(), "localhost", "127.0.0.1", "::1"]))
    alternatives = [_alternative(name) for name in names]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ca, ca_key = _ca(folder)
        key = ec.generate_private_key(ec.SECP256R1())
        until = min(_now() + dt.timedelta(days=SERVER_DAYS), ca.not_valid_after_utc)
        certificate = (
            _builder(_name(names[0]), ca.subject, key.public_key(), until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        write_secret(folder / "server.key", _pem(key))
        write_secret(folder / "server.pem", certificate.public_bytes(serialization.Encoding.PEM).decode())
        (folder / "server.pem").chmod(0o644)
    except OSError as error:
        raise CertificateError(f"cannot write certificates to {folder}: {error.strerror}") from error
    return Issued(folder / "ca.pem", folder / "server.pem", folder / "server.key", names, until)


def _ca(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    pem, key_pem = folder / "ca.pem", folder / "ca.key"
    if pem.exists() != key_pem.exists():
        raise CertificateError(f"{folder} has only one of ca.pem and ca.key: put the other back, or use another folder")
    if pem.exists():
        try:
            key = serialization.load_pem_private_key(key_pem.read_bytes(), None)
            ca = x509.load_pem_x509_certificate(pem.read_bytes())
        except ValueError as error:
            raise CertificateError(f"the CA in {folder} cannot be read: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CertificateError(f"{key_pem} is not a key that this command made")
        return ca, key
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Pantau CA of {socket.gethostname()}")
    ca = (
        _builder(name, name, key.public_key(), _now() + dt.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_ca_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_secret(key_pem, _pem(key))
    write_secret(pem, ca.public_bytes(serialization.Encoding.PEM).decode())
    pem.chmod(0o644)
    return ca, key


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, until: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - _BEFORE)
        .not_valid_after(until)
    )


def _ca_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not host or any(not (each.isascii() and (each.isalnum() or each in "-.*_")) for each in host):
        raise InvalidInputError(f"{host!r} is neither the name of a host nor an address")
    return x509.DNSName(host)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
