"""The authority and the certificate."""

import ipaddress
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from runtime.errors import InputError
from runtime.xmpp import authority
from runtime.xmpp.authority import ensure_credentials


def certificate(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_keys_are_the_owners_alone(tmp_path):
    ensure_credentials(tmp_path, "peerwatt.localhost")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {
        "ca.pem": 0o644,
        "ca.key.pem": 0o600,
        "server.pem": 0o644,
        "server.key.pem": 0o600,
    }


def test_the_certificate_names_the_domain_and_the_loopback(tmp_path):
    files = ensure_credentials(tmp_path, "peerwatt.localhost")
    ca, server = certificate(files.ca_file), certificate(files.certificate_file)
    server.verify_directly_issued_by(ca)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["peerwatt.localhost", "localhost"]
    assert ipaddress.ip_address("127.0.0.1") in names.get_values_for_type(x509.IPAddress)
    assert isinstance(server.public_key(), ec.EllipticCurvePublicKey)
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert server.not_valid_after_utc <= datetime.now(UTC) + timedelta(days=825)


def test_what_is_there_is_kept(tmp_path):
    ensure_credentials(tmp_path, "peerwatt.localhost")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ensure_credentials(tmp_path, "peerwatt.localhost")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_domain_gets_another_certificate_of_the_same_authority(tmp_path):
    files = ensure_credentials(tmp_path, "peerwatt.localhost")
    ca = files.ca_file.read_bytes()
    ensure_credentials(tmp_path, "xmpp")
    assert files.ca_file.read_bytes() == ca
    names = certificate(files.certificate_file).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "xmpp" in names.value.get_values_for_type(x509.DNSName)


def test_a_certificate_about_to_end_is_renewed(tmp_path, monkeypatch):
    monkeypatch.setattr(authority, "CERTIFICATE_VALIDITY", timedelta(days=29))
    files = ensure_credentials(tmp_path, "peerwatt.localhost")
    serial_number = certificate(files.certificate_file).serial_number
    monkeypatch.undo()
    ensure_credentials(tmp_path, "peerwatt.localhost")
    assert certificate(files.certificate_file).serial_number != serial_number


def test_a_certificate_of_another_authority_is_made_anew(tmp_path):
    (tmp_path / "other").mkdir()
    files = ensure_credentials(tmp_path, "peerwatt.localhost")
    other = ensure_credentials(tmp_path / "other", "peerwatt.localhost")
    other.certificate_file.replace(files.certificate_file)
    ensure_credentials(tmp_path, "peerwatt.localhost")
    certificate(files.certificate_file).verify_directly_issued_by(certificate(files.ca_file))


@pytest.mark.parametrize("missing", ["ca.pem", "ca.key.pem"])
def test_half_an_authority_is_an_error(tmp_path, missing):
    ensure_credentials(tmp_path, "peerwatt.localhost")
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match="belong together"):
        ensure_credentials(tmp_path, "peerwatt.localhost")


@pytest.mark.parametrize("name", ["ca.pem", "server.pem"])
def test_a_file_that_is_no_certificate_is_named(tmp_path, name):
    ensure_credentials(tmp_path, "peerwatt.localhost")
    (tmp_path / name).write_text("nonsense")
    with pytest.raises(InputError, match=name):
        ensure_credentials(tmp_path, "peerwatt.localhost")


def test_a_key_that_is_none_is_named(tmp_path):
    files = ensure_credentials(tmp_path, "peerwatt.localhost")
    files.ca_key_file.write_text("nonsense")
    with pytest.raises(InputError, match=r"ca\.key\.pem"):
        ensure_credentials(tmp_path, "xmpp")
