"""The settings of rows: what differs from the defaults, and the defaults, which many rows share."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

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


class Settings(NamedTuple):
    """The settings of a row: those by default, which of them it has changed, and which are absent.

    Records of earlier versions lack what a plugin has gained since. Where a plugin is not installed, there are no
    defaults, and all values are changed.
    """

    defaults: Mapping[str, Any]
    changed: dict[str, Any]
    absent: list[str]


def settings_of(row: Row) -> Settings:
    """The settings of a row beside the defaults of its encoder, learner, task and modulus."""
    usual, own = default_settings(row.encoder, row.learner, str(row.task), row.modulus), flat(row.config)
    changed = {name: value for name, value in own.items() if name not in usual or usual[name] != value}
    return Settings(usual, changed, [name for name in usual if name not in own])


def settings_data(settings: Sequence[Settings]) -> dict[str, Any]:
    """The settings of rows, each by three places: of its defaults, of what it has changed, and of what is absent."""
    defaults, changed, absent = Shared(), Shared(), Shared()
    usual = {id(one.defaults): defaults.place(dict(one.defaults)) for one in _distinct(settings)}
    places = [[usual[id(one.defaults)], changed.place(one.changed), absent.place(one.absent)] for one in settings]
    return {"defaults": defaults.values, "changed": changed.values, "absent": absent.values, "places": places}


def _distinct(settings: Sequence[Settings]) -> Iterable[Settings]:
    """One of all that share their defaults, which are the same object."""
    return {id(one.defaults): one for one in settings}.values()


@cache
def default_settings(encoder: str, learner: str, task: str, modulus: int | None) -> Mapping[str, Any]:
    """The settings of a run for which only encoder, learner, task and modulus are given; none where that fails.

    :param modulus: None takes that of the task.
    """
    try:
        spec = family(Request(encoder=encoder, learner=learner, task=task, modulus=modulus)).first.to_dict()
    except (BenchError, TypeError):
        return {}
    for owner in ("encoder", "learner"):
        spec[owner] = {name: value for name, value in spec[owner].items() if name != "random_state"}
    return flat({name: value for name, value in spec.items() if name not in ("seed", "split_seed")})
