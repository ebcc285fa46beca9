"""The reference set: seeded communities from models by place, season, size and tariff world.

Anyone can hold a mechanism against others on it, with Peerwatt (``peerwatt compare --dataset``) or without:
every community is a folder of plain files, and the manifest says what is in them and where it came from.
"""
