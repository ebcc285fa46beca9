"""From a template and values to a page."""

from __future__ import annotations

import base64
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from runtime.pages.numbers import number, percent, signed

BASE = Path(__file__).parent
"""Folder of ``base.html.template``."""


def render_page(template: Path, **values: object) -> str:
    """Render a template that extends ``base.html.template``.

    Args:
        template: the template's file.
        values: what it names; a name without a value is an error.

    Returns:
        The page as HTML.
    """
    environment = _environment(template.parent)
    return environment.get_template(template.name).render(version=version("peerwatt"), **values)


@lru_cache
def _environment(folder: Path) -> Environment:
    """Where a folder's templates are compiled, each once, however many pages are made of it."""
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder), FileSystemLoader(BASE)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, signed=signed, percent=percent)
    return environment


def picture(path: Path) -> str:
    """A picture's file (SVG or PNG) as the address of an image."""
    kind = {".svg": "image/svg+xml", ".png": "image/png"}[path.suffix]
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode("ascii")
