"""Recomputes what was settled from what was said, and holds it against what was told and recorded.

``evidence`` reads a coordinator's log, ``settled`` settles it again, ``community`` compares that with the
bill lines and bills that members were told, ``records`` with the coordinator's record and the tables,
``member`` checks one member's bill from its own log alone, ``command`` is ``python -m coordinator verify``.
What is settled again uses the rules in ``coordinator.settlement`` and nothing of the session that ran.
"""
