"""A private certificate authority and a server certificate, made at first start."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from runtime.errors import InputError
from runtime.files import write_text_atomically

CA_VALIDITY = timedelta(days=3650)
CERTIFICATE_VALIDITY = timedelta(days=825)
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files of one deployment: what agents get (CA) and what the server alone keeps (keys).

    Attributes:
        ca_file: the authority's certificate (PEM, 0644).
        ca_key_file: its private key (PEM, 0600).
        certificate_file: the server's certificate (PEM, 0644).
        key_file: its private key (PEM, 0600).
    """

    ca_file: Path
    ca_key_file: Path
    certificate_file: Path
    key_file: Path


def ensure_credentials(directory: Path, domain: str) -> Credentials:
    """Make what is missing in ``directory`` and return where everything is.

    An authority that is there is kept, so agents that know it stay connected over restarts.
    The server's certificate is made anew when it is for another domain or ends within 30 days.

    Raises:
        InputError: a file is there but cannot be read as what it should be, or one of a pair is missing.
    """
    files = Credentials(
        ca_file=directory / "ca.pem",
        ca_key_file=directory / "ca.key.pem",
        certificate_file=directory / "server.pem",
        key_file=directory / "server.key.pem",
    )
    if files.ca_file.exists() != files.ca_key_file.exists():
        raise InputError(f"{directory}: ca.pem and ca.key.pem belong together, found only one of them")
    if not files.ca_file.exists():
        _make_authority(files, domain)
    if not _certificate_serves(files, domain):
        _make_certificate(files, domain)
    return files


def _certificate_serves(files: Credentials, domain: str) -> bool:
    if not (files.certificate_file.exists() and files.key_file.exists()):
        return False
    certificate, authority = _read_certificate(files.certificate_file), _read_certificate(files.ca_file)
    try:
        certificate.verify_directly_issued_by(authority)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        # Another authority's, or no alternative names: either way this one has to be made again.
        return False
    return domain in names.get_values_for_type(x509.DNSName) and (
        certificate.not_valid_after_utc > datetime.now(UTC) + RENEW_BEFORE
    )


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path}: expected a certificate in PEM form: {error}") from error


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: expected a private key in PEM form without a password: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InputError(f"{path}: expected an elliptic-curve key, found {type(key).__name__}")
    return key


def _save_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
    write_text_atomically(path, text, 0o600)


def _save_certificate(path: Path, certificate: x509.Certificate) -> None:
    write_text_atomically(path, certificate.public_bytes(serialization.Encoding.PEM).decode("ascii"), 0o644)


def _builder(subject: x509.Name, issuer: x509.Name, validity: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + validity)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _make_authority(files: Credentials, domain: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{domain} authority"[:64])])
    certificate = (
        _builder(name, name, CA_VALIDITY)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _save_key(files.ca_key_file, key)
    _save_certificate(files.ca_file, certificate)


def _make_certificate(files: Credentials, domain: str) -> None:
    authority, authority_key = _read_certificate(files.ca_file), _read_key(files.ca_key_file)
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys((domain, "localhost"))]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    certificate = (
        _builder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])]),
            authority.subject,
            CERTIFICATE_VALIDITY,
        )
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    _save_key(files.key_file, key)
    _save_certificate(files.certificate_file, certificate)
