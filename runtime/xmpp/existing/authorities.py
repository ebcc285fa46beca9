"""Whom the certificate of a public server is trusted by."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

from runtime.errors import InputError

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----")


def certificates_in(path: Path) -> str:
    """The certificates in a file, and nothing else of it (PEM).

    Raises:
        InputError: it cannot be read or holds none.
    """
    try:
        found = _CERTIFICATE.findall(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the authority's certificate: {error}") from error
    if not found:
        raise InputError(f"{path}: found no certificate, expected the authority's (PEM)")
    return "\n".join([*found, ""])


def system_authorities() -> str:
    """The authorities that this system trusts (PEM).

    Raises:
        InputError: it has none where OpenSSL looks for them.
    """
    paths = ssl.get_default_verify_paths()
    if paths.cafile is not None:
        return certificates_in(Path(paths.cafile))
    # A folder has each certificate under its name, and again under its hash.
    files = sorted({path.resolve() for path in Path(paths.capath).glob("*.[0-9]")}) if paths.capath else []
    if not files:
        raise InputError(
            f"authority: found no authorities of the system in {paths.openssl_cafile} or "
            f"{paths.openssl_capath}; name the file of the server's authority"
        )
    return "".join(certificates_in(path) for path in files)
