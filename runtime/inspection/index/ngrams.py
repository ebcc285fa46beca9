"""Which text is where: for each block of messages, the short strings that occur in it, as a row of bits.

A block whose bits lack a string of the text that is looked for cannot contain that text, whatever its case.
Short strings are three and five characters long: three for any text, five because there are few strings of
three digits that a block of numbers does not contain.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

BITS = 1 << 16
ROW_BYTES = BITS // 8
"""Length of a block's row of bits [bytes]."""

LENGTHS = (3, 5)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(48)


def block_bits(text: bytes) -> bytes:
    """A block's row of bits.

    Args:
        text: the block's text, ASCII, as lines of logs are.
    """
    present = np.zeros(BITS, dtype=bool)
    for length in LENGTHS:
        present[_hashes(text.lower(), length)] = True
    return np.packbits(present, bitorder="little").tobytes()


def candidate_blocks(path: Path, blocks: int, text: str) -> npt.NDArray[np.int64] | None:
    """Numbers of the blocks that may contain a text.

    Args:
        path: the rows of all blocks, one after the other.
        blocks: how many there are.
        text: what is looked for, upper or lower case.

    Returns:
        The blocks, ascending; None where any may.
    """
    wanted = _wanted(text)
    if not wanted.size or not blocks:
        return None
    rows = np.memmap(path, dtype=np.uint8, mode="r", shape=(blocks, ROW_BYTES))
    found = np.arange(blocks)
    for bit in wanted:
        found = found[(rows[found, bit >> 3] >> (bit & 7)) & 1 == 1]
    return found


def _wanted(text: str) -> npt.NDArray[np.int64]:
    """Bits that a block with the text has, those of the longest strings first."""
    if "\n" in text:
        return np.empty(0, dtype=np.int64)
    bits: list[npt.NDArray[np.int64]] = []
    # What is not ASCII stands in lines by its number, which is another one in the other case.
    parts = "".join(char if char.isascii() else "\n" for char in text).split("\n")
    for length in reversed(LENGTHS):
        bits += [_hashes(json.dumps(part)[1:-1].lower().encode(), length) for part in parts]
    return np.concatenate(bits) if bits else np.empty(0, dtype=np.int64)


def _hashes(text: bytes, length: int) -> npt.NDArray[np.int64]:
    """The bit of every string of so many characters, in order."""
    if len(text) < length:
        return np.empty(0, dtype=np.int64)
    codes = np.frombuffer(text, dtype=np.uint8).astype(np.uint64)
    number = len(codes) - length + 1
    joined = codes[:number].copy()
    for place in range(1, length):
        joined <<= np.uint64(8)
        joined |= codes[place : place + number]
    joined += np.uint64(length)
    joined *= _MULTIPLIER
    return (joined >> _SHIFT).astype(np.int64)
