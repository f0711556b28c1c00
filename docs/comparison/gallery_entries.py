"""The encoders of the gallery: how each is written, what its picture shows, its codes of one and of two columns."""

import inspect
from typing import Any, NamedTuple

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from bench.specs import registry
from encoders import (
    RDSE,
    Binary,
    Calendar,
    Cycle,
    Fourier,
    OneHot,
    PairEncoder,
    Phasor,
    Random,
    Residue,
    Scalar,
    SDRify,
    Thermometer,
)

PERIOD = 24
"""What encoders are told that take a period."""


class Entry(NamedTuple):
    """An encoder with its code of one column and its code of two operands.

    words: how it is written. about: what there is to see and to know. alt: the picture in words.
    """

    words: str
    single: Any
    pair: Any
    about: str
    alt: str

    @classmethod
    def of(cls, words: str, encoder: Any, about: str, alt: str) -> "Entry":
        """An encoder with its default combination of two operands."""
        return cls(words, encoder, PairEncoder(encoder), about, alt)

    @classmethod
    def side_by_side(cls, words: str, transformer: Any, about: str, alt: str) -> "Entry":
        """A transformer that is no single encoder; the codes of two operands stand side by side."""
        pair = make_column_transformer((transformer, [0]), (transformer, [1]))
        return cls(words, transformer, pair, about, alt)


def entries() -> dict[str, Entry]:
    """All of them, by the name of the picture; an encoder that is not described here joins with its defaults."""
    described = {**of_one_each(), **with_period(), **of_order(), **of_dates()}
    return described | {name: by_default(name) for name in own_encoders() if name not in described}


def own_encoders() -> list[str]:
    """The names of the encoders of this repository."""
    return [one.name for one in registry.listings("encoder").values() if not one.registered]


def by_default(name: str) -> Entry:
    """An encoder with its default parameters, described by the first paragraph of its docstring."""
    kind = registry.load("encoder", name)
    told = {"modulus": PERIOD} if kind.knows_modulus else {}
    words = f"{kind.__name__}({', '.join(f'{key}={value}' for key, value in told.items())})"
    about = " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())
    return Entry.of(words, kind(**told), about, f"Similarity, codes and scores of {name}.")


def of_one_each() -> dict[str, Entry]:
    """Codes that tell values apart, and little or nothing else."""
    return {
        "onehot": Entry.of(
            "OneHot()",
            OneHot(),
            "Every value is as far from every other. What was learned of one says nothing of the next, so a table can"
            " be learned, and nothing be told of a value that was not trained on.",
            "Similarity 1 on the diagonal and 0 elsewhere. Both readers score 1 at lookup and 0 elsewhere.",
        ),
        "random": Entry.of(
            "Random(n=96)",
            Random(n=96),
            "The control: it looks like a trained embedding, and says as little as `onehot`.",
            "Similarity 1 on the diagonal, noise around 0 elsewhere. Both readers score 1 at lookup and 0 elsewhere.",
        ),
        "binary": Entry.of(
            "Binary()",
            Binary(),
            "Seven columns for 96 values, of which each has a code of its own. Which values are near depends on where"
            " a digit changes: 31 and 32 differ in six digits. With `gray=True` neighbours differ in one.",
            "Squares within squares: values in the same half, quarter, eighth are similar. Ridge regression scores "
            "about a half at smooth; the nearest neighbour 1 at lookup.",
        ),
        "residue": Entry.of(
            "Residue(moduli=(5, 7, 8, 9))",
            Residue(moduli=(5, 7, 8, 9)),
            "Remainders by 5, 7, 8 and 9: thin diagonals at the distances that one of them divides. Values below "
            "2,520 have codes of their own.",
            "Thin diagonals at multiples of 5, 7, 8 and 9, the main one darkest. The nearest neighbour scores 1 at "
            "lookup; all other scores are below 0.25.",
        ),
    }


def with_period() -> dict[str, Entry]:
    """Codes of places on a circle."""
    cycle = make_pipeline(Cycle(period=PERIOD), SDRify(k=50))
    return {
        "fourier": Entry.of(
            "Fourier(modulus=24, harmonics=6)",
            Fourier(modulus=PERIOD, harmonics=6),
            "Points on circles: 23 o'clock is next to 0 o'clock, and what was learned on Monday holds on Tuesday. "
            "Twelve columns are enough here. More harmonics follow sharper changes; twelve give each full hour a "
            "weight of its own.",
            "Narrow diagonal bands 24 values apart, slightly negative between them. Both readers score 1 at periodic "
            "and close to 0 elsewhere.",
        ),
        "cycle": Entry.of(
            "Cycle(period=24)",
            Cycle(period=PERIOD),
            "400 hands of clocks with random phases. All codes have a positive mean, hence the high similarity "
            "everywhere. Two operands are added and cut to the top half, which writes their sum into the code: [clock"
            " codes](results/clock-codes.md).",
            "Broad diagonal bands 24 values apart on a background of similarity above a half. Both readers score 1 at"
            " periodic; ridge regression scores 0.86 at sum.",
        ),
        "cycle-sdr": Entry.side_by_side(
            "Cycle(period=24) → SDRify(k=50)",
            cycle,
            "The 50 clocks nearest twelve: a sparse code with clear bands. Cut first and placed side by side, the "
            "codes of two operands no longer tell their sum.",
            "Clear diagonal bands 24 values apart on white. Both readers score 1 at periodic and close to 0 at sum.",
        ),
        "cycle-many": Entry.of(
            "Cycle(period=(2.0, 60.0))",
            Cycle(period=(2.0, 60.0)),
            "Periods between 2 and 60, so that no value comes back. It is a code of the real number, with one sharp "
            "diagonal; read it by neighbours rather than by ridge regression.",
            "One dark diagonal on a background of similarity above a half. The nearest neighbour scores above 0.8 at "
            "smooth, steps and lookup; ridge regression scores 0.9 at sum.",
        ),
        "phasor": Entry.of(
            "Phasor(n=48, modulus=24)",
            Phasor(n=48, modulus=PERIOD),
            "`fourier` with random harmonics. Codes of two operands are multiplied, and the product *is* the code of "
            "their sum mod 24: an oracle, shown as the ceiling.",
            "Thin diagonals 24 values apart, slightly negative between them. Both readers score 1 at periodic and at "
            "sum.",
        ),
    }


def of_order() -> dict[str, Entry]:
    """Codes of places on a line."""
    return {
        "thermometer": Entry.of(
            "Thermometer(size=48)",
            Thermometer(size=48),
            "A weight for each threshold: ridge regression draws steps as well as slopes. There are half as many "
            "thresholds as values here, so that two neighbours share a code and no table of all values can be "
            "learned. The smallest value has no ones, hence no similarity.",
            "Similarity falls with distance, more slowly among large values. Both readers score close to 1 at smooth "
            "and about 0.8 at steps.",
        ),
        "scalar": Entry.of(
            "Scalar(size=108, active_bits=12)",
            Scalar(size=108, active_bits=12),
            "A run of 12 ones that moves by one bit from a value to the next. It is smooth over a distance of 12 and "
            "tells all values apart: the one for real numbers of a known range. With `periodic=True` the run goes "
            "around.",
            "One band around the diagonal, 12 values to each side, white beyond. Both readers score close to 1 at "
            "smooth and lookup and about 0.8 at steps.",
        ),
        "rdse": Entry.of(
            "RDSE(size=256, active_bits=16, resolution=1)",
            RDSE(size=256, active_bits=16, resolution=1.0),
            "The same band from hashed bits, so that values have no smallest and no largest. Bits that coincide by "
            "chance leave a faint pattern beside it.",
            "One band around the diagonal, 16 values to each side, faint squares beyond. Scores as those of scalar, a"
            " little lower at lookup.",
        ),
    }


def of_dates() -> dict[str, Entry]:
    """Codes of dates."""
    calendar = make_pipeline(FunctionTransformer(hours_since_monday), Calendar())
    return {
        "calendar": Entry.side_by_side(
            "Calendar()",
            calendar,
            "The values are the hours of four days, from a Monday on, as dates. Their codes hold the day, the week "
            "and the year side by side: similar are the same hours, and more so on days that are near.",
            "Diagonal bands 24 values apart that fade with the distance in days.",
        )
    }


def hours_since_monday(values: Any) -> Any:
    """The values as times, in a data frame: so many hours after the midnight before Monday, 1 January 2024."""
    import pandas as pd

    return pd.DataFrame({"time": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.ravel(values), unit="h")})
