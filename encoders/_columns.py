"""From one encoder to one for each column, since a parameter may have a value for each."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

LARGEST_SEED = 2**31 - 1
OF_ALL_COLUMNS = frozenset({"missing", "unknown", "sparse_output", "dtype", "random_state"})
"""Parameters that cannot be mappings."""

E = TypeVar("E")
T = TypeVar("T")


def column_names(encoder: Any) -> list[Any]:
    """The names of the columns that it was fitted on, or their positions."""
    names = getattr(encoder, "feature_names_in_", None)
    return list(range(encoder.n_features_in_)) if names is None else list(names)


def forget(estimator: Any) -> None:
    """Make it what it was before the first fit, so that a fit that fails leaves nothing half done."""
    parameters = estimator.get_params(deep=False)
    for name in [name for name in vars(estimator) if name.endswith("_") and name not in parameters]:
        delattr(estimator, name)


def names_of(encoder: Any, X: Any) -> list[Any]:
    """The names of the columns as `column_names`, and of a table those that are no strings; no name occurs twice."""
    known, names = column_names(encoder), list(getattr(X, "columns", ()))
    distinct = len(names) == len(known) and all(isinstance(name, Hashable) for name in names)
    own = hasattr(encoder, "feature_names_in_") or not distinct or len(set(names)) < len(names)
    return known if own else names


def one_for_each(encoder: Any, names: Sequence[Any]) -> list[Any]:
    """A copy of the encoder for each column, in which every mapping is replaced by the column's own value.

    A random state that is not an integer is replaced by one drawn from it, so that a column can be learned again.

    :raises ValueError: for a parameter that breaks its rule, a column without an entry, or an entry without a column.
    """
    parameters = encoder.get_params(deep=False)
    for name, given in parameters.items():
        if isinstance(given, Mapping):
            if name in OF_ALL_COLUMNS:
                raise ValueError(f"The {name!r} parameter of {type(encoder).__name__} is one for all columns.")
            _check_keys(encoder, name, given, names)
    found = []
    for place, column in enumerate(names):
        values = {name: _value(given, column, place) for name, given in parameters.items()}
        made = type(encoder)(**values)
        _checked(made, [name for name, given in parameters.items() if isinstance(given, Mapping)], column)
        if not isinstance(values.get("random_state", 0), Integral):
            made.random_state = check_random_state(values["random_state"]).randint(LARGEST_SEED)
        found.append(made)
    return found


def for_each(
    encoders: Sequence[E], names: Sequence[Any], values_NC: NDArray[np.float64], do: Callable[[E, Any], T]
) -> list[T]:
    """Do something with each column's encoder and numbers; errors name the column where there are several."""
    found = []
    for place, encoder in enumerate(encoders):
        try:
            found.append(do(encoder, values_NC[:, place]))
        except ValueError as error:
            if len(encoders) == 1:
                raise
            raise ValueError(f"In column {names[place]!r}: {error}") from error
    return found


def _value(given: Any, column: Any, place: int) -> Any:
    if not isinstance(given, Mapping):
        return given
    return given[column] if column in given else given[place]


def _places(columns: Sequence[Any]) -> range:
    """The positions by which columns may be called: none where integers are names."""
    named = any(isinstance(column, Integral) for column in columns) and list(columns) != list(range(len(columns)))
    return range(0 if named else len(columns))


def _check_keys(encoder: Any, name: str, given: Mapping[Any, Any], columns: Sequence[Any]) -> None:
    """Every column has an entry, by its name or its position, and every entry a column."""
    owner = f"The {name!r} parameter of {type(encoder).__name__}"
    places = _places(columns)
    for place, column in enumerate(columns):
        if column not in given and not (place in places and place in given):
            raise ValueError(f"{owner} has no entry for column {column!r}: there are {_listed(given)}.")
        if column in given and place in places and place in given and column != place:
            raise ValueError(f"{owner} has two entries for column {column!r}: by name and by position {place}.")
    unused = [key for key in given if key not in columns and key not in places]
    if unused:
        near = get_close_matches(str(unused[0]), map(str, columns), 1)
        hint = f": did you mean {near[0]!r}?" if near else f"; there are {_listed(columns)}."
        raise ValueError(f"{owner} has an entry for {unused[0]!r}, which is no column{hint}")


def _listed(names: Any) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:7], f"{len(shown) - 7} more"]) or "none"


def _checked(column: Any, own: Sequence[str], name: Any) -> None:
    """Check the parameters of one column; the error names the column where one of them is its own."""
    try:
        column.check()
    except ValueError as error:
        if not own:
            raise
        raise ValueError(f"In column {name!r}: {error}") from error
