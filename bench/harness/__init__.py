"""Training in the benchmark: the harness trains, evaluates and stops learners, which do not depend on it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
