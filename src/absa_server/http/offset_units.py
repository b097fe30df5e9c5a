"""Offsets in code points, as Python counts, and in UTF-16 code units, as JavaScript, Java and C# count.

They part after every character beyond the Basic Multilingual Plane (emoji, rare CJK), which UTF-16 writes as a
pair of surrogates. Knows one text and its offsets, nothing of aspects.
"""

from bisect import bisect_left

import numpy as np


class Utf16Index:
    """Both directions for one text: one pass over the text, then logarithmic time an offset."""

    def __init__(self, text: str) -> None:
        self._codepoints = len(text)
        self._astral = [] if text.isascii() else _astral_positions(text)

    @property
    def length(self) -> int:
        """The text's length in UTF-16 code units."""
        return self._codepoints + len(self._astral)

    def to_utf16(self, offset: int) -> int:
        """The code unit at which the code point `offset`, 0 to the text's length, begins."""
        return offset + bisect_left(self._astral, offset)

    def to_codepoint(self, offset: int) -> int | None:
        """The code point that begins at code unit `offset`, 0 to `length`; None inside a surrogate pair."""
        pairs_before = bisect_left(range(len(self._astral)), offset, key=self._pair_begin)
        if pairs_before and self._pair_begin(pairs_before - 1) + 1 == offset:
            return None
        return offset - pairs_before

    def _pair_begin(self, index: int) -> int:
        return self._astral[index] + index


def _astral_positions(text: str) -> list[int]:
    codepoints = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    positions: list[int] = np.flatnonzero(codepoints > 0xFFFF).tolist()
    return positions
