"""In what pieces bytes travel from a store to a disk."""

Piece = bytes | memoryview

# Smaller: a thread waits for the interpreter more often, since each piece is received, inflated, hashed and written by
# itself. Larger: they leave the processor's caches in between, and from a MB on a server's allocator
# (engines/memory.py) maps memory anew for every piece.
PIECE_BYTES = 512 << 10
