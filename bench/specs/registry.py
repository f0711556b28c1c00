"""Names: which encoders, learners and tasks there are. Listing them imports none of them.

A public module of `encoders` or `learners` is a plugin that holds the class it is named after; one of `bench.tasks`
holds a table of tasks. Other packages register through the entry-point groups ``mod97.encoders``, ``mod97.learners``
and ``mod97.tasks``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import RequestError, one_of
from bench.specs.hints import for_several
from bench.specs.sources import lacking, read_class

if TYPE_CHECKING:
    from bench.tasks import Task
    from encoders import Encoder
    from learners import Learner

Kind = Literal["encoder", "learner", "task"]
KINDS: tuple[Kind, ...] = ("encoder", "learner", "task")
BASES = {"encoder": "Encoder", "learner": "Learner"}
TABLE = "TASKS"
"""Name of the table by which a module of `bench.tasks` says which tasks it holds."""


@dataclass(frozen=True)
class Listing:
    """A name that can be asked for.

    :param summary: the first line of its documentation.
    :param unavailable: why it cannot be used here, or None.
    :param target: "module:attribute" to import.
    :param registered: whether another package registered it: its source is not read, so that only importing it tells
        whether it can be used.
    """

    kind: Kind
    name: str
    summary: str
    unavailable: str | None
    target: str
    registered: bool = False


def canonical(name: str) -> str:
    """As names are written: lower case, ``-`` for ``_``."""
    return name.strip().lower().replace("_", "-")


@cache
def listings(kind: Kind) -> dict[str, Listing]:
    """Everything of one kind by name, sorted; of two with one name the built-in or first one counts.

    Looked up once a process: `listings.cache_clear` makes it look again.
    """
    found: dict[str, Listing] = {}
    for listing in (*_built_in(kind), *_registered(kind)):
        found.setdefault(listing.name, listing)
    return dict(sorted(found.items()))


def examined(kind: Kind, every: bool = False) -> dict[str, Listing]:
    """As `listings`; what is registered is imported, so that an incomplete plugin says what it lacks.

    :param every: import what the suite brings along, too.
    """
    return {
        name: _examined(listing) if every or listing.registered else listing for name, listing in listings(kind).items()
    }


def _examined(listing: Listing) -> Listing:
    if listing.unavailable:
        return listing
    try:
        fault = _fault(listing.kind, _imported(listing))
        if fault is None and listing.kind == "task":
            fault = _fault_of_made(_loaded(listing))
    except Exception as error:  # somebody else's module may raise anything
        fault = _said(error)
    return replace(listing, unavailable=fault)


def usable(kind: Kind, name: str) -> Any:
    """The class or maker of a name, examined.

    :raises RequestError: where there is no such name, or it cannot be used as it comes.
    """
    listing = _examined(_find(kind, name))
    if listing.unavailable:
        raise _unavailable(listing, listing.unavailable)
    return _loaded(listing)


def encoder(name: str) -> "type[Encoder]":
    """The encoder class of a name."""
    return _loaded(_find("encoder", name))


def learner(name: str) -> "type[Learner]":
    """The learner class of a name."""
    return _loaded(_find("learner", name))


def task(name: str) -> "Callable[..., Task]":
    """The maker of a task: its keyword arguments are the task's parameters."""
    return _loaded(_find("task", name))


def _find(kind: Kind, name: str) -> Listing:
    known = listings(kind)
    listing = known.get(canonical(name))
    if listing is None:
        if several := for_several(kind, name):
            raise RequestError(several)
        other = next((k for k in KINDS if k != kind and canonical(name) in listings(k)), None)
        hint = f" ({canonical(name)!r} is a {other})".replace("a encoder", "an encoder") if other else ""
        raise RequestError(one_of(kind, name, known) + hint)
    if listing.unavailable:
        raise _unavailable(listing, listing.unavailable)
    return listing


def _loaded(listing: Listing) -> Any:
    """The class or maker, which has all that the benchmark asks of it."""
    try:
        loaded = _imported(listing)
        fault = _fault(listing.kind, loaded)
    except Exception as error:  # somebody else's module may raise anything
        raise _unavailable(listing, _said(error)) from error
    if fault:
        raise _unavailable(listing, fault)
    return loaded


def _imported(listing: Listing) -> Any:
    module, _, attribute = listing.target.partition(":")
    loaded = import_module(module)
    return loaded.TASKS[listing.name].make if attribute == TABLE else getattr(loaded, attribute)


@cache
def _fault(kind: Kind, loaded: Any) -> str | None:
    from bench.specs import contracts

    if kind == "task":
        return contracts.fault_of_maker(loaded)
    base = getattr(import_module(f"{kind}s"), BASES[kind])
    return contracts.fault_of_class(kind, loaded, base)


def _fault_of_made(maker: "Callable[..., Task]") -> str | None:
    from bench.specs.contracts import fault_of_task

    return fault_of_task(maker())


def _unavailable(listing: Listing, reason: str) -> RequestError:
    return RequestError(f"The {listing.kind} {listing.name!r} is unavailable: {reason}.")


def _said(error: Exception) -> str:
    """What an error says, as the end of a sentence."""
    return (str(error) or type(error).__name__).rstrip(".")


def _built_in(kind: Kind) -> Iterator[Listing]:
    package = "bench.tasks" if kind == "task" else f"{kind}s"
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for module in iter_modules([folder]):
            if module.name.startswith("_") or module.ispkg:
                continue
            if kind == "task":
                yield from _read_table(f"{package}.{module.name}")
            else:
                yield _read_source(kind, module.name, Path(folder) / f"{module.name}.py", package)


def _read_table(module: str) -> Iterator[Listing]:
    """The tasks of a module, which is imported: a table of a dozen formulas says more than its source."""
    target = f"{module}:{TABLE}"
    try:
        for name, maker in import_module(module).TASKS.items():
            yield Listing("task", name, maker.formula, None, target)
    except Exception as error:  # a module that somebody else wrote may raise anything
        yield Listing("task", canonical(module.rpartition(".")[2]), "", _said(error), target)


def _registered(kind: Kind) -> Iterator[Listing]:
    for point in entry_points(group=f"mod97.{kind}s"):
        origin = point.dist.name if point.dist else point.module
        missing = _missing_module(point.module.partition(".")[0])
        yield Listing(kind, canonical(point.name), f"from {origin}", missing, _target(point), registered=True)


def _target(point: EntryPoint) -> str:
    return f"{point.module}:{point.attr}"


def _missing_module(root: str) -> str | None:
    return None if find_spec(root) else f"there is no module {root!r}"


def _read_source(kind: Kind, module: str, path: Path, package: str) -> Listing:
    """A listing from a plugin's source text: its summary, whether all that it imports is there, and what it lacks."""
    name = canonical(module)
    plain = module.replace("_", "")
    try:
        found = read_class(path, plain, BASES[kind])
    except (OSError, ValueError) as error:
        return Listing(kind, name, "", f"{path.name} cannot be read: {error}", f"{package}.{module}:")
    if found is None:
        reason = f"{path.name} defines no class whose name is {plain!r} in lower case"
        return Listing(kind, name, "", reason, f"{package}.{module}:")
    missing = next(filter(None, map(_missing_module, found.imports)), None)
    unavailable = missing or (lacking(found.lacks) if found.lacks else None)
    return Listing(kind, name, found.summary, unavailable, f"{package}.{module}:{found.name}")
