"""How a text longer than the model is cut into overlapping windows, and which window answers for which token.

Knows no tokenizer: it counts in tokens.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `start:end` that the model sees together, and `first:last`, those whose predictions are taken from it."""

    start: int
    end: int
    first: int
    last: int


def plan_windows(tokens: int, *, capacity: int, overlap: int) -> list[Window]:
    """Windows of at most `capacity` tokens, neighbours sharing `overlap`; every token is answered for exactly once.

    A token is answered for by the window in which it is farthest from an edge. At least one window, even for no tokens.
    """
    if tokens <= capacity:
        return [Window(0, tokens, 0, tokens)]
    step = max(1, capacity - overlap)
    starts = [0]
    while starts[-1] + capacity < tokens:
        starts.append(starts[-1] + step)
    ends = [min(start + capacity, tokens) for start in starts]
    borders = [0, *((start + end) // 2 for start, end in zip(starts[1:], ends[:-1], strict=True)), tokens]
    return [Window(*row) for row in zip(starts, ends, borders[:-1], borders[1:], strict=True)]


def crop_around(tokens: int, *, start: int, end: int, capacity: int) -> tuple[int, int]:
    """The half-open range of at most `capacity` of `tokens` with `start:end` in its middle, moved inside the edges.

    Where `start:end` alone is longer than `capacity`, its beginning is kept.
    """
    if tokens <= capacity:
        return 0, tokens
    spare = max(0, capacity - (end - start))
    first = min(max(0, start - spare // 2), max(0, tokens - capacity))
    return first, first + capacity
