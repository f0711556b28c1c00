"""The makers of all tasks of this package, for code that wants them without the registry of plugins."""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

from bench import tasks
from bench.tasks._base import Task

_FAMILIES = [module.name for module in iter_modules(tasks.__path__) if not module.name.startswith("_")]
_TABLES = [import_module(f"bench.tasks.{family}").TASKS for family in _FAMILIES]

TASKS: dict[str, Callable[..., Task]] = {name: maker.make for table in _TABLES for name, maker in table.items()}
"""Makers of tasks by name; their keyword arguments are the task's parameters.

The tables of the same name in the modules of `bench.tasks` have a `Maker` for each task, with its formula. Tasks of
other packages are in the registry alone.
"""
