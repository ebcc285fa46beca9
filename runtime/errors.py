"""One tree of exceptions: what a person can mend is told apart from what is broken.

``exit_code`` is what the command line returns when the error reaches it.
"""

from __future__ import annotations


class PeerwattError(Exception):
    """Base of every error this software raises on purpose."""

    exit_code = 1


class InputError(PeerwattError):
    """Something a person wrote or named is wrong: a scenario, a file, an argument.

    The message names the file and the field or line, what was found and what was expected.
    """

    exit_code = 2


class ProtocolError(PeerwattError):
    """A message that breaks the protocol: shape, bounds, or a sender not allowed to say it."""


class FleetError(PeerwattError):
    """An agent, a meter or the server died for good, or did not get ready in time."""


class AgentRefusedError(PeerwattError):
    """The XMPP server will not have this agent: wrong password, or its place is taken for good."""


class LogError(PeerwattError):
    """A message log that is damaged or was changed after it was written."""
