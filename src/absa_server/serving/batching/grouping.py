"""Which rows of a queue make one batch: similar lengths around the row whose turn it is. Pure: numbers in, a range out.

A forward pass costs about as much as its padded tokens and a few more. The group is the one in which the largest share
of that cost goes to real tokens: rows are added while they pay for the padding that they cause.

Batches have few different numbers of rows, so that their shapes come again and an engine finds its kernels again. Rows
left over wait for the next batch; on the CPU that costs less than kernels for their shape (docs/engines.md).
"""

from collections.abc import Sequence

# What a forward pass costs by itself, in tokens: about 24 in bf16, more where tokens cost less (int8). Higher: larger
# batches of less similar lengths. At 32 clients 48 served 6 % more than 24 in int8 and 2 % in bf16, which is near what
# two runs differ by; 96 was no better.
_PASS_TOKENS = 48


def similar_rows(lengths: Sequence[int], anchor: int, *, limit_tokens: int) -> range:
    """The neighbours of `anchor` in ascending `lengths` that share its batch; always with itself.

    They are 1, 2, 3, 4, 6, 8, 12, 16, … rows, and have at most `limit_tokens` together, padded, unless the anchor alone
    has more. Takes time in proportion to the rows it looks at, at most `limit_tokens`.
    """
    first, last, own = anchor, anchor + 1, lengths[anchor]
    best, best_share = range(first, last), own / (_PASS_TOKENS + own)
    while True:
        options = []
        if first > 0:
            options.append((own + lengths[first - 1], first - 1, last))
        if last < len(lengths):
            options.append((own + lengths[last], first, last + 1))
        fitting = [one for one in options if lengths[one[2] - 1] * (one[2] - one[1]) <= limit_tokens]
        if not fitting:
            return best
        own, first, last = max(fitting, key=lambda one: _share(lengths, one))
        if _is_usual(last - first) and (share := _share(lengths, (own, first, last))) >= best_share:
            best, best_share = range(first, last), share


def _is_usual(rows: int) -> bool:
    """Whether `rows` is a power of two, or three times one."""
    odd = rows // (rows & -rows)
    return odd in (1, 3)


def _share(lengths: Sequence[int], group: tuple[int, int, int]) -> float:
    own, first, last = group
    return own / (_PASS_TOKENS + lengths[last - 1] * (last - first))
