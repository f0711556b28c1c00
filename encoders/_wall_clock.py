"""Columns of dates of any library as the wall clock that they show: naive datetime64 of numpy, in microseconds."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from encoders._times import Column, columns, inner_types, kinds_of_type, values_of

Instants = NDArray[np.datetime64]
"""One date for each row, (N,), in microseconds; NaT where it is missing."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400
EARLIEST, LATEST = ((end - date(1970, 1, 1)).days * DAY for end in (date.min, date.max))
"""The seconds since 1970 at which Python's years 1 … 9999 begin and end."""
TAKEN = {"dates", "missing values", "objects"}
ADVICE = {
    "strings": ": parse them first, as pandas.to_datetime does",
    "numbers": ": convert them first, as pandas.to_datetime(x, unit='s') does",
    "durations": ": divide them by a unit, as x / pandas.Timedelta('1h') does, for another encoder",
    "times of day": ": give the hours of the day to another encoder, such as Fourier(modulus=24)",
    "periods": ": give their starts, as x.dt.start_time does",
}


class Dates(NamedTuple):
    """A column of dates: its name, or else its position, or None; the wall clock in each row; the zone of its type.

    The zone is "" for a type without one, and None for objects, of which each may have its own.
    """

    name: Any
    wall_N: Instants
    zone: Any


def read_dates(X: Any, time_zone: Any) -> list[Dates]:
    """All columns of a table, an array, a series or a list of rows.

    :param time_zone: the zone that dates with a zone are converted to, or a list of one for each column; None leaves
        dates in their own.
    :raises ValueError: for what is not a table of dates, and for dates without a zone where one is to be converted to.
    """
    found = []
    for place, column in enumerate(_columns(_unmasked(X))):
        chosen = time_zone[place] if isinstance(time_zone, list) and place < len(time_zone) else time_zone
        zone = None if "objects" in kinds_of_type(column.dtype) else _zone_of(column.dtype) or ""
        found.append(Dates(column.name, _wall(column, None if isinstance(chosen, list) else chosen), zone))
    if not found or not len(found[0].wall_N):
        what = "row" if found else "column"
        raise ValueError(f"Calendar takes at least one {what} of dates, got none.")
    return found


def _unmasked(X: Any) -> Any:
    """X with NaT in place of masked dates."""
    masked = isinstance(X, np.ma.MaskedArray) and X.dtype.kind == "M"
    return np.ma.filled(X, np.datetime64("NaT")) if masked else X


def _columns(X: Any) -> Iterator[Column]:
    if isinstance(X, list | tuple):
        return _columns_of_rows(X)
    if getattr(X, "ndim", 2) != 2 and isinstance(X, np.ndarray):
        raise ValueError(f"Calendar takes an array (n, columns), got shape {X.shape}: x.reshape(-1, 1) is one column.")
    if hasattr(X, "collect_schema") and not hasattr(X, "get_column"):
        raise ValueError(f"Calendar takes a table in memory, got a {type(X).__name__}: collect() it first.")
    found = list(columns(X))
    if not found and not hasattr(X, "shape"):
        raise ValueError(f"Calendar takes tables, arrays, series or lists of rows, got {type(X).__name__}.")
    return iter(found)


def _columns_of_rows(rows: Sequence[Any]) -> Iterator[Column]:
    """A list of rows, transposed; what numpy would make of it depends on the other values of the list."""
    flat = next((row for row in rows if isinstance(row, str | bytes) or not hasattr(row, "__iter__")), None)
    if flat is not None:
        name = type(flat).__name__
        raise ValueError(f"Calendar takes a list of rows, got a list of {name}: [[x] for x in list] is one column.")
    try:
        transposed = list(zip(*rows, strict=True))
    except ValueError:
        raise ValueError("Calendar takes rows of one length, got a list of rows of several lengths.") from None
    return (Column(i, np.dtype(object), partial(list, values)) for i, values in enumerate(transposed))


def _wall(column: Column, time_zone: Any) -> Instants:
    kinds = column.kinds()
    if wrong := sorted(kinds - TAKEN):
        raise ValueError(f"Calendar takes dates, got {wrong[0]}{column.place}{ADVICE.get(wrong[0], '')}.")
    if "objects" in kinds:
        return _wall_of_objects(column, time_zone)
    values = column.read()
    if hasattr(column.dtype, "index_type"):  # of a dictionary numpy would leave out what is missing
        values = values.cast(column.dtype.value_type)
    if hasattr(column.dtype, "pyarrow_dtype"):  # of its dates and times pandas would make an object each
        values = values.array.__arrow_array__()
    instants = np.asarray(values, dtype="M8[us]")
    zone = _zone_of(column.dtype)
    if zone is not None:
        return wall_clock(instants, _as_zone(time_zone or zone, column))
    _refuse_naive(column, "dates" in kinds, time_zone)
    return instants


def _wall_of_objects(column: Column, time_zone: Any) -> Instants:
    values = [_moment(value) for value in values_of(column.read())]
    aware = [getattr(value, "tzinfo", None) is not None for value in values if value is not None]
    if len(set(aware)) == 2:
        raise ValueError(f"Calendar takes dates with time zones or without, got both{column.place}.")
    if any(aware) and time_zone is not None:
        since = np.array([value if value is None else value - EPOCH for value in values], dtype="m8[us]")
        return wall_clock(np.datetime64(0, "us") + since, _as_zone(time_zone, column))
    _refuse_naive(column, bool(aware), time_zone)
    if any(aware):
        values = [value and value.replace(tzinfo=None) for value in values]
    return np.array(values, dtype="M8[us]")


def _moment(value: Any) -> Any:
    """A single date, or None where it is missing."""
    if value is None or type(value).__name__ == "NAType" or value != value:
        return None
    return value.as_py() if hasattr(value, "as_py") else value  # a scalar of pyarrow


def _refuse_naive(column: Column, holds_dates: bool, time_zone: Any) -> None:
    if holds_dates and time_zone is not None:
        raise ValueError(
            f"Calendar converts to time_zone={time_zone!r}, got dates without a time zone{column.place}: localize them."
        )


def _zone_of(dtype: Any) -> Any:
    """The time zone of a type: the name of one, a tzinfo, or None."""
    found = getattr(dtype, "tz", None) or getattr(dtype, "time_zone", None)
    return found or next(filter(None, map(_zone_of, inner_types(dtype))), None)


def _as_zone(zone: Any, column: Column) -> tzinfo:
    if isinstance(zone, tzinfo):
        return zone
    offset = datetime.strptime(zone, "%z").tzinfo if zone.startswith(("+", "-")) else None
    if offset is None and not is_zone(zone):
        raise ValueError(f"Calendar knows no time zone {zone!r}, that of the dates{column.place}.")
    return offset or ZoneInfo(zone)


def is_zone(name: Any) -> bool:
    """Whether it is the name of a time zone that `zoneinfo` knows."""
    try:
        return isinstance(name, str) and bool(ZoneInfo(name))
    except (KeyError, ValueError, OSError):  # unknown, not a name, a folder of names
        return False


def wall_clock(utc_N: Instants, zone: tzinfo) -> Instants:
    """What a clock on the wall of a zone shows at instants of UTC, by one question to the zone for each different day.

    A day that begins and ends with one offset keeps it throughout: of all zones of tzdata 2026, none changes its
    offset twice within three days. On the other days the zone is asked about each different second.
    """
    constant = zone.utcoffset(None)
    if constant is not None:
        return utc_N + np.timedelta64(constant)
    days, day_of_N = np.unique(utc_N.astype("M8[D]"), return_inverse=True)
    offset_of_day, next_offset = _offsets(days, zone), _offsets(days + 1, zone)
    offset_N, changes_N = offset_of_day[day_of_N], (offset_of_day != next_offset)[day_of_N]
    seconds, second_of_N = np.unique(utc_N[changes_N].astype("M8[s]"), return_inverse=True)
    offset_N[changes_N] = _offsets(seconds, zone)[second_of_N]
    return utc_N + offset_N


def _offsets(instants: NDArray[np.datetime64], zone: tzinfo) -> NDArray[np.timedelta64]:
    """Offsets from UTC; at the ends of the years that Python knows, those of two days further inside."""
    seconds = np.clip(instants.astype("M8[s]").astype(np.int64), EARLIEST + 2 * DAY, LATEST - 2 * DAY)
    offsets = [(EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset() for second in seconds.tolist()]
    return np.array(offsets, dtype="m8[us]")
