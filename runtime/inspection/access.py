"""What a dashboard that is reached from elsewhere asks for: a token, which may change while it runs."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import InputError


@dataclass(frozen=True, slots=True)
class Token:
    """A token that a request has to show.

    Attributes:
        kept: the token itself, or the file that it is read from anew each time.
    """

    kept: str | Path

    def now(self) -> str:
        """The token that holds at this moment.

        Raises:
            InputError: its file is missing, cannot be read or is empty.
        """
        return self.kept if isinstance(self.kept, str) else read_token(self.kept)

    def is_shown_by(self, shown: str) -> bool:
        """Whether somebody showed the token, compared in constant time.

        Raises:
            InputError: its file is missing, cannot be read or is empty.
        """
        return hmac.compare_digest(shown.encode(), self.now().encode())


def read_token(path: Path) -> str:
    """The token in a file of one line.

    Raises:
        InputError: the file is missing, cannot be read or is empty.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise InputError(f"{path}: the token cannot be read: {why}") from error
    if not token:
        raise InputError(f"{path}: found nothing in it, expected a token")
    return token
