"""The settings of rows: what differs from the defaults, and the defaults, which many rows share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.errors import BenchError
from bench.ranking import Row
from bench.reports.page.packing import Shared
from bench.results import flat
from bench.specs import default_settings

NONE: Mapping[str, Any] = {}
"""One object, by which rows without defaults are known to share them."""


class Settings(NamedTuple):
    """The settings of a row: those by default, which of them it has changed, and which are absent.

    Records of earlier versions lack what a plugin has gained since. Where a plugin is not installed, there are no
    defaults, and all values are changed.
    """

    defaults: Mapping[str, Any]
    changed: dict[str, Any]
    absent: list[str]


def settings_of(row: Row) -> Settings:
    """The settings of a row beside the defaults of its encoder, learner, optimizer, task and modulus."""
    usual = usual_settings(row.encoder, row.learner, str(row.task), row.modulus, row.optimizer)
    own = flat(row.config)
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


def usual_settings(
    encoder: str, learner: str, task: str, modulus: int | None = None, optimizer: str | None = None
) -> Mapping[str, Any]:
    """The settings of a run for which only these are given; none where a plugin is not installed."""
    try:
        return default_settings(encoder, learner, task, modulus, optimizer)
    except (BenchError, TypeError):
        return NONE
