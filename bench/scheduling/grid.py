"""Grids: one YAML document, or one set of options, that describes many requests."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from bench.errors import RequestError, one_of
from bench.scheduling.documents import read_document
from bench.specs import (
    Request,
    did_you_mean,
    has_optimizer,
    matching_parameters,
    options,
    parts_of,
    registry,
    settable,
    settable_of,
)

OPTIONS = {name: option for name, (option, _) in options(Request).items()}
"""The keys of a grid, besides the parameters ``learner.NAME``, ``encoder.NAME``, ``task.NAME`` and ``PART.NAME``."""
NAMED = ("encoder", "learner", "optimizer")
"""Keys whose alternatives are plugins, each perhaps with parameters."""
RANGE = {"from", "to", "step", "count", "log"}
MOST = 10_000_000
"""The largest number of values of a range."""


@dataclass(frozen=True)
class Combination:
    """One combination of the alternatives of a grid.

    :param values: fields of a request.
    :param source: the name of the grid, for error messages.
    """

    values: dict[str, Any]
    source: str


@dataclass(frozen=True)
class Grid:
    """A union of grids, each a mapping from keys to alternatives.

    A list holds alternatives, so that a value which is a list itself is written as a list in a list. ``{from, to,
    step}`` and ``{from, to, count}`` are ranges, both ends included, evenly spaced or, with ``log: true``, by ratio.
    Alternatives of ``encoder``, ``learner`` and ``optimizer`` may be mappings ``{NAME: {PARAMETER: alternatives}}``;
    "all" stands for all names of encoders or learners.

    :param name: the name in displays and messages.
    :param parts: the grids.
    """

    name: str
    parts: tuple[Mapping[str, Any], ...]

    def __iter__(self) -> Iterator[Combination]:
        """All combinations; the last key varies fastest.

        :raises RequestError: for an unknown key, a key without values, or an invalid range.
        """
        for number, part in enumerate(self.parts):
            source = self.name if len(self.parts) == 1 else f"{self.name}, grid {number + 1}"
            yield from _combinations(part, source)

    @classmethod
    def of(cls, document: Any, name: str = "the grid") -> "Grid":
        """A grid from a mapping, or from a mapping of ``grids`` (a list) and the keys that these share.

        :raises RequestError: if it is neither.
        """
        parts = document.get("grids", [{}]) if isinstance(document, Mapping) else [{}]
        if not isinstance(parts, Sequence) or isinstance(parts, str) or not parts:
            raise RequestError(f"{name}: grids must be a list of at least one grid.")
        for part in (document, *parts):
            if not isinstance(part, Mapping):
                raise RequestError(f"{name}: a grid is a mapping, got {_kind(part)}.")
        shared = {str(key): value for key, value in document.items() if key not in ("grids", "name")}
        inner = ({str(key): value for key, value in part.items()} for part in parts)
        return cls(str(document.get("name", name)), tuple({**shared, **part} for part in inner))


def read(path: str | Path) -> Grid:
    """A grid from a YAML file.

    :raises RequestError: if the file cannot be read, or does not hold a grid.
    """
    document = read_document(path, f"The grid {str(path)!r}")
    return Grid.of({} if document is None else document, Path(path).name)


def _scalar(text: Any) -> Any:
    """The number that a string holds, if it does: YAML 1.1 reads 1e-3 as a string."""
    if isinstance(text, str) and text[:1] in "+-.0123456789":
        with suppress(ValueError):
            return float(text)
    return text


def _combinations(part: Mapping[str, Any], source: str) -> Iterator[Combination]:
    _check_keys(part, source)
    axes = [[_one(key, value, source) for value in _alternatives(key, values, source)] for key, values in part.items()]
    for choice in product(*axes):
        for expanded in product(*choice):
            yield Combination({"settings": {}, **_merged(expanded)}, source)


def _merged(choice: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The union of some fields of a request; their settings are united too."""
    values: dict[str, Any] = {}
    for fields in choice:
        settings = {**values.get("settings", {}), **fields.get("settings", {})}
        values |= {**fields, "settings": settings} if settings else fields
    return values


def _check_keys(part: Mapping[str, Any], source: str) -> None:
    """Raise RequestError for an unknown key, with the parameters of a similar name."""
    for key in part:
        if "." not in key and key not in OPTIONS:
            known = {"encoder": _settable("encoder", part), "learner": _settable("learner", part), **_parts(part)}
            found = matching_parameters(key, known, near=True)
            wrong = f"Unknown key {key!r}{did_you_mean(found)}" if found else one_of("key", key, OPTIONS)
            raise RequestError(f"{source}: {wrong}")


def _settable(kind: str, part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parameters of each encoder or learner that a grid names; empty if one of the names is unknown."""
    with suppress(RequestError):
        return [settable(kind, getattr(registry, kind)(name)) for name in _names(kind, part)]
    return []


def _parts(part: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The parameters of the parts of each optimizer that a grid names, or of its learners' own."""
    with suppress(RequestError):
        learners = [registry.learner(name) for name in _names("learner", part)]
        names: list[str | None] = [*_names("optimizer", part)]
        found = (parts_of(learner, name) for learner in learners if has_optimizer(learner) for name in names or [None])
        return {name: [settable_of(one)] for parts in found for name, one in parts.items()}
    return {}


def _names(kind: str, part: Mapping[str, Any]) -> list[str]:
    """The plugins of a kind that a grid names one by one."""
    values = part.get(kind, ())
    several = values if isinstance(values, list | tuple) else [] if values == "all" else [values]
    return [str(name) for value in several for name in (value if isinstance(value, Mapping) else [value])]


def _one(key: str, value: Any, source: str) -> list[dict[str, Any]]:
    """The fields of a request that an alternative of a key sets: one mapping, or several if it has alternatives too."""
    if "." in key:
        return [{"settings": {key: value}}]
    if key not in NAMED or not isinstance(value, Mapping):
        return [{key: value}]
    if len(value) != 1:
        raise RequestError(f"{source}: {key} takes names or {{NAME: {{PARAMETER: …}}}}, got {dict(value)}.")
    [(name, inner)] = value.items()
    inner = {} if inner is None else inner
    if not isinstance(inner, Mapping):
        raise RequestError(f"{source}: the parameters of {name} are a mapping, got {_kind(inner)}.")
    axes = []
    for name_of, values in inner.items():
        parameter = str(name_of)
        own = parameter in OPTIONS and OPTIONS[parameter].owner == key
        if own and parameter in NAMED:
            found = [_one(parameter, v, source) for v in _alternatives(parameter, values, source)]
            axes.append([fields for several in found for fields in several])
            continue
        whole = own or ("." in parameter and not _is_inside(key, str(name), parameter))
        full = parameter if whole else f"{_owner(key, str(name), parameter, source)}.{parameter}"
        values_of = _alternatives(full, values, source)
        axes.append([{parameter: v} if own else {"settings": {full: v}} for v in values_of])
    return [{key: name, **_merged(choice)} for choice in product(*axes)]


def _is_inside(key: str, name: str, parameter: str) -> bool:
    """Whether a parameter like ``rest.lr`` is one inside of an optimizer's only part, without the name of that part."""
    only = registry.canonical(name.partition("(")[0])
    return key == "optimizer" and "+" not in name and registry.canonical(parameter.partition(".")[0]) != only


def _owner(key: str, name: str, parameter: str, source: str) -> str:
    """What the name of a plugin's parameter begins with: encoder, learner, or the optimizer's only part."""
    if key != "optimizer":
        return key
    if "+" in name:
        raise RequestError(f"{source}: {name} has several parts: a parameter is PART.NAME, got {parameter}.")
    return name.partition("(")[0]


def _alternatives(key: str, values: Any, source: str) -> Sequence[Any]:
    found = _listed(key, values, source)
    if key in OPTIONS and OPTIONS[key].parse is int:
        found = [int(x) if isinstance(x, float) and x.is_integer() else x for x in found]
    if key == "sdr":  # YAML 1.1 reads off as false
        found = ["off" if x is False else x for x in found]
    if key == "stop_when_solved" and not all(isinstance(x, bool) for x in found):
        raise RequestError(f"{source}: stop_when_solved is true or false, got {found[0]!r}.")
    if key == "seeds" and len(found) > 1:
        raise RequestError(f"{source}: seeds is how many, from 0 on; seed takes a list of them.")
    return found


def _listed(key: str, values: Any, source: str) -> Sequence[Any]:
    if key in ("encoder", "learner") and values == "all":
        listings = registry.checked_listings("encoder" if key == "encoder" else "learner")
        return [name for name, listing in listings.items() if not listing.unavailable]
    if isinstance(values, Mapping) and key not in NAMED:
        return _range(key, values, source)
    found = [_scalar(value) for value in values] if isinstance(values, list | tuple) else [_scalar(values)]
    if not found:
        raise RequestError(f"{source}: {key} has no values: the grid is empty.")
    return found


def _range(key: str, values: Mapping[str, Any], source: str) -> list[float]:
    """Numbers from the first to the last, evenly spaced or with equal ratios."""
    for name in values:
        if str(name) not in RANGE:
            raise RequestError(f"{source}: {key}: {one_of('key of a range', str(name), RANGE)}")
    low, high, step, count = (_scalar(values.get(name)) for name in ("from", "to", "step", "count"))
    log = values.get("log", False)
    numbers = [x for x in (low, high, step, count) if x is not None]
    if not all(abs(x) < 1e100 for x in numbers if _is_number(x)):
        raise RequestError(f"{source}: {key}: numbers of a range are below 1e100.")
    if low is None or high is None or (step is None) == (count is None) or not all(map(_is_number, numbers)):
        raise RequestError(f"{source}: {key}: a range has numbers from, to, and step or count.")
    whole = all(isinstance(x, int) for x in numbers)
    if count is None:
        if log or step <= 0 or high < low:
            raise RequestError(f"{source}: {key}: a range with a step goes up by a step above 0, without log.")
        count = math.floor((high - low) / step + 1e-9) + 1
        _check_count(key, count, source)
        return [_round(low + i * step, whole) for i in range(count)]
    _check_count(key, count, source)
    if log and not (low > 0 and high > 0):
        raise RequestError(f"{source}: {key}: a range by ratio lies above 0.")
    shares = [i / max(1, count - 1) for i in range(int(count))]
    return [_round(low * (high / low) ** x if log else low + (high - low) * x) for x in shares]


def _check_count(key: str, count: Any, source: str) -> None:
    if count != int(count) or not 1 <= count <= MOST:
        raise RequestError(f"{source}: {key}: a range has 1 to {MOST:,} values, got {count}.")


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


def _round(x: float, whole: bool = False) -> float:
    """Round a number of a range, so that 0.1 + 2 · 0.1 is 0.3."""
    return int(x) if whole else float(f"{x:.12g}")


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
