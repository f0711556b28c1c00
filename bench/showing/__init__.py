"""What a user asks to see: reads results, studies and models, and has them drawn by `bench.reports`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
