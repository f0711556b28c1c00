"""The league table: records in, ranked rows out. `league.rank` shows the whole way."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
