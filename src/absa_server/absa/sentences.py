"""Sentences of a text by a plain rule: `.`, `!` or `?` with closing quotes, then space; or a line break.

The rule and what it buys were measured (docs/adr): the second stage is more accurate on the aspect's own sentence
than on the whole review, and several times cheaper. Knows no model.
"""

import re

# Possessive, and not tried again inside a run: 20,000 dots or spaces must not hold Python's lock for seconds.
_BOUNDARY = re.compile(r"(?<![.!?])[.!?]++[\"'”’»)\]]*+\s++|[。！？]++[”’」』）]*+\s*+|[\n\r]\s*+")


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Half-open spans of the sentences, without the white space around them; none for a text of white space only."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        spans.append((start, match.end()))
        start = match.end()
    spans.append((start, len(text)))
    stripped = (_strip(text, *span) for span in spans)
    return [span for span in stripped if span[0] < span[1]]


def enclosing_sentence(sentences: list[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """The span of the sentence, or of the neighbouring sentences, that hold `start:end` whole."""
    touched = [span for span in sentences if span[0] < end and span[1] > start]
    return (min(start, touched[0][0]), max(end, touched[-1][1])) if touched else (start, end)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return start + left, max(start + left, start + len(piece.rstrip()))
