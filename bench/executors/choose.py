"""Executors by name: every module of this package that defines a subclass of `Executor` is one."""

from importlib import import_module
from pkgutil import iter_modules

from bench import executors
from bench.errors import RequestError, one_of
from bench.executors.base import Executor


def executor_class(name: str = "local") -> type[Executor]:
    """The executor that the module of this name defines.

    :raises RequestError: if there is none.
    """
    modules = [import_module(f"bench.executors.{room.name}") for room in iter_modules(executors.__path__)]
    classes = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    found = {cls.__module__.rpartition(".")[2]: cls for cls in classes if Executor in cls.__bases__}
    if name not in found:
        raise RequestError(one_of("executor", name, found))
    return found[name]
