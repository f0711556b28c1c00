"""Dates: `Calendar` writes them as phases, in every library alike, and every other encoder refuses them."""

import pickle
from calendar import isleap, monthrange
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from contract import discovered
from dateutil.relativedelta import relativedelta
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, SplineTransformer
from skrub import TableVectorizer

from bench.specs import registry
from encoders import RDSE, Calendar, Cycle, Fourier, PairEncoder, SDRify
from encoders._calendar import FIELDS
from encoders._times import refuse_times, where_times

BERLIN = ZoneInfo("Europe/Berlin")
HOURS = [datetime(2024, 3, 30, hour, 30) for hour in range(3)]
DAYS = [hour.date() for hour in HOURS]
MONTH_DAY_NANO = pa.month_day_nano_interval()
CLOCK = pa.opaque(pa.timestamp("us"), "clock", "somebody")


def phases(X: Any, field: str, time_zone: str | None = None) -> list[float]:
    """The phases of one column."""
    return Calendar((field,), "passthrough", time_zone).fit_transform(X)[:, 0].tolist()


# What is refused as numbers


def frame(values: Any, dtype: Any = None) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(float(len(values))), "when": pd.Series(values, dtype=dtype)})


def arrow(values: Any, kind: Any = None) -> pa.Table:
    array = pa.array(values, kind)
    return pa.table({"x": [0.0] * len(array), "when": array})


IN_COLUMN: dict[str, Any] = {
    "pandas": frame(HOURS),
    "pandas, a zone": frame(pd.Series(HOURS).dt.tz_localize("UTC")),
    "pandas, a zone for each": frame([HOURS[0].replace(tzinfo=UTC), HOURS[1].replace(tzinfo=BERLIN)], object),
    "pandas, days": frame(DAYS, object),
    "pandas, row 10,000": frame([0.0] * 10_000 + HOURS, object),
    "pandas, lists": frame([HOURS, HOURS], object),
    "pandas, durations": frame(pd.to_timedelta([1, 2], unit="s")),
    "pandas, times of day": frame([hour.time() for hour in HOURS], object),
    "pandas, offsets": frame([pd.offsets.Day(), pd.offsets.Hour()], object),
    "pandas, periods": frame(pd.period_range("2024-01", periods=3, freq="M")),
    "pandas, objects of periods": frame(list(pd.period_range("2024-01", periods=3, freq="M")), object),
    "pandas, intervals": frame(pd.interval_range(pd.Timestamp("2024"), periods=3)),
    "pandas, objects of intervals": frame(list(pd.interval_range(pd.Timestamp("2024"), periods=3)), object),
    "pandas, categories": frame(pd.Series(HOURS).astype("category")),
    "pandas, categories of days": frame(pd.Categorical(DAYS)),
    "pandas, sparse": frame(pd.arrays.SparseArray(np.array(HOURS, dtype="M8[ns]"))),
    "pandas, only NaT": frame([pd.NaT, pd.NaT]),
    "pandas, objects of NaT": frame([pd.NaT, pd.NaT], object),
    "pandas, no rows": frame(HOURS)[:0],
    "pandas, Arrow": frame(HOURS, pd.ArrowDtype(pa.timestamp("us"))),
    "pandas, Arrow's days": frame(DAYS, pd.ArrowDtype(pa.date32())),
    "pandas, Arrow's times": frame([hour.time() for hour in HOURS], pd.ArrowDtype(pa.time64("us"))),
    "pandas, Arrow's durations": frame([timedelta(1)], pd.ArrowDtype(pa.duration("us"))),
    "pandas, Arrow's dictionary": frame(
        pd.array(
            pa.array(HOURS).dictionary_encode(), dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.timestamp("us")))
        )
    ),
    "pandas, Arrow's lists": frame([HOURS], pd.ArrowDtype(pa.list_(pa.timestamp("us")))),
    "a Series": pd.Series(HOURS, name="when"),
    "a Series of objects": pd.Series([1.0, HOURS[0]], dtype=object, name="when"),
    "an Index": pd.DatetimeIndex(HOURS, name="when"),
    "an Index of durations": pd.to_timedelta([1, 2]).rename("when"),
    "a MultiIndex": pd.MultiIndex.from_arrays([[1, 2, 3], HOURS], names=["x", "when"]),
    "polars": pl.DataFrame({"x": [1.0], "when": HOURS[:1]}),
    "polars, a zone": pl.DataFrame({"when": pl.Series(HOURS).dt.replace_time_zone("Europe/Berlin")}),
    "polars, days": pl.DataFrame({"when": DAYS}),
    "polars, durations": pl.DataFrame({"when": [timedelta(1)]}),
    "polars, times of day": pl.DataFrame({"when": [time(1)]}),
    "polars, objects": pl.DataFrame({"when": pl.Series(HOURS, dtype=pl.Object)}),
    "polars, lists": pl.DataFrame({"when": [HOURS]}),
    "polars, arrays": pl.DataFrame({"when": pl.Series([HOURS], dtype=pl.Array(pl.Datetime, 3))}),
    "polars, structures": pl.DataFrame({"when": [{"inner": HOURS[0]}]}),
    "polars, lazy": pl.LazyFrame({"x": [1.0], "when": HOURS[:1]}),
    "polars, no rows": pl.DataFrame(schema={"when": pl.Datetime}),
    "a Series of polars": pl.Series("when", HOURS),
    "pyarrow": arrow(HOURS),
    "pyarrow, days": arrow(DAYS),
    "pyarrow, milliseconds of days": arrow(DAYS, pa.date64()),
    "pyarrow, times of day": arrow([time(1)]),
    "pyarrow, durations": arrow([timedelta(1)]),
    "pyarrow, months and days": arrow([(1, 2, 3)], MONTH_DAY_NANO),
    "pyarrow, a dictionary": arrow(pa.array(HOURS).dictionary_encode()),
    "pyarrow, an extension": arrow(pa.ExtensionArray.from_storage(CLOCK, pa.array(HOURS))),
    "pyarrow, lists": arrow([HOURS]),
    "pyarrow, a map": arrow([[("a", HOURS[0])]], pa.map_(pa.string(), pa.timestamp("us"))),
    "pyarrow, structures": arrow([{"inner": HOURS[0]}]),
    "pyarrow, no rows": arrow(HOURS)[:0],
    "a RecordBatch": pa.record_batch({"x": [1.0], "when": HOURS[:1]}),
    "numpy, fields": np.zeros(3, dtype=[("x", "f8"), ("when", "M8[s]")]),
    "numpy, fields of arrays": np.zeros(3, dtype=[("x", "f8"), ("when", "m8[s]", (2,))]),
}
"""Tables with dates, times or durations in the column "when"."""
ELSEWHERE: dict[str, tuple[Any, str]] = {
    "numpy": (np.array(HOURS, dtype="M8[ns]")[:, np.newaxis], " in column 0"),
    "numpy, big-endian": (np.array(HOURS, dtype=">M8[us]")[:, np.newaxis], " in column 0"),
    "numpy, durations": (np.array([[1]], dtype="m8[h]"), " in column 0"),
    "numpy, one axis": (np.array(HOURS, dtype="M8[us]"), ""),
    "numpy, objects": (np.array([[1.0, 2.0]] * 10_000 + [[1.0, HOURS[0]]], dtype=object), " in column 1"),
    "pandas, columns without names": (pd.DataFrame([[1, HOURS[0]]]), " in column 1"),
    "an Index without a name": (pd.DatetimeIndex(HOURS), ""),
    "a MultiIndex without names": (pd.MultiIndex.from_arrays([[1, 2, 3], HOURS]), " in column 1"),
    "an Array": (pa.array(HOURS), ""),
    "a ChunkedArray": (pa.chunked_array([DAYS, DAYS]), ""),
    "run lengths": (pa.RunEndEncodedArray.from_arrays([1, 3], pa.array(HOURS[:2])), ""),
    "rows": ([[hour] for hour in HOURS], ""),
    "row 10,000": ([[1.0]] * 10_000 + [[DAYS[0]]], ""),
    "rows of times": ([[time(1)], [time(2)]], ""),
    "rows of numpy": ([[np.datetime64("NaT")], [1.0]], ""),
    "rows of numpy's durations": ([[np.timedelta64(1, "D")], [5]], ""),
    "rows of Arrow": ([[pa.scalar(HOURS[0])]], ""),
    "rows of relative durations": ([[relativedelta(months=1)]], ""),
    "rows of months and days": ([[pa.scalar((1, 2, 3), MONTH_DAY_NANO).as_py()]], ""),
    "deep": ([[[[1.0, [HOURS[0]]]]]], ""),
    "tuples": (((1.0, 2.0), (1.0, pd.Timestamp(HOURS[0]))), ""),
    "arrays": ([np.array(HOURS, dtype="M8[ns]")], ""),
    "Series": ([pd.Series(HOURS)], ""),
    "Series of polars": ([pl.Series([1.0]), pl.Series(HOURS)], ""),
    "Arrow arrays": ([pa.array(HOURS)], ""),
    "tables": ([pl.DataFrame({"x": [1.0], "when": HOURS[:1]})], ""),
}
"""Dates without a column of a name."""
REFUSED = IN_COLUMN | {name: X for name, (X, _) in ELSEWHERE.items()}

TAKEN: dict[str, Any] = {
    "rows": [[1], [2.5]],
    "objects": np.array([[1], [2.5]], dtype=object),
    "pandas": pd.DataFrame({"time": [1, 2], "date": [0.5, 2.0]}),
    "pandas, with missing": pd.DataFrame({"date": pd.Series([1, 2], dtype="Int64")}),
    "pandas, Arrow": pd.DataFrame({"period": pd.Series([1.5], dtype=pd.ArrowDtype(pa.float32()))}),
    "pandas, categories": pd.DataFrame({"when": pd.Categorical([3, 1])}),
    "polars": pl.DataFrame({"time": [1], "date": [2.0]}),
    "pyarrow": pa.table({"duration": [1.0], "date": [2]}),
}
NO_DATES: dict[str, Any] = {
    "words": [["date"], ["time"]],
    "categories of words": pd.DataFrame({"x": pd.Categorical(["date"])}),
    "an Enum": pl.DataFrame({"x": pl.Series(["date"], dtype=pl.Enum(["date", "time"]))}),
    "a Categorical": pl.DataFrame({"x": pl.Series(["date"], dtype=pl.Categorical)}),
    "a dictionary": pa.table({"x": pa.array(["time"]).dictionary_encode()}),
    "strings": pd.DataFrame({"date": ["2024-03-31"]}),
    "intervals of numbers": pd.DataFrame({"x": pd.interval_range(0, 2)}),
    "missing": [[None], [pd.NA]],
    "no columns": pd.DataFrame(),
    "nothing": [],
    "ragged": [[1, [2, 3]], [4]],
    "sparse": sparse.eye_array(3),
    "sparse columns": pd.DataFrame({"interval": pd.arrays.SparseArray([1.0, 0.0])}),
    "fields": np.zeros(2, dtype=[("date", "f8")]),
}


@pytest.mark.parametrize("X", IN_COLUMN.values(), ids=IN_COLUMN)
def test_the_column_of_dates_is_named(X: Any) -> None:
    assert where_times(X) == " in column 'when'"


@pytest.mark.parametrize(("X", "place"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_dates_without_a_name_are_found(X: Any, place: str) -> None:
    assert where_times(X) == place


@pytest.mark.parametrize("X", [*TAKEN.values(), *NO_DATES.values()], ids=[*TAKEN, *NO_DATES])
def test_numbers_and_words_are_not_dates(X: Any) -> None:
    assert where_times(X) is None


def test_a_list_that_holds_itself_has_an_end() -> None:
    rows: list[Any] = [1.0]
    rows.append(rows)
    assert where_times(rows) is None


def accepting(refuse: Callable[[Any], Any]) -> list[str]:
    """The kinds of dates that are not refused, in one line that names `Calendar`."""
    found = []
    for name, X in REFUSED.items():
        try:
            refuse(X)
        except ValueError as error:
            line = str(error)
            if "takes numbers, got dates or durations" in line and "encoders.Calendar" in line and "\n" not in line:
                continue
        found.append(name)
    return found


@pytest.mark.parametrize("name", discovered("encoder"))
def test_every_encoder_refuses_dates(name: str) -> None:
    cls: Any = registry.encoder(name)
    encoder = cls(**cls.example)
    assert accepting(encoder.fit) == []
    assert accepting(encoder.fit([[0.0], [5.0]]).transform) == []
    for X in TAKEN.values() if encoder.domain == "real" else ():
        assert len(encoder.fit_transform(X)) == len(X)


def test_pairs_and_sparsification_refuse_dates() -> None:
    for transformer in (PairEncoder(Fourier(24)), SDRify(k=1)):
        assert accepting(transformer.fit) == []
        assert accepting(transformer.fit([[0.0, 1.0], [1.0, 5.0]]).transform) == []
    assert accepting(PairEncoder(Fourier(24)).fit([[0.0, 1.0]]).codes) == []


def test_the_line_that_refuses() -> None:
    with pytest.raises(ValueError) as refused:
        Cycle().fit(IN_COLUMN["polars"])
    line = "Cycle takes numbers, got dates or durations in column 'when': use encoders.Calendar for dates."
    assert str(refused.value) == line
    with pytest.raises(ValueError, match=r"PairEncoder takes numbers, got dates or durations: use"):
        refuse_times(PairEncoder(Fourier(24)), [[DAYS[0]]])


def test_no_value_of_a_typed_column_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("encoders._times.values_of", None)
    for name, X in TAKEN.items():
        assert name in ("rows", "objects") or where_times(X) is None
    for name in ("numpy", "pandas", "polars", "pyarrow", "pandas, a zone"):
        assert where_times(REFUSED[name]) is not None


# The formula


def start_of(period: str, t: datetime) -> datetime:
    day = t.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {
        "minute": t.replace(minute=0, second=0, microsecond=0),
        "hour": day,
        "weekday": day,
        "day_of_month": day.replace(day=1),
        "day_of_year": day.replace(day=1, month=1),
    }
    return starts[period]


def by_hand(t: datetime, field: str) -> float:
    """The phase of a naive date by Python's own dates."""
    if field == "month":
        return (t.month - 1 + by_hand(t, "day_of_month")) / 12
    passed = (t - start_of(field, t)) / timedelta(hours=1)
    if field == "weekday":
        return (t.weekday() + passed / 24) / 7
    hours = {
        "minute": 1,
        "hour": 24,
        "day_of_month": 24 * monthrange(t.year, t.month)[1],
        "day_of_year": 24 * (366 if isleap(t.year) else 365),
    }
    return passed / hours[field]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.datetimes(), min_size=1, max_size=20))
def test_phases_are_those_of_python_s_dates(dates: list[datetime]) -> None:
    found = Calendar(tuple(FIELDS), "passthrough").fit_transform(np.array(dates, dtype="M8[us]")[:, np.newaxis])
    expected = [[by_hand(t, field) for field in FIELDS] for t in dates]
    assert np.abs(found - expected).max() < 1e-7
    assert found.min() >= 0
    assert found.max() < 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)), min_size=1, max_size=10),
    st.timezones(),
    st.timezones(),
)
def test_the_clock_on_the_wall_is_that_of_python_s_zones(instants: list[datetime], own: ZoneInfo, to: ZoneInfo) -> None:
    utc = [t.replace(tzinfo=UTC) for t in instants]
    column = pa.array(utc, pa.timestamp("us", own.key))
    for zone, time_zone in ((own, None), (to, to.key)):
        clock = [t.astimezone(zone).replace(tzinfo=None) for t in utc]
        for field in ("hour", "day_of_year"):
            expected = [by_hand(t, field) for t in clock]
            assert np.abs(np.array(phases(column, field, time_zone)) - expected).max() < 1e-7


def test_first_and_last_moments() -> None:
    moment = timedelta(microseconds=1)
    first = [datetime(2024, 1, 1), datetime(2024, 2, 1), datetime(2023, 3, 1), datetime(1, 1, 1)]
    last = [datetime(2024, 2, 1) - moment, datetime(2024, 3, 1) - moment, datetime(2025, 1, 1) - moment, datetime.max]
    rows = [[t] for t in first + last]
    assert phases(rows, "day_of_month") == [0.0] * 4 + [float(np.nextafter(np.float32(1), np.float32(0)))] * 4
    assert phases([[datetime(2024, 3, 1)]], "day_of_year") == pytest.approx([60 / 366])
    assert phases([[datetime(2023, 3, 1)]], "day_of_year") == pytest.approx([59 / 365])
    assert phases([[datetime(1900, 2, 28)]], "day_of_month") == pytest.approx([27 / 28])
    assert phases([[date(2024, 3, 25)], [date(2024, 3, 31)]], "weekday") == pytest.approx([0, 6 / 7])
    assert phases([[datetime(2024, 1, 1, 5, 45)]], "minute") == [0.75]
    assert phases([[date(2024, 7, 1)]], "month") == [0.5]


def test_every_phase_stays_below_one_before_it_is_rounded_to_float32() -> None:
    last = np.array(["9999-12-31T23:59:59.999999", "2024-12-31T23:59:59.999999"], dtype="M8[us]")
    assert max(FIELDS[field](last).max() for field in FIELDS) < 1


def test_daylight_saving_in_berlin() -> None:
    instants = [datetime(2024, 3, 31, 0, 59, tzinfo=UTC), datetime(2024, 3, 31, 1, tzinfo=UTC)]
    instants += [datetime(2024, 10, 27, 0, 30, tzinfo=UTC), datetime(2024, 10, 27, 1, 30, tzinfo=UTC)]
    expected = np.array([1 + 59 / 60, 3, 2.5, 2.5]) / 24
    for column in aware(instants, "Europe/Berlin").values():
        assert phases(column, "hour") == pytest.approx(expected)
    for column in aware(instants, "UTC").values():
        assert phases(column, "hour", "Europe/Berlin") == pytest.approx(expected)


def test_the_ends_of_python_s_years_are_converted() -> None:
    ends = [[datetime.min.replace(tzinfo=UTC)], [datetime.max.replace(tzinfo=UTC)]]
    assert phases(ends, "hour", "Etc/GMT-9") == pytest.approx([9 / 24, 9 / 24])
    assert phases(ends, "hour", "America/New_York")[1] == pytest.approx(19 / 24)


# Every library


def naive(dates: list[datetime]) -> dict[str, Any]:
    """The same dates in every library, as one column "when" where it has a name."""
    series, array = pd.Series(dates, name="when"), pa.array(dates, pa.timestamp("us"))
    return {
        "rows": [[t] for t in dates],
        "rows of mixed classes": [[pd.Timestamp(t) if i % 2 else np.datetime64(t)] for i, t in enumerate(dates)],
        "rows of Arrow": [[value] for value in array],
        "rows of arrays": [np.array([t], dtype="M8[ns]") for t in dates],
        "objects": np.array([[t] for t in dates], dtype=object),
        **{f"numpy {unit}": np.array(dates, dtype=f"M8[{unit}]")[:, np.newaxis] for unit in ("s", "ms", "us", "ns")},
        "Series": series,
        "Index": pd.DatetimeIndex(series),
        "frame": series.to_frame(),
        "frame in s": series.astype("datetime64[s]").to_frame(),
        "frame of objects": series.astype(object).to_frame(),
        "frame of categories": series.astype("category").to_frame(),
        "frame of Arrow": series.astype(pd.ArrowDtype(pa.timestamp("ns"))).to_frame(),
        "sparse": pd.DataFrame({"when": pd.arrays.SparseArray(np.array(dates, dtype="M8[ns]"))}),
        "polars": pl.DataFrame({"when": dates}),
        "polars in ms": pl.DataFrame({"when": pl.Series(dates, dtype=pl.Datetime("ms"))}),
        "polars' objects": pl.DataFrame({"when": pl.Series(dates, dtype=pl.Object)}),
        "Series of polars": pl.Series("when", dates, dtype=pl.Datetime("ns")),
        "Table": pa.table({"when": array}),
        "RecordBatch": pa.record_batch({"when": array}),
        "Array": array,
        "ChunkedArray": pa.chunked_array([array[:1], array[1:]]),
        "dictionary": pa.table({"when": array.dictionary_encode()}),
        "extension": pa.table({"when": pa.ExtensionArray.from_storage(CLOCK, array)}),
    }


def aware(instants: list[datetime], zone: str) -> dict[str, Any]:
    """The same instants in every library, each with a zone."""
    series = pd.Series(instants, name="when").dt.tz_convert(zone)
    local = [t.astimezone(ZoneInfo(zone)) for t in instants]
    array = pa.array(instants, pa.timestamp("us", zone))
    return {
        "rows": [[t] for t in local],
        "rows of Timestamps": [[pd.Timestamp(t)] for t in local],
        "Series": series,
        "Index": pd.DatetimeIndex(series),
        "frame in ns": series.dt.as_unit("ns").to_frame(),
        "frame of objects": pd.DataFrame({"when": pd.Series(local, dtype=object)}),
        "frame of categories": series.astype("category").to_frame(),
        "frame of Arrow": series.astype(pd.ArrowDtype(pa.timestamp("us", zone))).to_frame(),
        "polars": pl.DataFrame({"when": pl.Series(instants).dt.convert_time_zone(zone)}),
        "polars in ns": pl.Series("when", instants).dt.convert_time_zone(zone).dt.cast_time_unit("ns"),
        "Table": pa.table({"when": array}),
        "Array": array,
        "dictionary": pa.table({"when": array.dictionary_encode()}),
    }


def days(dates: list[date]) -> dict[str, Any]:
    """The same days in every library."""
    return {
        "rows": [[t] for t in dates],
        "numpy": np.array(dates, dtype="M8[D]")[:, np.newaxis],
        "frame of objects": pd.DataFrame({"when": pd.Series(dates, dtype=object)}),
        "frame of categories": pd.DataFrame({"when": pd.Categorical(dates)}),
        "frame of Arrow": pd.DataFrame({"when": pd.Series(dates, dtype=pd.ArrowDtype(pa.date32()))}),
        "polars": pl.DataFrame({"when": dates}),
        "Table": pa.table({"when": dates}),
        "milliseconds": pa.table({"when": pa.array(dates, pa.date64())}),
    }


def assert_equal_codes(columns: Mapping[str, Any]) -> None:
    codes = {name: Calendar(tuple(FIELDS)).fit_transform(X) for name, X in columns.items()}
    first = codes["rows"]
    assert first.dtype == np.float32
    assert [name for name, found in codes.items() if not np.array_equal(found, first)] == []


def test_naive_dates_have_equal_codes_in_every_library() -> None:
    assert_equal_codes(naive([datetime(2024, 2, 29, 23, 59, 59), datetime(1969, 12, 31, 12), datetime(2000, 1, 1)]))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
def test_instants_have_equal_codes_in_every_library(zone: str) -> None:
    instants = [datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(1965, 7, 1, 23, 59, 59, 999_000, tzinfo=UTC)]
    assert_equal_codes(aware(instants, zone))


def test_days_have_equal_codes_in_every_library() -> None:
    assert_equal_codes(days([date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31)]))


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=5, minutes=30)), UTC, BERLIN, ZoneInfo("Etc/GMT-2")])
def test_zones_of_every_kind(zone: tzinfo) -> None:
    local = [datetime(2024, 7, 1, 6, tzinfo=zone), datetime(2024, 1, 1, 18, tzinfo=zone)]
    assert phases(pd.DataFrame({"when": local}), "hour") == [0.25, 0.75]
    assert phases([[t] for t in local], "hour") == [0.25, 0.75]


def test_offsets_of_arrow() -> None:
    noon = pa.array([datetime(2024, 7, 1, 12, tzinfo=UTC)], pa.timestamp("us", "+06:00"))
    assert phases(noon, "hour") == [0.75]
    with pytest.raises(
        ValueError, match=r"Calendar knows no time zone 'Mars/Base', that of the dates in column 'when'"
    ):
        Calendar().fit(pa.table({"when": pa.array([0], pa.timestamp("us", "Mars/Base"))}))


def test_an_object_column_of_several_offsets_shows_each_clock() -> None:
    instant = datetime(2024, 7, 1, 12, tzinfo=UTC)
    values = [instant.astimezone(ZoneInfo(zone)) for zone in ("UTC", "Europe/Berlin", "Asia/Tokyo")]
    column = pd.DataFrame({"when": pd.Series(values, dtype=object)})
    assert phases(column, "hour") == pytest.approx([12 / 24, 14 / 24, 21 / 24])
    assert phases(column, "hour", "Europe/Berlin") == pytest.approx([14 / 24] * 3)


def test_several_columns_and_names() -> None:
    table = pl.DataFrame({"from": HOURS, "to": DAYS})
    calendar = Calendar(("hour", "weekday"), Fourier(modulus=1, harmonics=(1,)), missing="indicator").fit(table)
    codes = calendar.transform(table)
    names = ["hour_cos1", "hour_sin1", "weekday_cos1", "weekday_sin1", "missing"]
    assert list(calendar.get_feature_names_out()) == [f"{column}_{name}" for column in ("from", "to") for name in names]
    assert codes.shape == (3, 10)
    assert calendar.n_features_in_ == 2
    assert list(calendar.feature_names_in_) == ["from", "to"]
    angles = 2 * np.pi * np.array([0.5, 1.5, 2.5]) / 24
    assert np.abs(codes[:, :2] - np.stack([np.cos(angles), np.sin(angles)], axis=1)).max() < 1e-6
    alone = Calendar(("hour", "weekday"), calendar.encoder).fit_transform(table[["to"]])
    assert np.array_equal(codes[:, 5:], np.column_stack([alone, np.zeros(3)]))


# Missing dates


MISSING: dict[str, Any] = {
    "rows": [[HOURS[0]], [None]],
    "numpy": np.array([HOURS[0], "NaT"], dtype="M8[us]")[:, np.newaxis],
    "NaT": pd.DataFrame({"when": [HOURS[0], pd.NaT]}),
    "NaT with a zone": pd.DataFrame({"when": pd.Series([HOURS[0], pd.NaT]).dt.tz_localize("UTC")}),
    "NA among objects": pd.DataFrame({"when": pd.Series([HOURS[0], pd.NA], dtype=object)}),
    "NaN among objects": pd.DataFrame({"when": pd.Series([HOURS[0], np.nan], dtype=object)}),
    "categories": pd.DataFrame({"when": pd.Series([HOURS[0], pd.NaT]).astype("category")}),
    "Arrow": pd.DataFrame({"when": pd.Series([HOURS[0], None], dtype=pd.ArrowDtype(pa.timestamp("us")))}),
    "Arrow's days": pd.DataFrame({"when": pd.Series([DAYS[0], None], dtype=pd.ArrowDtype(pa.date32()))}),
    "polars": pl.DataFrame({"when": [HOURS[0], None]}),
    "polars with a zone": pl.DataFrame({"when": pl.Series([HOURS[0], None]).dt.replace_time_zone("Europe/Berlin")}),
    "pyarrow": pa.table({"when": [HOURS[0], None]}),
}


@pytest.mark.parametrize("X", MISSING.values(), ids=MISSING)
def test_missing_dates(X: Any) -> None:
    with pytest.raises(ValueError, match=r"takes no missing dates, got one in row 1 of column ('when'|0): choose"):
        Calendar().fit(X)
    zeros = Calendar(missing="zeros").fit_transform(X)
    assert np.array_equal(zeros[0], Calendar().fit_transform(X[:1])[0])
    assert zeros[0].any()
    assert not zeros[1].any()
    calendar = Calendar(missing="indicator")
    assert np.array_equal(calendar.fit_transform(X), np.column_stack([zeros, [0, 1]]))
    assert calendar.get_feature_names_out()[-1].endswith("_missing")


@pytest.mark.parametrize("X", [[[None], [pd.NaT]], pl.DataFrame({"when": [None, None]}), pa.table({"when": [None]})])
def test_all_dates_may_be_missing(X: Any) -> None:
    codes = Calendar(missing="indicator", time_zone=None).fit_transform(X)
    assert np.array_equal(codes, np.eye(35)[[34] * len(X)])
    with pytest.raises(ValueError, match="row 0 of column"):
        Calendar().fit(X)


def test_encoders_are_fitted_on_known_dates_alone() -> None:
    rows = [[None], [datetime(2024, 1, 1, 12)], [datetime(2024, 1, 1, 18)]]
    calendar = Calendar(("hour",), KBinsDiscretizer(2, encode="ordinal", strategy="uniform"), missing="zeros").fit(rows)
    assert calendar.encoders_["hour"].bin_edges_[0].tolist() == [0.5, 0.625, 0.75]


# Other encoders, other tools


def test_encoders_of_phases() -> None:
    table = pd.DataFrame({"when": [*HOURS, pd.NaT]})
    usual = Calendar(("hour",)).fit_transform(table[:3])
    phase = np.array([[0.5], [1.5], [2.5]]) / 24
    hours = Fourier(modulus=1, harmonics=12, smoothness=1).fit_transform(phase)
    assert np.array_equal(usual, hours)
    mixed = Calendar(("hour", "weekday"), {"hour": None, "weekday": "passthrough"}).fit(table[:3])
    weekday = Calendar(("weekday",), "passthrough").fit_transform(table[:3])
    assert np.array_equal(mixed.transform(table[:3]), np.hstack([hours, weekday]))
    assert mixed.get_feature_names_out()[-1] == "when_weekday"
    clocks = make_pipeline(Cycle(n=16, period=1), SDRify(k=4))
    sparse_clocks = Calendar(("hour", "weekday"), clocks, missing="zeros")
    assert sparse_clocks.fit_transform(table).sum(axis=1).tolist() == [8, 8, 8, 0]
    assert list(sparse_clocks.get_feature_names_out()[[0, 16]]) == ["when_hour_0", "when_weekday_0"]
    bits = Calendar(("hour",), RDSE(resolution=0.01, size=50, sparse_output=True), missing="indicator")
    codes = bits.fit_transform(table)
    assert sparse.issparse(codes)
    assert codes.dtype == np.float32
    dense = Calendar(("hour",), RDSE(resolution=0.01, size=50), missing="indicator").fit_transform(table)
    assert np.array_equal(codes.toarray(), dense)
    roots = Calendar(("hour",), FunctionTransformer(np.sqrt)).fit(table[:3])
    assert np.allclose(roots.transform(table[:3]), np.sqrt(phase))
    assert list(roots.get_feature_names_out()) == ["when_hour_0"]
    waves = Calendar(("hour",), RBFSampler(n_components=2, random_state=0)).fit(table[:3])
    assert list(waves.get_feature_names_out()) == ["when_hour_rbfsampler0", "when_hour_rbfsampler1"]
    spline = Calendar(("hour",), SplineTransformer(n_knots=4, extrapolation="periodic")).fit(table[:3])
    assert list(spline.get_feature_names_out()) == [f"when_hour_sp_{i}" for i in range(3)]


def test_the_encoder_is_cloned_for_each_field() -> None:
    encoder = Fourier(modulus=1, harmonics=1)
    calendar = Calendar(("hour", "month"), encoder).fit([[HOURS[0]]])
    assert not hasattr(encoder, "code_size_")
    assert calendar.encoders_["hour"] is not calendar.encoders_["month"]


def test_parameters_set_after_the_fit_wait_for_the_next() -> None:
    calendar = Calendar(("hour",)).fit([[HOURS[0]]])
    codes = calendar.transform([[HOURS[1]]])
    calendar.set_params(fields=("hour", "month"), encoder="passthrough")
    assert np.array_equal(calendar.transform([[HOURS[1]]]), codes)
    assert len(calendar.get_feature_names_out()) == 24
    assert calendar.fit_transform([[HOURS[1]]]).shape == (1, 2)


def test_phases_in_a_pipeline() -> None:
    pipeline = make_pipeline(Calendar(encoder="passthrough"), Cycle(n=64, period=1))
    codes = pipeline.fit_transform(pd.DataFrame({"when": HOURS}))
    assert codes.shape == (3, 3 * 64)
    assert pipeline.get_feature_names_out()[64] == "when_weekday_0"


@pytest.mark.parametrize("library", [pd, pl])
def test_table_vectorizer(library: Any) -> None:
    table = library.DataFrame({"when": HOURS, "x": [1.0, 2.0, 4.0], "day": DAYS})
    vectorizer = TableVectorizer(datetime=Calendar(("hour",)), drop_if_constant=False)
    out = vectorizer.fit_transform(table)
    assert isinstance(out, library.DataFrame)
    assert list(out.columns)[:2] == ["when_hour_cos1", "when_hour_sin1"]
    found = out[[f"when_hour_{wave}{k}" for k in range(1, 13) for wave in ("cos", "sin")]].to_numpy()
    assert np.array_equal(found, Calendar(("hour",)).fit_transform(table[["when"]]))
    assert vectorizer.transform(table[:2]).shape == (2, out.shape[1])


def test_column_transformer_and_output_of_every_library() -> None:
    table = pd.DataFrame({"when": HOURS, "x": [1.0, 2.0, 4.0]})
    columns = make_column_transformer((Calendar(("hour",)), ["when"]), remainder="passthrough")
    model = make_pipeline(columns, LinearRegression()).fit(table, [0.0, 1.0, 2.0])
    assert model.predict(table).shape == (3,)
    assert columns.get_feature_names_out()[0] == "calendar__when_hour_cos1"
    one = ColumnTransformer([("dates", Calendar(("hour",)), "when")]).fit_transform(table)
    assert np.array_equal(one, Calendar(("hour",)).fit_transform(table[["when"]]))
    for transform, library in (("pandas", pd), ("polars", pl)):
        calendar = Calendar(("hour",)).set_output(transform=transform)
        out = calendar.fit_transform(library.DataFrame({"when": HOURS}))
        assert isinstance(out, library.DataFrame)
        assert list(out.columns) == list(calendar.get_feature_names_out())
        assert np.array_equal(out.to_numpy(), one)


def test_clone_and_pickle() -> None:
    X = pl.DataFrame({"when": HOURS}).with_columns(pl.col("when").dt.replace_time_zone("Europe/Berlin"))
    calendar = Calendar(tuple(FIELDS), time_zone="Asia/Tokyo").fit(X)
    codes = calendar.transform(X)
    assert np.array_equal(clone(calendar).fit_transform(X), codes)
    assert np.array_equal(pickle.loads(pickle.dumps(calendar)).transform(X), codes)
    assert np.array_equal(calendar.transform(X[1:2]), codes[1:2])


def test_names_of_a_fit_are_forgotten_by_the_next() -> None:
    calendar = Calendar(("hour",), "passthrough").fit(pd.DataFrame({"when": HOURS}))
    calendar.fit([[HOURS[0]]])
    assert not hasattr(calendar, "feature_names_in_")
    assert list(calendar.get_feature_names_out()) == ["x0_hour"]
    assert list(calendar.get_feature_names_out(["t"])) == ["t_hour"]


# What it refuses


REFUSED_BY_CALENDAR: dict[str, tuple[Any, str]] = {
    "numbers": (frame([1, 2]), "takes dates, got numbers in column 'x': convert them first, as pandas.to_datetime"),
    "strings": (pd.DataFrame({"x": ["2024-03-31"]}), "takes dates, got strings in column 'x': parse them first"),
    "strings of polars": (pl.DataFrame({"x": ["2024"]}), "takes dates, got strings in column 'x': parse them first"),
    "a number among dates": ([[HOURS[0]], [5]], "takes dates, got numbers in column 0"),
    "durations": (IN_COLUMN["polars, durations"], "takes dates, got durations in column 'when': divide them by a unit"),
    "times": (IN_COLUMN["polars, times of day"], "takes dates, got times of day in column 'when': give the hours"),
    "periods": (IN_COLUMN["pandas, periods"][["when"]], "takes dates, got periods in column 'when': give their starts"),
    "intervals": (IN_COLUMN["pandas, intervals"][["when"]], "takes dates, got intervals in column 'when'."),
    "lists": (IN_COLUMN["polars, lists"], "takes dates, got lists or structures in column 'when'."),
    "lists in objects": (frame([HOURS], object)[["when"]], "takes dates, got lists or structures in column 'when'."),
    "arrays in rows": ([[np.array(HOURS)]], "takes dates, got lists or structures in column 0."),
    "a lazy frame": (pl.LazyFrame({"when": HOURS}), "takes a table in memory, got a LazyFrame: collect() it first."),
    "both": ([[HOURS[0]], [HOURS[0].replace(tzinfo=UTC)]], "dates with time zones or without, got both in column 0."),
    "a flat list": (HOURS, "takes a list of rows, got a list of datetime: [[x] for x in list] is one column."),
    "words": (["2024"], "takes a list of rows, got a list of str"),
    "one axis": (np.array(HOURS, dtype="M8[s]"), "takes an array (n, columns), got shape (3,): x.reshape(-1, 1)"),
    "fields": (IN_COLUMN["numpy, fields"], "takes an array (n, columns), got shape (3,)"),
    "rows of two lengths": ([[HOURS[0]], HOURS], "takes rows of one length"),
    "no rows": (frame(HOURS)[["when"]][:0], "takes at least one row of dates, got none."),
    "no columns": (frame(HOURS)[[]], "takes at least one column of dates, got none."),
    "nothing": ([], "takes at least one column of dates, got none."),
    "None": (None, "takes tables, arrays, series or lists of rows, got NoneType."),
    "sparse numbers": (sparse.eye_array(3), "takes dates, got numbers"),
}


@pytest.mark.parametrize(("X", "message"), REFUSED_BY_CALENDAR.values(), ids=REFUSED_BY_CALENDAR)
def test_calendar_refuses(X: Any, message: str) -> None:
    for refuse in (Calendar().fit, Calendar().fit([[HOURS[0]]]).transform):
        with pytest.raises(ValueError) as refused:
            refuse(X)
        line = str(refused.value)
        assert line.startswith("Calendar ")
        assert message in line
        assert "\n" not in line


@pytest.mark.parametrize("columns", [naive(HOURS), days(DAYS)], ids=["dates", "days"])
def test_dates_without_a_zone_are_not_converted(columns: Mapping[str, Any]) -> None:
    for X in columns.values():
        with pytest.raises(
            ValueError, match=r"time_zone='Europe/Berlin', got dates without a time zone.*localize them"
        ):
            Calendar(time_zone="Europe/Berlin").fit(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"fields": "hour"},
            "'fields' parameter of Calendar must be a tuple of different words out of 'minute', 'hour'",
        ),
        ({"fields": ()}, "'fields' parameter"),
        ({"fields": ("hour", "hour")}, "'fields' parameter"),
        ({"fields": ("hours",)}, "'fields' parameter"),
        ({"fields": [["hour"]]}, "'fields' parameter"),
        ({"encoder": "fourier"}, "'encoder' parameter of Calendar must be a transformer, None, 'passthrough', or a"),
        (
            {"encoder": {"hour": None}},
            "must be a mapping of all fields, 'hour', 'weekday', 'day_of_year', and no others",
        ),
        ({"encoder": Fourier}, "'encoder' parameter"),
        ({"time_zone": "Berlin"}, "'time_zone' parameter of Calendar must be None or the name of a time zone"),
        ({"time_zone": "Europe"}, "'time_zone' parameter"),
        ({"time_zone": "../Berlin"}, "'time_zone' parameter"),
        ({"time_zone": 1}, "'time_zone' parameter"),
        ({"missing": "drop"}, "'missing' parameter of Calendar must be one of 'error', 'zeros', 'indicator'"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calendar(**parameters).fit([[HOURS[0]]])


def test_other_columns_than_those_fitted_are_refused() -> None:
    calendar = Calendar().fit(pd.DataFrame({"when": HOURS}))
    with pytest.raises(ValueError, match=r"takes the columns that were fitted, \['when'\], got \['then'\]"):
        calendar.transform(pl.DataFrame({"then": HOURS}))
    with pytest.raises(ValueError, match="takes as many columns as were fitted, 1, got 2"):
        calendar.transform(pl.DataFrame({"when": HOURS, "then": HOURS}))
    assert calendar.transform([[HOURS[0]]]).shape == (1, 34)


def test_a_zone_is_asked_once_a_day_and_no_value_of_a_typed_column_is_looked_at(monkeypatch: Any) -> None:
    """A million rows are as few questions as their days are."""

    class Counting(tzinfo):
        asked = 0

        def utcoffset(self, when: datetime | None) -> timedelta | None:
            return None if when is None else BERLIN.utcoffset(when)

        def dst(self, when: datetime | None) -> timedelta | None:
            return None

        def fromutc(self, when: datetime) -> datetime:
            Counting.asked += 1
            return when.replace(tzinfo=UTC).astimezone(BERLIN).replace(tzinfo=self)

    monkeypatch.setattr("encoders._times.values_of", None)
    monkeypatch.setattr("encoders._wall_clock.values_of", None)
    monkeypatch.setattr("encoders._wall_clock._as_zone", lambda zone, column: Counting())
    seconds = pd.date_range("2024-05-01", periods=10 * 24 * 60, freq="min", tz="UTC")
    assert phases(seconds, "hour")[0] == pytest.approx(2 / 24)
    assert Counting.asked == 20
