"""Batches: which rows a replica sees in which step, and their upload to the device in blocks of steps."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from learners._fleet.group import Tensors

BLOCK = 64
"""Steps whose batches are drawn and uploaded together."""


HELPERS = 4
"""Threads that draw batches while a GPU works."""


ABSENT = -1
"""What stands in a short batch in place of a row."""


def batch_rows(seed: int, n: int, batch: int, step: int, count: int, short: bool = False) -> NDArray[np.int64]:
    """Rows of the batches of steps ``step`` … ``step + count − 1``, (count, batch), integers in [0, n).

    A stream of permutations of all n rows, one an epoch, each drawn from (seed, epoch), cut into batches of constant
    size: a batch may end one epoch and begin the next. A full batch is all rows in order.

    :param short: cut each epoch by itself; its last batch is filled up with `ABSENT`.
    """
    if batch >= n:
        return np.broadcast_to(np.arange(n), (count, n)).copy()
    if short:
        steps = -(-n // batch)
        epochs = range(step // steps, -(-(step + count) // steps))
        drawn = np.full((len(epochs), steps * batch), ABSENT)
        for row, epoch in zip(drawn, epochs, strict=True):
            row[:n] = np.random.default_rng([seed, epoch]).permutation(n)
        first = step - epochs[0] * steps
        return drawn.reshape(-1, batch)[first : first + count]
    start, stop = step * batch, (step + count) * batch
    epochs = range(start // n, -(-stop // n))
    stream = np.concatenate([np.random.default_rng([seed, epoch]).permutation(n) for epoch in epochs])
    offset = start - epochs[0] * n
    return stream[offset : offset + stop - start].reshape(count, batch)


@cache
def helpers() -> ThreadPoolExecutor:
    """Threads that all groups share."""
    return ThreadPoolExecutor(HELPERS, thread_name_prefix="batches")


class Feed:
    """The batches of a block of steps, on the device. While a GPU works, threads draw those of the next block.

    :param draw: writes the batches of one replica in one block into an array (K, B).
    :param batch: B.
    :param constant: all blocks are equal.
    """

    def __init__(
        self,
        draw: Callable[[int, int, NDArray[np.int32]], None],
        replicas: int,
        batch: int,
        constant: bool,
        device: torch.device,
    ) -> None:
        self.draw, self.constant = draw, constant
        shape = (BLOCK, replicas, batch)
        self.rows = torch.zeros(shape, dtype=torch.int32, device=device)
        # Two arrays with fixed addresses: one is copied to the device while the other is written.
        gpu = device.type == "cuda"
        self.drawn = [torch.zeros(shape, dtype=torch.int32, pin_memory=gpu) for _ in range(2)]
        self.copied = [torch.cuda.Event() for _ in range(2)] if gpu else []
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        self.next_place = 0
        self.loaded: int | None = None
        self.ahead: tuple[int, list[Future[None]]] | None = None

    def go_to(self, step: int) -> None:
        """Make the batch of a step the next one."""
        block, place = divmod(step, BLOCK)
        if self.loaded is None or not (self.constant or self.loaded == block):
            self._draw(block)
            self.rows.copy_(self.drawn[block % 2], non_blocking=True)
            if self.copied:
                self.copied[block % 2].record()
                self._begin(block + 1)
        self.loaded = block
        if self.next_place != place:
            self.place.fill_(place)
        self.next_place = place

    def forget(self) -> None:
        """Draw again on the next use, since rows now belong to other replicas."""
        for future in self.ahead[1] if self.ahead else ():
            future.result()
        self.loaded = self.ahead = None

    def gone_on(self, steps: int) -> None:
        """Advance by so many steps, which have been launched."""
        self.next_place = (self.next_place + steps) % BLOCK

    def _draw(self, block: int) -> None:
        begun, self.ahead = self.ahead, None
        for future in begun[1] if begun else ():
            future.result()
        if begun is None or begun[0] != block:
            if self.copied:
                self.copied[block % 2].synchronize()
            self._draw_some(block, 0, 1)

    def _begin(self, block: int) -> None:
        """Draw in threads, which run in parallel because numpy's permutations release Python's lock."""
        if not self.constant:
            self.copied[block % 2].synchronize()
            parts = [helpers().submit(self._draw_some, block, part, HELPERS) for part in range(HELPERS)]
            self.ahead = block, parts

    def _draw_some(self, block: int, first: int, stride: int) -> None:
        into_KRB = self.drawn[block % 2].numpy()
        for row in range(first, into_KRB.shape[1], stride):
            self.draw(block, row, into_KRB[:, row])

    @property
    def tensors(self) -> Tensors:
        """A block of batches, (K, R, B), and the place of the next one in it, (1,)."""
        return {"rows": self.rows, "place": self.place}
