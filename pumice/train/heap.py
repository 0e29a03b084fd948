"""Memory that a training step frees stays with the process for the next step, instead of going back to the system."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Of <malloc.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MIB = 2**20


@contextmanager
def memory_kept() -> Iterator[None]:
    """Let freed memory stay with the process within the block, and give it back at its end.

    glibc takes a block of more than 32 MiB, as most activations of a batch are, straight from the system and gives it
    back when it is freed.  The next step asks again, and the system clears every page of it again: up to half the time
    of a step.  The numbers stay the same, to the last bit.

    Afterwards glibc's thresholds are what it sets itself once it has freed a block of 32 MiB; later blocks may still be
    put where those of the training were, and then stay when they are freed.  Nothing happens where the C library is
    another.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_MAX, 65536)
        libc.mallopt(_MMAP_THRESHOLD, 32 * _MIB)
        libc.mallopt(_TRIM_THRESHOLD, 64 * _MIB)
        libc.malloc_trim(0)


def give_back() -> None:
    """Give freed memory back to the system now.

    Processes forked afterwards would hold the old content of what this one writes anew.
    """
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library where it is glibc."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
