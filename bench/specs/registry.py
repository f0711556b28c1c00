"""The names of all encoders, learners, parts of optimizers and tasks. Listing them imports none of them.

A public module of `encoders`, `learners` or `learners.optim` is a plugin that holds the class it is named after; one of
`bench.tasks` holds a table of tasks. Other packages register through the entry-point groups ``mod97.encoders``,
``mod97.learners``, ``mod97.optimizers`` and ``mod97.tasks``.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import RequestError, one_of
from bench.results import canonical as canonical
from bench.specs.plugin_source import lacking, read_class
from bench.specs.suggestions import several_message

if TYPE_CHECKING:
    from bench.tasks import Task
    from encoders import Encoder
    from learners import Learner
    from learners.optim import Part

Kind = Literal["encoder", "learner", "optimizer", "task"]
KINDS: tuple[Kind, ...] = ("encoder", "learner", "optimizer", "task")
PACKAGES = {"encoder": "encoders", "learner": "learners", "optimizer": "learners.optim", "task": "bench.tasks"}
"""Where the plugins of each kind are."""
BASES = {"encoder": "Encoder", "learner": "Learner", "optimizer": "Part"}
RESERVED = {"name", "encoder", "learner", "optimizer", "task"}
"""Names that no part of an optimizer can have."""
TABLE = "TASKS"
"""The name of the table of tasks in a module of `bench.tasks`."""


@dataclass(frozen=True)
class Listing:
    """A plugin by name.

    :param summary: the first line of its documentation.
    :param unavailable: why it cannot be used here, or None.
    :param target: "module:attribute" to import.
    :param registered: whether another package registered it. Its source is not read, so that only an import shows
        whether it can be used.
    """

    kind: Kind
    name: str
    summary: str
    unavailable: str | None
    target: str
    registered: bool = False


@cache
def listings(kind: Kind) -> dict[str, Listing]:
    """All plugins of a kind, sorted by name. Of two with the same name the built-in or first one is listed.

    The result is cached: `listings.cache_clear` makes the next call search again.
    """
    found: dict[str, Listing] = {}
    for listing in (*_built_in(kind), *_registered(kind)):
        found.setdefault(listing.name, listing)
    return dict(sorted(found.items()))


def checked_listings(kind: Kind, every: bool = False) -> dict[str, Listing]:
    """As `listings`, after importing the plugins of other packages, so that those with a fault are unavailable.

    :param every: import the built-in plugins, too.
    """
    return {
        name: _examined(listing) if every or listing.registered else listing for name, listing in listings(kind).items()
    }


def _examined(listing: Listing) -> Listing:
    if listing.unavailable:
        return listing
    from bench.specs import plugin_contract

    try:
        fault = _fault(listing.kind, _imported(listing))
        if fault is None and listing.kind == "task":
            fault = plugin_contract.fault_of_task(_loaded(listing)())
    except Exception as error:  # a module of another package may raise anything
        fault = _message(error)
    return replace(listing, unavailable=fault)


def load(kind: Kind, name: str) -> Any:
    """The class or the maker of tasks of this name, after all checks.

    :raises RequestError: where there is no such name, or the plugin cannot be used.
    """
    return _loaded(_examined(_find(kind, name)))


def encoder(name: str) -> "type[Encoder]":
    """The encoder class of a name."""
    return _loaded(_find("encoder", name))


def learner(name: str) -> "type[Learner]":
    """The learner class of a name."""
    return _loaded(_find("learner", name))


def optimizer(name: str) -> "type[Part]":
    """The class of a part of optimizers."""
    return _loaded(_find("optimizer", name))


def name_of(part: "Part") -> str:
    """The name of a part of an optimizer.

    :raises RequestError: where its class is not registered.
    """
    cls = type(part)
    target, module = f"{cls.__module__}:{cls.__qualname__}", cls.__module__.rpartition(".")[2]
    known = listings("optimizer")
    if (usual := known.get(canonical(module))) is not None and usual.target == target:
        return usual.name
    for listing in known.values():
        if listing.registered and listing.target == target:
            return listing.name
    for listing in known.values():  # a class may be registered by another module than its own
        with suppress(RequestError):
            if listing.registered and _loaded(listing) is cls:
                return listing.name
    raise RequestError(f"The optimizer part {cls.__name__} is not registered, so that no record can name it.")


def task(name: str) -> "Callable[..., Task]":
    """The maker of a task: its keyword arguments are the task's parameters."""
    return _loaded(_find("task", name))


def fault_of_name(name: str) -> str | None:
    """Why a part of an optimizer cannot have this name, or None: it stands in names of optimizers and of settings."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        return "its name must be of letters, digits and dashes"
    return f"{name!r} has another meaning in names of settings" if name in RESERVED else None


def _find(kind: Kind, name: str) -> Listing:
    if not isinstance(name, str):  # of a grid
        raise RequestError(f"`{kind}` takes a name, got {name!r}.")
    known = listings(kind)
    listing = known.get(canonical(name))
    if listing is None:
        if several := several_message(kind, name):
            raise RequestError(several)
        other = next((k for k in KINDS if k != kind and canonical(name) in listings(k)), None)
        hint = f" ({canonical(name)!r} is {'a' if other in ('learner', 'task') else 'an'} {other})" if other else ""
        raise RequestError(one_of(kind, name, known) + hint)
    return listing


def _loaded(listing: Listing) -> Any:
    """The class or maker, after a check of what the benchmark needs of it."""
    if listing.kind == "optimizer" and (fault := fault_of_name(listing.name)):
        raise _unavailable(listing, fault)
    if listing.unavailable:
        raise _unavailable(listing, listing.unavailable)
    try:
        loaded = _imported(listing)
        fault = _fault(listing.kind, loaded)
    except Exception as error:  # a module of another package may raise anything
        raise _unavailable(listing, _message(error)) from error
    if fault:
        raise _unavailable(listing, fault)
    return loaded


def _imported(listing: Listing) -> Any:
    module, _, attribute = listing.target.partition(":")
    loaded = import_module(module)
    if attribute != TABLE:
        return getattr(loaded, attribute)
    return next(maker.make for name, maker in loaded.TASKS.items() if canonical(name) == listing.name)


@cache
def _fault(kind: Kind, loaded: Any) -> str | None:
    from bench.specs import plugin_contract

    if kind == "task":
        return plugin_contract.fault_of_maker(loaded)
    base = getattr(import_module(PACKAGES[kind]), BASES[kind])
    return plugin_contract.fault_of_class(kind, loaded, base)


def _unavailable(listing: Listing, reason: str) -> RequestError:
    return RequestError(f"The {listing.kind} {listing.name!r} is unavailable: {reason}.")


def _message(error: Exception) -> str:
    """The message of an error, as the end of a sentence."""
    return (str(error) or type(error).__name__).rstrip(".")


def _built_in(kind: Kind) -> Iterator[Listing]:
    package = PACKAGES[kind]
    root, *inner = package.split(".")
    spec = find_spec(root)  # of a package inside another one it would import the outer one
    for place in (spec.submodule_search_locations if spec else None) or ():
        folder = str(Path(place, *inner))
        for module in iter_modules([folder]):
            if module.name.startswith("_") or module.ispkg:
                continue
            if kind == "task":
                yield from _read_table(f"{package}.{module.name}")
            else:
                yield _read_source(kind, module.name, Path(folder) / f"{module.name}.py", package)


def _read_table(module: str) -> Iterator[Listing]:
    """The tasks of a module, which is imported: its table is not read from its source."""
    target = f"{module}:{TABLE}"
    try:
        for name, maker in import_module(module).TASKS.items():
            yield Listing("task", canonical(name), maker.formula, None, target)
    except Exception as error:  # a module in development may raise anything
        yield Listing("task", canonical(module.rpartition(".")[2]), "", _message(error), target)


def _registered(kind: Kind) -> Iterator[Listing]:
    for point in entry_points(group=f"mod97.{kind}s"):
        origin = point.dist.name if point.dist else point.module
        missing = _missing_module(point.module.partition(".")[0])
        target = f"{point.module}:{point.attr}"
        yield Listing(kind, canonical(point.name), f"from {origin}", missing, target, registered=True)


def _missing_module(root: str) -> str | None:
    return None if find_spec(root) else f"there is no module {root!r}"


def _read_source(kind: Kind, module: str, path: Path, package: str) -> Listing:
    """A listing from the source of a plugin: its summary, imports that are not installed, and methods it lacks."""
    name, plain = canonical(module), module.replace("_", "")
    found, fault = None, f"{path.name} defines no class whose name is {plain!r} in lower case"
    try:
        found = read_class(path, plain, BASES[kind])
    except (OSError, ValueError) as error:
        fault = f"{path.name} cannot be read: {error}"
    if found is None:
        return Listing(kind, name, "", fault, f"{package}.{module}:")
    missing = next(filter(None, map(_missing_module, found.imports)), None)
    unavailable = missing or (lacking(found.lacks) if found.lacks else None)
    return Listing(kind, name, found.summary, unavailable, f"{package}.{module}:{found.name}")
