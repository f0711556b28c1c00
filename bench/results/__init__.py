"""The results folder: records and checkpoints of cells, and what keeps several processes from damaging them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
