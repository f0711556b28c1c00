"""Dates as codes: the phases of the day, the week, the month and the year, each encoded on its circle."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import Tags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from encoders._base import Missing
from encoders._check import require, require_choice
from encoders._columns import forget
from encoders._page import page_of
from encoders._typed_bases import BaseEstimator, TransformerMixin
from encoders._wall_clock import Dates, Instants, is_zone, read_dates

MONDAY_IN_WEEKS_OF_NUMPY = np.timedelta64(3, "D")
"""numpy's weeks begin on Thursdays, since 1970-01-01 was one."""
Phases = NDArray[np.float64]
"""The share of a period that has passed at each date, (N,), in [0, 1)."""


def share(wall_N: Instants, period: Literal["h", "D", "W", "M", "Y"]) -> Phases:
    """(t − start) / (end − start) of the hour, day, week, month or year around each date t.

    Exact up to one rounding: the microseconds of a year are integers that float64 represents.
    """
    start = wall_N.astype(f"M8[{period}]")
    begin, end = start.astype("M8[us]"), (start + 1).astype("M8[us]")
    return (wall_N - begin) / (end - begin)


def month(wall_N: Instants) -> Phases:
    """(months that have passed in the year + share of this month) / 12: all months are equally long."""
    months = wall_N.astype("M8[M]") - wall_N.astype("M8[Y]").astype("M8[M]")
    return (months.astype(np.float64) + share(wall_N, "M")) / 12


FIELDS = {
    "minute": lambda wall_N: share(wall_N, "h"),
    "hour": lambda wall_N: share(wall_N, "D"),
    "weekday": lambda wall_N: share(wall_N + MONDAY_IN_WEEKS_OF_NUMPY, "W"),
    "day_of_month": lambda wall_N: share(wall_N, "M"),
    "month": month,
    "day_of_year": lambda wall_N: share(wall_N, "Y"),
}
"""How far each period has passed."""

HARMONICS = {"minute": 3, "hour": 12, "weekday": 3, "day_of_month": 2, "month": 2, "day_of_year": 2}
"""Harmonics of the default code, chosen beside other libraries: docs/comparison.md."""


class _Column(NamedTuple):
    """A column as the encoders take it; where a date is missing, its phases are those of 1970."""

    missing_N: NDArray[np.bool_]
    phases: dict[str, Phases]


@dataclass(eq=False, repr=False)
class Calendar(TransformerMixin, BaseEstimator):
    """Write every date as its phases in the day, the week, the month and the year, each encoded on a circle.

    φ(t) = (t − start) / (end − start) of the period around t, in [0, 1), by the clock on the wall:

    - ``minute``: the share of the hour that has passed;
    - ``hour``: the share of the day; 0 for a column of days;
    - ``weekday``: (Monday 0 … Sunday 6 + share of the day) / 7;
    - ``day_of_month``: (day − 1 + share of the day) / the days of that month;
    - ``month``: (month − 1 + share of the month) / 12;
    - ``day_of_year``: (day − 1 + share of the day) / the days of that year, 365 or 366.

    The default code of a phase is (cos 2πkφ, sin 2πkφ)/k, k = 1 … H: `encoders.fourier.Fourier`. H is 12 for the hour,
    3 for minute and weekday, 2 for the others. One harmonic, the classical code, lets a linear model draw one rise and
    one fall in a day; 12 also let it draw two rush hours. The day of the month is not among the default fields: where
    nothing depends on it, it makes nearest neighbours worse. Holidays differ between countries and are left to other
    columns.

    X (n, columns) is a table of pandas, polars or pyarrow, an array of numpy, or a list of rows, of dates alone; a
    Series, an Index or an Arrow array is one column. Dates have time zones or not and are read to the microsecond.

    :param fields: the periods, out of the six above.
    :param encoder: the encoder of a phase, of period 1: one of `encoders` or any transformer of scikit-learn for one
        column of numbers, or a mapping of fields to such. It is cloned and fitted for each field on the phases of all
        columns. None is the default code, "passthrough" the phases themselves.
    :param time_zone: a name that `zoneinfo` knows, such as "Europe/Berlin": dates with a time zone are converted to it,
        those without are refused. None reads every date by the clock of its column's zone, which is the one that `fit`
        saw: at `transform` others are converted to it, and dates without a zone are refused where it saw some.
    :param missing: "error" refuses missing dates; "zeros" makes all features of a missing date 0; "indicator" does so
        too and adds the feature ``COLUMN_missing``, 1 where the date is missing, to every column.
    :raises ValueError: for an unknown field, time zone or word; for numbers, strings, durations, times of day and
        periods; for missing dates, unless `missing` says what to do; for other columns than those fitted.

    >>> from datetime import datetime
    >>> calendar = Calendar(fields=("hour", "weekday"), encoder="passthrough")
    >>> calendar.fit_transform([[datetime(2024, 3, 25)], [datetime(2024, 3, 28, 12)]]).tolist()
    [[0.0, 0.0], [0.5, 0.5]]
    >>> calendar.get_feature_names_out(["when"]).tolist()
    ['when_hour', 'when_weekday']
    """

    fields: Sequence[str] = ("hour", "weekday", "day_of_year")
    encoder: Any = None
    time_zone: str | None = None
    missing: Missing = "error"

    def check(self) -> None:
        """Known fields, at least one; an encoder; a known time zone; a known word for missing dates."""
        several = isinstance(self.fields, Sequence) and not isinstance(self.fields, str) and len(self.fields) > 0
        known = several and all(isinstance(field, str) and field in FIELDS for field in self.fields)
        known = known and len(set(self.fields)) == len(self.fields)
        require(self, "fields", known, f"a tuple of different words out of {', '.join(map(repr, FIELDS))}")
        several = isinstance(self.encoder, Mapping)
        fitting = not several or set(self.encoder) == set(self.fields)
        require(
            self, "encoder", fitting, f"a mapping of all fields, {', '.join(map(repr, self.fields))}, and no others"
        )
        usable = all(map(_is_encoder, self.encoder.values() if several else [self.encoder]))
        require(self, "encoder", usable, "a transformer, None, 'passthrough', or a mapping of fields to such")
        periods = [p for one in (self.encoder.values() if several else [self.encoder]) for p in _periods_of(one)]
        require(self, "encoder", all(p == 1 for p in periods), "of period 1, since phases go from 0 to 1")
        known_zone = self.time_zone is None or is_zone(self.time_zone)
        require(self, "time_zone", known_zone, "None or the name of a time zone, such as 'Europe/Berlin'")
        require_choice(self, "missing", ("error", "zeros", "indicator"))

    def fit(self, X: Any, y: object = None) -> Self:
        """Fit the encoders on the phases of X (n, columns); y is ignored."""
        self._fit(X)
        return self

    def fit_transform(self, X: Any, y: object = None) -> Any:
        """As `fit`, then `transform`, with one reading of X."""
        return self._codes(self._fit(X))

    def transform(self, X: Any) -> Any:
        """The codes of X (n, columns): float32 (n, features), CSR where the codes of the encoder are sparse."""
        check_is_fitted(self)
        dates = read_dates(X, [self.time_zone or zone or None for zone in self.zones_])
        self._check_columns(dates)
        return self._codes(self._phases(dates, self.fields_))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the features: the column's, the field's and the encoder's own, as in ``when_hour_cos1``."""
        check_is_fitted(self)
        names: list[str] = []
        for column in _check_feature_names_in(self, input_features):
            names += [name for field in self.fields_ for name in self._names(field, f"{column}_{field}")]
            names += [f"{column}_missing"] * (self.missing == "indicator")
        return np.array(names, dtype=object)

    def _fit(self, X: Any) -> list[_Column]:
        self.check()
        forget(self)
        fields, dates = tuple(self.fields), read_dates(X, self.time_zone)
        columns = self._phases(dates, fields)
        encoders, sizes = {}, {}
        for field in fields:
            encoder = self._encoder(field)
            if not isinstance(encoder, str):
                known = np.concatenate([column.phases[field][~column.missing_N] for column in columns])
                phases = known if len(known) else np.zeros(1)  # all dates of a fold may be missing
                encoder = clone(encoder).fit(phases[:, np.newaxis])
            encoders[field] = encoder
            sizes[field] = _encoded(encoder, np.zeros(1)).shape[1]
        self.fields_, self._sizes = fields, sizes
        self.zones_ = [column.zone for column in dates]
        self.n_features_in_ = len(dates)
        names = _names_of(dates)
        if names is not None:
            self.feature_names_in_ = names
        self.encoders_: dict[str, Any] = encoders
        return columns

    def _encoder(self, field: str) -> Any:
        from encoders.fourier import Fourier  # where it is used: `encoders` imports this module, but no encoder

        chosen = self.encoder[field] if isinstance(self.encoder, Mapping) else self.encoder
        return Fourier(modulus=1, harmonics=HARMONICS[field], smoothness=1) if chosen is None else chosen

    def _check_columns(self, dates: list[Dates]) -> None:
        names, fitted = _names_of(dates), getattr(self, "feature_names_in_", None)
        if len(dates) != self.n_features_in_:
            raise ValueError(f"Calendar takes as many columns as were fitted, {self.n_features_in_}, got {len(dates)}.")
        for column, zone in zip(dates, self.zones_, strict=True):
            if zone == "" and column.zone and self.time_zone is None:
                raise ValueError(
                    f"Calendar was fitted on dates without a time zone, got some with one, {column.zone}, in column "
                    f"{column.name!r}."
                )
        if names is not None and fitted is not None and list(names) != list(fitted):
            raise ValueError(f"Calendar takes the columns that were fitted, {list(fitted)}, got {list(names)}.")

    def _phases(self, dates: list[Dates], fields: Sequence[str]) -> list[_Column]:
        columns = []
        for name, wall_N, _ in dates:
            missing_N = np.isnat(wall_N)
            if self.missing == "error" and missing_N.any():
                column = "" if name is None else f" of column {name!r}"
                raise ValueError(
                    f"Calendar takes no missing dates, got one in row {missing_N.argmax()}{column}: "
                    "choose missing='zeros' or missing='indicator'."
                )
            known_N = np.where(missing_N, np.datetime64(0, "us"), wall_N)
            columns.append(_Column(missing_N, {field: FIELDS[field](known_N) for field in fields}))
        return columns

    def _codes(self, columns: list[_Column]) -> Any:
        blocks = [block for column in columns for block in self._blocks(column)]
        if any(map(sparse.issparse, blocks)):
            return sparse.csr_array(sparse.hstack(blocks))
        return np.hstack(blocks)

    def _blocks(self, column: _Column) -> Iterator[Any]:
        for field in self.fields_:
            codes = _encoded(self.encoders_[field], column.phases[field])
            if column.missing_N.any() and sparse.issparse(codes):
                codes = sparse.diags_array((~column.missing_N).astype(np.float32)) @ codes
            elif column.missing_N.any():
                codes = np.where(column.missing_N[:, np.newaxis], np.float32(0), codes)
            yield codes
        if self.missing == "indicator":
            yield column.missing_N[:, np.newaxis].astype(np.float32)

    def _names(self, field: str, prefix: str) -> list[str]:
        encoder = self.encoders_[field]
        if isinstance(encoder, str):
            return [prefix]
        if not hasattr(encoder, "get_feature_names_out"):
            return [f"{prefix}_{i}" for i in range(self._sizes[field])]
        own = map(str, encoder.get_feature_names_out([prefix]))
        return [name if name.startswith(prefix) else f"{prefix}_{name}" for name in own]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "encoders_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "error"
        return tags

    def _get_doc_link(self) -> str:
        return page_of(type(self))


def _encoded(encoder: Any, phases_N: Phases) -> Any:
    """The codes of phases, (N, F), which are themselves for "passthrough"."""
    if isinstance(encoder, str):
        below_one = np.nextafter(np.float32(1), np.float32(0))  # float32 rounds the last moments of a period to 1
        return np.minimum(phases_N.astype(np.float32), below_one)[:, np.newaxis]
    codes = encoder.transform(phases_N[:, np.newaxis])
    if sparse.issparse(codes):
        return sparse.csr_array(codes, dtype=np.float32)
    return np.asarray(codes, dtype=np.float32).reshape(len(phases_N), -1)


def _periods_of(value: Any) -> tuple[float, ...]:
    """The periods of an encoder, or of the first step of a pipeline."""
    first = value.steps[0][1] if getattr(value, "steps", None) else value
    return tuple(getattr(first, "periods", ()))


def _is_encoder(value: Any) -> bool:
    transforms = hasattr(value, "fit") and hasattr(value, "transform") and not isinstance(value, type)
    return value is None or value == "passthrough" or transforms


def _names_of(dates: list[Dates]) -> NDArray[np.object_] | None:
    """The names of the columns, where all have one."""
    names = [column.name for column in dates]
    return np.array(names, dtype=object) if all(isinstance(name, str) for name in names) else None
