"""How published numbers are made again: recipes, golden trajectories, and the measurements that a page quotes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
