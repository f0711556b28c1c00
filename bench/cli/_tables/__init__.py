"""Tables on the terminal: of records and plans of a run, and of a sweep."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
