"""Executors by name."""

from importlib import import_module
from pkgutil import iter_modules

import bench.executors
from bench.errors import RequestError, one_of
from bench.executors.base import Executor


def executor(name: str = "local") -> type[Executor]:
    """The executor of a name: the subclass of `Executor` that the module of this name defines.

    :raises RequestError: where there is none.
    """
    found = {}
    for module in iter_modules(bench.executors.__path__):
        for value in vars(import_module(f"bench.executors.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Executor) and value is not Executor:
                found[value.__module__.rpartition(".")[2]] = value
    if name not in found:
        raise RequestError(one_of("executor", name, found))
    return found[name]
