"""Tuning: a search over hyperparameters under a stopping rule, after which the winner alone is tested on the vault."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
