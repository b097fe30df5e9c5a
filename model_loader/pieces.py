"""What bytes travel in from a store to a disk: parts, asked for side by side, and pieces, handed on one by one."""

Piece = bytes | memoryview

# Large, since each piece is received, inflated, hashed and written by itself, and a thread waits for the interpreter
# every time. Below a MB: from there on a server's allocator (engines/memory.py) maps memory anew for every piece.
PIECE_BYTES = (1 << 20) - 4096
# Parts begin small and double, two of each size: they arrive side by side, and nothing can be unpacked before the first
# is complete.
FIRST_PART_BYTES = 1 << 20


def cut(size_bytes: int, part_bytes: int, *, first_bytes: int = FIRST_PART_BYTES) -> list[tuple[int, int]]:
    """An object of `size_bytes` in parts of at most `part_bytes`, in order: where each begins and, exclusive, ends.

    The first one has `first_bytes` at most.
    """
    parts: list[tuple[int, int]] = []
    begin = 0
    while begin < size_bytes:
        end = min(begin + min(part_bytes, first_bytes << len(parts) // 2), size_bytes)
        parts.append((begin, end))
        begin = end
    return parts
