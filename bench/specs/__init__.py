"""From a request to a cell that is ready to train: names of plugins, parameters, identity, budget, split."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
