"""Pages that stand alone: one HTML file each, no network, light and dark, on a phone and in print.

Every page extends ``base.html.template`` and is rendered by :func:`render_page`.
"""

from runtime.pages.numbers import number, percent, signed
from runtime.pages.render import picture, render_page

__all__ = ["number", "percent", "picture", "render_page", "signed"]
