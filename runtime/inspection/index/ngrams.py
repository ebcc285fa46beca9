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

_MULTIPLIER_OF_3, _SHIFT_OF_3 = np.uint32(0x9E3779B1), np.uint32(16)
_MULTIPLIER_OF_5, _SHIFT_OF_5 = np.uint64(0x9E3779B97F4A7C15), np.uint64(48)


def block_bits(text: bytes) -> bytes:
    """A block's row of bits.

    Args:
        text: the block's text, ASCII, as lines of logs are.
    """
    present = np.zeros(BITS, dtype=bool)
    for bits in _bits(text.lower()):
        present[bits] = True
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
    lengths = zip(*(_bits(json.dumps(part)[1:-1].lower().encode()) for part in parts), strict=True)
    for of_length in lengths:
        bits += [each.astype(np.int64) for each in of_length]
    return np.concatenate(bits) if bits else np.empty(0, dtype=np.int64)


def _bits(text: bytes) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
    """The bits of every five characters and of every three, in order."""
    codes = np.frombuffer(text, dtype=np.uint8)
    if len(codes) < 3:
        return np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint32)
    # Each made of what is there already, in the shortest numbers that hold it.
    twos = codes[:-1].astype(np.uint32)
    twos <<= np.uint32(8)
    twos |= codes[1:]
    threes = twos[:-1] << np.uint32(8)
    threes |= codes[2:]
    fives = threes[:-2].astype(np.uint64)
    fives <<= np.uint64(16)
    fives |= twos[3:]
    fives *= _MULTIPLIER_OF_5
    fives >>= _SHIFT_OF_5
    threes *= _MULTIPLIER_OF_3
    threes >>= _SHIFT_OF_3
    return fives, threes
