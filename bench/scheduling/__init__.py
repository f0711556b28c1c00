"""What is left to do of a request or a grid, what trains side by side, and in which order."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
