"""What both sides of the market stand on, and what a person uses.

``agents`` and ``coordinator`` import from here and never from each other; nothing here imports either.
"""
