"""The input of a learner: a table of distinct codes, and an index of the codes of each example."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Codes:
    """A fixed table of distinct codes and an index of the examples that use them.

    Example n consists of the S codes ``table_UF[index_NS[n]]``. A linear map E of the table is an embedding:
    ``(table_UF @ E_FD)[index_NS]`` costs U rows instead of N·S.

    :param table_UF: U distinct codes of F features, float32.
    :param index_NS: the codes of N examples with S slots each, integers in [0, U).
    :raises ValueError: where the shapes or the range of the index do not fit.

    >>> codes = Codes([[1, 0], [0, 1]], [[0, 1], [1, 1]])
    >>> codes.dense().tolist()
    [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]]
    """

    table_UF: NDArray[np.float32]
    index_NS: NDArray[np.intp]

    def __init__(self, table_UF: ArrayLike, index_NS: ArrayLike) -> None:
        table = np.ascontiguousarray(table_UF, dtype=np.float32)
        given = np.asarray(index_NS)
        if given.size and given.dtype.kind not in "iu":
            raise ValueError(f"The index of Codes must be integers, got {given.dtype}.")
        index = np.ascontiguousarray(given, dtype=np.intp)
        if table.ndim != 2 or index.ndim != 2:
            raise ValueError(f"Codes takes a table (U, F) and an index (N, S), got {table.shape} and {index.shape}.")
        if index.size and not 0 <= index.min() <= index.max() < len(table):
            raise ValueError(f"The index of Codes must be in [0, {len(table)}), got {index.min()} to {index.max()}.")
        object.__setattr__(self, "table_UF", table)
        object.__setattr__(self, "index_NS", index)

    def __len__(self) -> int:
        return len(self.index_NS)

    def __getitem__(self, rows: Any) -> "Codes":
        """The chosen examples over the same table."""
        return Codes(self.table_UF, self.index_NS[rows])

    def __repr__(self) -> str:
        codes, features = self.table_UF.shape
        return f"Codes({len(self)} examples of {self.n_slots} of {codes} codes, {features} features)"

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of `dense`, (N, S·F)."""
        return len(self), self.n_slots * self.n_features

    @property
    def n_slots(self) -> int:
        """S, the codes that an example consists of."""
        return self.index_NS.shape[1]

    @property
    def n_features(self) -> int:
        """F, the features of one code."""
        return self.table_UF.shape[1]

    @property
    def onehot(self) -> bool:
        """Whether code u is a one at feature u and nothing else: a linear map of it is a row of the map."""
        codes, features = self.table_UF.shape
        return codes == features and bool((self.table_UF == np.eye(codes, dtype=np.float32)).all())

    def dense(self) -> NDArray[np.float32]:
        """The examples written out, (N, S·F)."""
        return self.table_UF[self.index_NS].reshape(len(self), -1)

    def take(self, rows: ArrayLike) -> "Codes":
        """The chosen examples over the same table."""
        return self[np.asarray(rows)]
