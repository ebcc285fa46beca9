"""Numbers as a person reads them."""

from __future__ import annotations

MINUS, NONE = "\N{MINUS SIGN}", "–"


def number(value: float | None, digits: int = 2) -> str:
    """A number with a proper minus sign and no negative zero; a dash for none."""
    if value is None:
        return NONE
    text = f"{value:,.{digits}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if float(f"{value:.{digits}f}") == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """A difference with its sign; ``0`` where it is nothing, a dash for none."""
    if value is None:
        return NONE
    text = f"{value:+.{digits}f}"
    return "0" if float(text) == 0 else text.replace("-", MINUS)


def percent(share: float | None, digits: int = 0) -> str:
    """A share in percent; a dash for none."""
    return NONE if share is None else number(100.0 * share, digits) + "\N{NARROW NO-BREAK SPACE}%"
