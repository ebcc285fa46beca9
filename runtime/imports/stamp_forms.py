"""In which form a column of stamps is written, told from all of them: a day above the twelfth settles it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runtime.errors import InputError

_FORM = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})([ T])\d{1,2}:\d{2}(:\d{2})?")


def form_of(texts: Sequence[str], place: str) -> tuple[str, str] | None:
    """The strptime format of stamps that begin with day or month, and the stamp that shows which it is.

    Args:
        texts: the stamps as written, one or more.
        place: what errors call the column.

    Returns:
        None where not all of them are of one such form.

    Raises:
        InputError: every day and every month is below 13, so that both orders fit.
    """
    first = _FORM.fullmatch(texts[0].strip())
    if first is None:
        return None
    mark, between, seconds = first.group(2), first.group(5), ":%S" if first.group(6) else ""
    orders = {"%d", "%m"}
    shown = texts[0]
    for text in texts:
        found = _FORM.fullmatch(text.strip())
        if found is None or (found.group(2), found.group(5), bool(found.group(6))) != (
            mark,
            between,
            bool(seconds),
        ):
            return None
        for group, order in ((1, "%m"), (3, "%d")):
            if int(found.group(group)) > 12 and order in orders:
                orders.remove(order)
                shown = text
    forms = [
        f"{order}{mark}{'%m' if order == '%d' else '%d'}{mark}%Y{between}%H:%M{seconds}"
        for order in sorted(orders)
    ]
    if len(forms) > 1:
        raise InputError(
            f"{place}: found {texts[0]!r} and no day after the 12th, expected what is first: "
            f"--time-format '{forms[0]}' or '{forms[1]}'"
        )
    return (forms[0], shown) if forms else None
