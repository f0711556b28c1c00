"""Where jobs run: an executor takes them from a queue, and workers train their cells."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
