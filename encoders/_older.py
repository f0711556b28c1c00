"""Encoders that were pickled when all columns of a table shared one code, as those of saved models."""

from collections.abc import Mapping
from typing import Any

LEARNED = {"resolution_": "resolution", "moduli_": "moduli"}
"""What is learned today where it was a parameter alone."""


def upgraded(encoder: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of today for one of before: what was learned belongs to the encoder of each column."""
    if "_feature_names" not in state:
        return dict(state)
    parameters = {name: state[name] for name in encoder.get_params(deep=False) if name in state}
    own = dict(state) | dict(encoder.integer_arguments(parameters))
    for learned, parameter in LEARNED.items():
        if parameter in parameters:
            own.setdefault(learned, own[parameter])
    if "table_" in own:
        own["n_values_"] = len(own["table_"])
    own["_names"], own["seen_"] = own.pop("_feature_names"), (0.0, 0.0)
    column = type(encoder)()
    column.__dict__.update(own)
    shape = {name: state[name] for name in ("n_features_in_", "feature_names_in_", "_sklearn_version") if name in state}
    return parameters | shape | {"columns_": [column] * state["n_features_in_"]}
