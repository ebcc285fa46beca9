"""Importers of the files people have: what a portal or a service exports, to series a scenario reads.

One small module a format; ``registry`` finds the one that recognises a file by its content, ``regular`` turns
what it read into our conventions, ``doubts`` says what looks wrong, ``output`` writes and describes.
"""
