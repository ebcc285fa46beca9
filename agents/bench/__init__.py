"""Measurements of the member's side. Never imported by an agent: what they compare with may be heavy."""
