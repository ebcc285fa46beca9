"""The one version of pyjabber the embedded server is built on."""

from __future__ import annotations

from importlib import metadata

from runtime.errors import PeerwattError

PYJABBER_VERSION = "0.4.5"


def require_pyjabber() -> None:
    """Check that pyjabber is the version whose inner parts this package replaces.

    Raises:
        PeerwattError: it is another version, or not installed.
    """
    try:
        found = metadata.version("pyjabber")
    except metadata.PackageNotFoundError:
        found = "none"
    if found != PYJABBER_VERSION:
        raise PeerwattError(
            f"the embedded XMPP server is built on pyjabber {PYJABBER_VERSION} exactly, found {found}: "
            f"pip install pyjabber=={PYJABBER_VERSION}"
        )
