"""A filter of messages as a person types it: ``agent=school type=position round=3 refused``."""

from __future__ import annotations

from dataclasses import replace

from runtime.errors import InputError
from runtime.messagelog.filters import MessageFilter, session_named

_TEXTS = {"agent": "agent", "with": "peer", "performative": "performative", "type": "body_type"}
_NUMBERS = ("round", "slot")
KEYS = (*_TEXTS, "session", *_NUMBERS)
"""What can be asked for by name; all other words are looked for as text."""


def filter_of(words: str) -> MessageFilter:
    """Read a filter.

    Args:
        words: ``key=value`` for the ``KEYS``; what is left is one text, found anywhere in a message.

    Raises:
        InputError: a key is unknown, or a value is missing or no number.
    """
    criteria = MessageFilter()
    rest = []
    for word in words.split():
        key, equals, value = word.partition("=")
        if not equals:
            rest.append(word)
        elif key not in KEYS or not value:
            raise InputError(f"filter: found {word!r}, expected text or {'=, '.join(KEYS)}=")
        elif key in _NUMBERS:
            if not value.isdecimal():
                raise InputError(f"filter: {key}: found {value!r}, expected a number")
            criteria = replace(criteria, **{key: int(value)})  # type: ignore[arg-type]
        elif key == "session":
            criteria = replace(criteria, session=session_named(value))
        else:
            criteria = replace(criteria, **{_TEXTS.get(key, key): value})  # type: ignore[arg-type]
    return replace(criteria, text=" ".join(rest) or None)
