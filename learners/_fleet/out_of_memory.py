"""Recognise that memory ran out."""

import torch


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that caused it, says that memory ran out on a CPU or a GPU."""
    words = ("not enough memory", "out of memory", "ALLOC_FAILED")
    chain = [error, error.__cause__, error.__context__, getattr(error, "inner_exception", None)]
    return any(
        isinstance(e, torch.OutOfMemoryError | MemoryError) or (e is not None and any(w in str(e) for w in words))
        for e in chain
    )
