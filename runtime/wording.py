"""Words of what is printed."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number of things: ``1 member``, ``3 members``, ``2 entries``, ``4 processes``.

    Args:
        number: how many.
        noun: what, in the singular; of several words the last one is put into the plural.
    """
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{number} {noun}s"
