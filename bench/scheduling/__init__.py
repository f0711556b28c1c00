"""Plans of requests and grids: which cells are left to train, which of them train side by side, and in which order."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
