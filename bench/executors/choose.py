"""Executors by name: a module of this package that defines a subclass of `Executor` is one."""

from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from inspect import isabstract
from pkgutil import iter_modules

from bench import executors
from bench.errors import RequestError, one_of
from bench.executors.base import Executor


def executor_class(name: str = "local") -> type[Executor]:
    """The executor that the module of this name defines.

    :param name: its name, and behind a colon the address that some have: "dask:tcp://127.0.0.1:8786".
    :raises RequestError: if there is none, or it needs an address and has none.
    """
    modules = [module.name for module in iter_modules(executors.__path__)]
    name, _, address = name.partition(":")
    for cls in _defined_in(name) if name in modules else ():
        return cls.at(address)
    with suppress(ImportError):  # of an executor that lacks a package
        modules = [module for module in modules if any(_defined_in(module))]
    raise RequestError(one_of("executor", name, modules))


def _defined_in(name: str) -> Iterator[type[Executor]]:
    module = import_module(f"bench.executors.{name}")
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    yield from (cls for cls in own if isinstance(cls, type) and issubclass(cls, Executor) and not isabstract(cls))
