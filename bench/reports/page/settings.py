"""The settings of rows: what differs from the defaults, and the defaults, which many rows share."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from bench.errors import BenchError
from bench.ranking import Row
from bench.reports.page.packing import Shared
from bench.specs import Request, family


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values by names with dots.

    >>> flat({"versions": {"torch": "2.11"}, "threads": 1})
    {'versions.torch': '2.11', 'threads': 1}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def settings_of(rows: Sequence[Row]) -> dict[str, Any]:
    """The settings of each row: those by default, which rows share, and by which of them it differs.

    A row has all values of its ``defaults`` except where ``changed`` has another one; what is in ``absent`` it does not
    have, as records of earlier versions lack what a plugin has gained since. Where a plugin is not installed, its
    defaults are not known, and ``defaults`` is empty.
    """
    defaults, changed, absent = Shared(), Shared(), Shared()
    places = []
    for row in rows:
        usual, own = default_settings(row.encoder, row.learner, str(row.task), row.modulus), flat(row.config)
        differing = {name: value for name, value in own.items() if name not in usual or usual[name] != value}
        missing = [name for name in usual if name not in own]
        places.append([defaults.place(dict(usual)), changed.place(differing), absent.place(missing)])
    return {"defaults": defaults.values, "changed": changed.values, "absent": absent.values, "places": places}


@cache
def default_settings(encoder: str, learner: str, task: str, modulus: int | None) -> Mapping[str, Any]:
    """The settings of a run for which only encoder, learner, task and modulus are given; none where that fails."""
    try:
        spec = family(Request(encoder=encoder, learner=learner, task=task, modulus=modulus)).first.to_dict()
    except (BenchError, TypeError):
        return {}
    for owner in ("encoder", "learner"):
        spec[owner].pop("random_state", None)
    return flat({name: value for name, value in spec.items() if name not in ("seed", "split_seed")})
