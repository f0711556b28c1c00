"""Tasks: questions and their answers. A public module holds a family of tasks, in a table ``TASKS`` of `Maker` by name.

A new file with such a table is all that a new task needs: `bench.specs.registry` finds it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
