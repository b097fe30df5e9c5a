"""What the operating system calls it when it has no more of something. Knows no model."""

import errno

# No memory, no process, no disk.
_SHORTAGES = {errno.ENOMEM, errno.EAGAIN, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}


def is_shortage(error: OSError) -> bool:
    """Whether the same would have succeeded with more memory, disk or processes."""
    return error.errno in _SHORTAGES
