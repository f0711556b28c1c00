"""Whether this system lets worker processes be started: they need semaphores, which live in shared memory."""

import multiprocessing


def why_none() -> str | None:
    """Why no worker process can be started, or None.

    Containers may lack shared memory (on Linux ``/dev/shm``), have it read-only, or have none left.
    """
    methods = multiprocessing.get_all_start_methods()
    try:
        multiprocessing.get_context("fork" if "fork" in methods else None).Semaphore()
    except (ImportError, OSError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None
