"""Encoders: numbers in, codes out, as ordinary scikit-learn transformers.

A public module of this package holds one encoder, the class that the module is named after:
``encoders.cycle`` holds ``Cycle``, ``encoders.onehot`` holds ``OneHot``. Every class can be imported from
here; its module is loaded on first use, so that a new file is all that a new encoder needs.

>>> from encoders import Cycle, SDRify
>>> from sklearn.pipeline import make_pipeline
>>> pipeline = make_pipeline(Cycle(n=64, period=365.25), SDRify(k=8))
>>> pipeline.fit_transform([[12.0], [12.5], [200.0]]).sum(axis=1).tolist()
[8.0, 8.0, 8.0]
"""

from typing import TYPE_CHECKING

from encoders._base import Encoder, PerColumn
from encoders._bits import Bits
from encoders._bounded import Bounded
from encoders._calendar import Calendar
from encoders._check import require, require_choice, require_flag, require_integer, require_integers, require_number
from encoders._codes import Codes
from encoders._inverse import Invertible, Nearest
from encoders._pairs import PairEncoder
from encoders._plugins import lazy
from encoders._sdr import SDRify

if TYPE_CHECKING:  # at run time they are loaded on first use
    from encoders.binary import Binary as Binary
    from encoders.cycle import Cycle as Cycle
    from encoders.fourier import Fourier as Fourier
    from encoders.onehot import OneHot as OneHot
    from encoders.phasor import Phasor as Phasor
    from encoders.random import Random as Random
    from encoders.rdse import RDSE as RDSE
    from encoders.residue import Residue as Residue
    from encoders.scalar import Scalar as Scalar
    from encoders.thermometer import Thermometer as Thermometer

__all__ = [
    "Bits",
    "Bounded",
    "Calendar",
    "Codes",
    "Encoder",
    "Invertible",
    "Nearest",
    "PairEncoder",
    "PerColumn",
    "SDRify",
    "require",
    "require_choice",
    "require_flag",
    "require_integer",
    "require_integers",
    "require_number",
]

__getattr__, __dir__ = lazy(__name__, __path__, __all__)

if not TYPE_CHECKING:
    __all__ = __dir__()
