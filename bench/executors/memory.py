"""Memory that training gives back in one step and wants again in the next stays with the process."""

import ctypes
from contextlib import suppress

# malloc.h of the GNU C library
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_MMAP_THRESHOLD = 32 * 2**20
MOST = 2**31 - 1


def keep_freed_memory() -> None:
    """Let the C library keep what is freed: it otherwise returns large arrays to the system, page by page.

    A step on a CPU frees and wants again tens of megabytes: fetching them anew took 8 of 22 ms (4,600 page faults a
    step, default transformer, one core of an AMD EPYC). Does nothing where the C library is another one.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in (
            (M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD),
            (M_TRIM_THRESHOLD, MOST),
            (M_TOP_PAD, 2 * LARGEST_MMAP_THRESHOLD),
        ):
            mallopt(parameter, value)
