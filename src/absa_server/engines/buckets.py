"""Lengths rounded up, for devices that like few and even shapes. Pure numpy; knows no device.

On a GPU: matrices in multiples of 8 run on its tensor cores, and buffers of few sizes are found again, not allocated.
On a CPU: kernels are compiled for each shape; of few shapes they are found again (docs/engines.md has the figures).
"""

from collections.abc import Sequence

import numpy as np

from absa_server.types import IntArray

_STEP = 8


def bucket_length(length: int, longest: int | None = None) -> int:
    """`length` rounded up, by less than an eighth above 64 tokens: 8, 16, … 64, 72, … 128, 144, … 256, 288, …

    Never above `longest`, the most that the model takes; None: it takes any length.
    """
    step = max(_STEP, 1 << max(0, (length - 1).bit_length() - 4))
    rounded = -(-length // step) * step
    return rounded if longest is None else max(length, min(rounded, longest))


def pad_columns(arrays: Sequence[IntArray], length: int, fills: Sequence[int]) -> IntArray:
    """The arrays, each `(batch, seq)`, as one `(arrays, batch, length)`: one copy to a device in place of several.

    The columns that are new hold each array's own fill; a mask is filled with 0, so that nobody sees them.
    """
    batch, own = arrays[0].shape
    padded = np.empty((len(arrays), batch, length), np.int64)
    for target, array, fill in zip(padded, arrays, fills, strict=True):
        target[:, :own] = array
        target[:, own:] = fill
    return padded
