"""Tasks: what is asked. A public module holds a family of tasks, a table ``TASKS`` of `Maker` by name.

A new file with such a table is all that a new task needs: `bench.specs.registry` finds it.
"""

from bench.tasks._base import Maker, Task, all_pairs

__all__ = ["Maker", "Task", "all_pairs"]
