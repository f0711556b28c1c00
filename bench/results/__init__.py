"""The results folder: records, checkpoints, what keeps several processes from damaging them; packs and exports."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
