"""Encoders on other people's tables: columns, missing and unknown numbers, sparse codes, libraries."""

import ast
import inspect
import io
import subprocess
import sys
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from contract import discovered
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline

import encoders
from bench.specs import registry
from encoders import (
    RDSE,
    Binary,
    Bits,
    Bounded,
    Calendar,
    Cycle,
    Encoder,
    Fourier,
    Invertible,
    OneHot,
    Random,
    Residue,
    Scalar,
    SDRify,
    Thermometer,
)

ROOT = Path(__file__).parents[1]
every_encoder = pytest.mark.parametrize("name", discovered("encoder"))
NUMBERS = np.array([[0.0, 3.0], [5.0, 0.0], [12.0, 7.0], [7.0, 7.0]])


def small(name: str, **parameters: Any) -> Any:
    cls: Any = registry.encoder(name)
    if name == "random" and parameters.get("sparse_output"):
        parameters |= {"distribution": "k-of-n", "active_bits": 3}
    return cls(**{**cls.example, **parameters})


def bounded(name: str) -> bool:
    return issubclass(registry.encoder(name), Bounded)


# Columns


def test_parameters_by_name_and_by_position() -> None:
    frame = pd.DataFrame({"hour": [0, 6, 12], "weekday": [0, 3, 6]})
    by_name = Fourier(modulus={"hour": 24, "weekday": 7}, harmonics={"hour": 2, "weekday": 1}).fit(frame)
    by_position = Fourier(modulus={0: 24, 1: 7}, harmonics={0: 2, 1: 1}).fit(frame.to_numpy())
    assert np.array_equal(by_name.transform(frame), by_position.transform(frame.to_numpy()))
    hour = Fourier(modulus=24, harmonics=2).fit_transform(frame[["hour"]])
    weekday = Fourier(modulus=7, harmonics=1).fit_transform(frame[["weekday"]])
    assert np.array_equal(by_name.transform(frame), np.hstack([hour, weekday]))
    assert list(by_name.get_feature_names_out()) == [
        *("hour_cos1", "hour_sin1", "hour_cos2", "hour_sin2"),
        *("weekday_cos1", "weekday_sin1"),
    ]
    mixed = clone(by_name).set_params(modulus={"hour": 24, 1: 7}).fit(frame)
    assert np.array_equal(mixed.transform(frame), by_name.transform(frame))


def test_ranges_are_learned_for_each_column() -> None:
    encoder = OneHot().fit(NUMBERS)
    assert encoder.transform(NUMBERS).shape == (4, 13 + 8)
    assert [column.n_values_ for column in encoder.columns_] == [13, 8]
    assert OneHot(n_values={0: 13, 1: 9}).fit_transform(NUMBERS).shape == (4, 22)
    steps = Scalar(resolution={0: 1.0, 1: 0.5}, active_bits=3).fit(NUMBERS)
    assert [column.n_buckets_ for column in steps.columns_] == [13, 15]
    assert list(encoder.feature_blocks()) == list(range(21))
    assert list(Fourier({0: 24, 1: 7}, 1).fit(NUMBERS).feature_blocks()) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("modulus", "message"),
    [
        ({"hour": 24}, "'modulus' parameter of Fourier has no entry for column 'weekday': there are 'hour'"),
        (
            {"hour": 24, "weekdays": 7, "weekday": 7},
            "an entry for 'weekdays', which is no column: did you mean 'weekday'",
        ),
        ({"hour": 24, "weekday": 7, 9: 7}, "an entry for 9, which is no column; there are 'hour', 'weekday'"),
        ({"hour": 24, 0: 24, 1: 7}, "two entries for column 'hour': by name and by position 0"),
        (
            {"hour": 24, "weekday": -7},
            "In column 'weekday': The 'modulus' parameter of Fourier must be given: a number",
        ),
        ({}, "has no entry for column 'hour': there are none"),
        (
            [24, 7],
            "a number > 0, the period in the unit of x, or a mapping as {'hour': 24}, got modulus=.24, 7.",
        ),
        (None, "The 'modulus' parameter of Fourier must be given"),
    ],
)
def test_columns_without_a_sound_parameter(modulus: Any, message: str) -> None:
    frame = pd.DataFrame({"hour": [0, 6, 12], "weekday": [0, 3, 6]})
    with pytest.raises(ValueError, match=message) as error:
        Fourier(modulus=modulus).fit(frame)
    assert "\n" not in str(error.value)


def test_errors_about_numbers_name_the_column() -> None:
    frame = pd.DataFrame({"id": [0, 1], "share": [0.5, 1.0]})
    with pytest.raises(ValueError, match="In column 'share': OneHot takes the integers"):
        OneHot().fit(frame)
    fitted = OneHot().fit(frame.astype(int))
    with pytest.raises(ValueError, match="In column 'id': OneHot has codes for numbers from 0 to 1, got 7"):
        fitted.transform(pd.DataFrame({"id": [7], "share": [0]}))


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Cycle(), "'period' parameter of Cycle must be given"),
        (Fourier(), "'modulus' parameter of Fourier must be given"),
        (encoders.Phasor(), "'modulus' parameter of Phasor must be given"),
        (Scalar(minimum=0, maximum=1, periodic=True), "'size' parameter of Scalar must be given for a periodic code"),
    ],
)
def test_what_no_data_can_tell_must_be_given(encoder: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder.fit([[1.0], [2.0]])


@pytest.mark.parametrize("encoder", [Scalar(), Thermometer(), RDSE()])
def test_what_is_learned_tells_numbers_of_any_scale_apart(encoder: Any) -> None:
    values = np.random.default_rng(0).lognormal(size=(200, 1))
    for scale in (1e-6, 1.0, 1e6):
        different = len(np.unique(clone(encoder).fit_transform(scale * values), axis=0))
        assert different >= 60
    few = np.array([0.1, 0.2, 7.5, 1e9])[:, np.newaxis]
    assert isinstance(encoder, RDSE) or len(np.unique(clone(encoder).fit_transform(few), axis=0)) == 4


def test_learned_levels_are_quantiles() -> None:
    values = np.arange(1000.0)[:, np.newaxis]
    column = Thermometer().fit(values).columns_[0]
    assert column.thresholds_.tolist() == [np.ceil(1000 * i / 64) - 1 for i in range(1, 65)]
    ones = Thermometer().fit_transform(np.random.default_rng(0).exponential(size=(6400, 1))).sum(axis=1)
    assert np.abs(np.bincount(ones.astype(int), minlength=65)[:64] - 100).max() <= 1
    assert Residue().fit([[96]]).columns_[0].moduli_ == (2, 3, 5, 7)


# Missing and unknown numbers


@every_encoder
def test_missing_numbers(name: str) -> None:
    holes = np.array([[0.0, np.nan], [5.0, 0.0], [np.nan, 7.0], [7.0, 7.0]])
    filled = np.where(np.isnan(holes), 0.0, holes)
    with pytest.raises(ValueError, match="got NaN, a missing number, in column 1, row 0") as error:
        small(name).fit(holes)
    assert "\n" not in str(error.value)
    whole = small(name).fit(filled)
    with pytest.raises(ValueError, match="got NaN"):
        whole.transform(holes)
    split = whole.columns_[0]._width
    expected = whole.transform(filled)
    expected[2, :split] = 0
    expected[0, split:] = 0
    zeros = small(name, missing="zeros").fit(holes)
    assert np.array_equal(zeros.transform(holes), expected)
    indicator = small(name, missing="indicator").fit(holes)
    codes = indicator.transform(holes)
    flags = [i for i, feature in enumerate(indicator.get_feature_names_out()) if feature.endswith("_missing")]
    assert flags == [split, expected.shape[1] + 1]
    assert codes[:, flags].tolist() == [[0, 1], [0, 0], [1, 0], [0, 0]]
    assert np.array_equal(np.delete(codes, flags, axis=1), expected)
    assert len(indicator.feature_blocks()) == codes.shape[1]
    assert indicator.transform([[1.0, 1.0]])[:, flags].tolist() == [[0, 0]]
    if isinstance(indicator, Invertible):
        assert np.array_equal(np.isnan(indicator.inverse_transform(codes)), np.isnan(holes))


@every_encoder
def test_a_column_of_missing_numbers_alone(name: str) -> None:
    """A fold of a cross-validation may have one; it is learned as if there were a 0."""
    fitted = small(name, missing="indicator").fit([[1.0, np.nan], [2.0, np.nan]])
    flags = [feature.endswith("_missing") for feature in fitted.get_feature_names_out()]
    codes = fitted.transform([[np.nan, np.nan]])
    assert codes[0, flags].all()
    assert not codes[0, np.logical_not(flags)].any()


def test_a_way_with_missing_numbers_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="'missing' parameter of Fourier must be one of 'error', 'zeros', 'indicator'"):
        Fourier(24, missing="mean").fit([[1.0]])
    with pytest.raises(ValueError, match="'unknown' parameter of OneHot must be one of 'error', 'zeros', 'clip'"):
        OneHot(unknown="ignore").fit([[1]])


OUTSIDE = {"binary": 900.0, "onehot": 900.0, "random": 900.0, "scalar": 900.0, "thermometer": 900.0}
"""A number beyond those that `fit` saw, for every encoder whose code has bounds."""


@every_encoder
def test_numbers_out_of_range(name: str) -> None:
    """Encoders without bounds have codes for all numbers; the others do what `unknown` says."""
    assert bounded(name) == (name in OUTSIDE)
    fitted = small(name).fit(NUMBERS[:, :1])
    if not bounded(name):
        assert fitted.transform([[900.0]]).any()
        assert "unknown" not in fitted.get_params()
        return
    low, high = fitted.columns_[0]._bounds
    refusing = small(name, unknown="error").fit(NUMBERS[:, :1])
    with pytest.raises(ValueError, match=rf"has codes for numbers from {low:g} to {high:g}, got 900: unknown="):
        refusing.transform([[900.0]])
    clipped = small(name, unknown="clip").fit(NUMBERS[:, :1]).transform([[900.0], [high], [-3.0], [low]])
    assert np.array_equal(clipped[0], clipped[1])
    assert np.array_equal(clipped[2], clipped[3])
    blank = small(name, unknown="zeros").fit(NUMBERS[:, :1])
    codes = blank.transform([[900.0], [5.0], [-3.0]])
    assert not codes[[0, 2]].any()
    assert np.array_equal(codes[1], fitted.transform([[5.0]])[0])
    both = small(name, unknown="zeros", missing="indicator").fit(NUMBERS[:, :1]).transform([[900.0], [np.nan]])
    assert both[:, -1].tolist() == [0, 1]
    assert not both[:, :-1].any()
    if blank.domain == "categorical":
        assert not blank.transform([[2.5]]).any()
        with pytest.raises(ValueError, match="takes the integers"):
            small(name, unknown="clip").fit(NUMBERS[:, :1]).transform([[2.5]])


# Sparse codes

SPARSE = [name for name in registry.listings("encoder") if issubclass(registry.encoder(name), Bits)]
"""Encoders of zeros and ones."""


def test_every_code_of_a_few_ones_can_be_sparse() -> None:
    assert SPARSE == ["onehot", "random", "rdse", "residue", "scalar", "thermometer"]


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("dtype", ["float32", "int8", np.float64])
def test_sparse_and_dense_codes_are_the_same(name: str, dtype: Any) -> None:
    holes = np.concatenate([NUMBERS, [[np.nan, 2.0], [1.0, np.nan]]])
    given: dict[str, Any] = {"missing": "indicator", "dtype": dtype, "sparse_output": True}
    codes = small(name, **given).fit_transform(holes)
    dense = small(name, **given).set_params(sparse_output=False).fit_transform(holes)
    assert (codes.dtype, dense.dtype) == (np.dtype(dtype), np.dtype(dtype))
    assert np.array_equal(codes.toarray(), dense)
    assert codes.indices.dtype == np.int32
    again = codes.copy()
    again.has_canonical_format = False
    again.sum_duplicates()
    assert np.array_equal(again.indices, codes.indices)
    assert np.array_equal(again.indptr, codes.indptr)
    assert np.array_equal(again.data, codes.data)
    restored = small(name, **given).fit(holes).inverse_transform(codes)
    assert np.array_equal(np.isnan(restored), np.isnan(holes))


@pytest.mark.parametrize("name", SPARSE)
def test_a_sparse_code_costs_its_ones(name: str) -> None:
    values = np.random.default_rng(0).integers(0, 50, size=(30_000, 2)).astype(float)  # several blocks
    encoder = small(name, sparse_output=True, dtype="int8").fit(values)
    codes = encoder.transform(values)
    assert codes.data.nbytes + codes.indices.nbytes == 5 * codes.nnz
    assert np.array_equal(codes[20_000:20_100].toarray(), encoder.transform(values[20_000:20_100]).toarray())
    assert codes.nnz == small(name, sparse_output=True).set_params(sparse_output=False).fit_transform(values).sum()


@pytest.mark.parametrize("dtype", ["int16", "code", object, None])
def test_codes_of_another_type_are_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match="'dtype' parameter of OneHot must be one of 'float32', 'float64', 'int8'"):
        OneHot(dtype=dtype).fit([[1]])


def test_what_belongs_to_sparse_random_codes() -> None:
    for wrong in ({"active_bits": 3}, {"sparse_output": True}, {"dtype": "int8"}):
        with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' parameter of Random must be"):
            Random(**wrong).fit([[1]])
    codes = Random(n=50, distribution="k-of-n", active_bits=7).fit_transform(np.arange(40)[:, np.newaxis])
    assert (codes.sum(axis=1) == 7).all()
    more = Random(n=50, distribution="k-of-n", active_bits=7).fit_transform(np.arange(90)[:, np.newaxis])
    assert np.array_equal(more[:40], codes)
    assert Random(n=100, distribution="k-of-n").fit_transform([[3]]).sum() == 2


@pytest.mark.parametrize("mode", ["binary", "values"])
@pytest.mark.parametrize("slots", [1, 3])
def test_sdr_is_sparse(mode: Any, slots: int) -> None:
    x = np.random.default_rng(0).integers(0, 5, size=(3000, 60)).astype(np.float32)
    dense = SDRify(k=6, mode=mode, slots=slots).fit_transform(x)
    codes = SDRify(k=6, mode=mode, slots=slots, sparse_output=True).fit_transform(x)
    assert sparse.issparse(codes)
    assert codes.nnz == 3000 * 6 * slots
    assert np.array_equal(codes.toarray(), dense)
    kept = np.sort(x.reshape(3000, slots, -1), axis=2)[:, :, -6:].sum()
    assert mode == "binary" or dense.sum() == kept
    if mode == "binary":
        assert SDRify(k=6, slots=slots, sparse_output=True, dtype="int8").fit_transform(x).dtype == np.int8
    else:
        with pytest.raises(ValueError, match="'dtype' parameter of SDRify must be a type of fractions"):
            SDRify(k=6, mode=mode, dtype="int8").fit(x)


# Back to numbers

INVERTIBLE = [name for name in registry.listings("encoder") if issubclass(registry.encoder(name), Invertible)]


def test_every_encoder_is_read_back() -> None:
    assert list(registry.listings("encoder")) == INVERTIBLE


@pytest.mark.parametrize("name", INVERTIBLE)
def test_the_nearest_code_is_read(name: str) -> None:
    values = np.arange(13.0)[:, np.newaxis]
    encoder = small(name).fit(values)
    codes = encoder.transform(values)
    noise = np.random.default_rng(0).normal(scale=0.01, size=codes.shape)
    assert np.array_equal(np.rint(encoder.inverse_transform(codes + noise)) % 97, values)


@pytest.mark.parametrize(
    "encoder",
    [
        Cycle(n=60, period=(2, 10)),
        Cycle(n=60, period=30.0, wave="cosine"),
        Cycle(n=60, period=30.0, wave="triangle"),
        Fourier(modulus=30, harmonics=(4, 7)),
        encoders.Phasor(n=20, modulus=30),
    ],
)
def test_real_numbers_are_read_back(encoder: Any) -> None:
    values = np.random.default_rng(0).uniform(0, 29.5, size=(50, 2))
    encoder.fit(values)
    assert np.abs(encoder.inverse_transform(encoder.transform(values)) - values).max() < 1e-3


def test_what_is_no_code_is_read_as_the_nearest_number() -> None:
    bent = Fourier(modulus=24).fit([[0.0]])
    codes = bent.transform([[5.0]]).astype(float)
    codes[0, :2] *= -0.1
    assert abs(bent.inverse_transform(codes)[0, 0] - 5) < 0.5
    assert Thermometer(size=3, minimum=0, maximum=3).fit([[0]]).inverse_transform([[0, 0, 1.0]]).tolist() == [[0.0]]
    digits = Binary(n_digits=3).fit([[0]])
    assert digits.inverse_transform([[0, 1.6, 0], [-1, 0, -0.7], [3, 3, 1e30]]).tolist() == [[2.0], [0.0], [7.0]]
    assert Scalar(resolution=2.0, active_bits=3).fit([[0], [5]]).inverse_transform([[0, 0, 0, 1, 1, 1]]).max() <= 5


@pytest.mark.parametrize("clocks", [64, 400])
def test_hands_that_jump_are_read_back(clocks: int) -> None:
    """Between the jumps of two hands the nearest code may have less room than a step of the search."""
    minutes = np.arange(1440.0)[:, np.newaxis]
    encoder = Cycle(n=clocks, period=1440.0).fit(minutes)
    assert np.abs(encoder.inverse_transform(encoder.transform(minutes)) - minutes).max() < 0.01
    sparse_codes = SDRify(k=clocks // 4).fit_transform(encoder.transform(minutes))
    error = np.abs(encoder.inverse_transform(sparse_codes) - minutes)
    assert np.median(np.minimum(error, 1440 - error)) < 100


def test_too_many_candidates_are_refused() -> None:
    encoder = Cycle(n=4, period=(1, 2)).fit([[0.0], [1e9]])
    with pytest.raises(ValueError, match="Cycle compares a code with at most 1048576 others"):
        encoder.inverse_transform(np.zeros((1, 4)))


# In parts


@pytest.mark.parametrize("name", [name for name in registry.listings("encoder") if bounded(name)])
def test_partial_fit_is_fit_of_all(name: str) -> None:
    values = np.random.default_rng(0).integers(0, 40, size=(60, 2)).astype(float)
    in_parts = small(name)
    for start in (0, 20, 40):
        in_parts.partial_fit(values[start : start + 20])
    assert np.array_equal(in_parts.transform(values), small(name).fit_transform(values))
    with pytest.raises(ValueError, match="1 features"):
        in_parts.partial_fit(values[:, :1])


def test_partial_fit_knows_columns_by_the_names_of_the_first_call() -> None:
    frame = pd.DataFrame({"a": [0, 3], "b": [0, 9]})
    encoder = Binary(base={"a": 2, "b": 10}).partial_fit(frame)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        encoder.partial_fit(frame.to_numpy())
    assert [len(column.powers_) for column in encoder.columns_] == [2, 1]


def test_partial_fit_keeps_what_was_drawn() -> None:
    encoder = Random(n=8, random_state=None).partial_fit([[2]])
    before = encoder.transform([[0], [1], [2]])
    assert np.array_equal(encoder.partial_fit([[9]]).transform([[0], [1], [2]]), before)


def test_quantiles_are_not_learned_in_parts() -> None:
    for encoder in (Scalar(), Thermometer(), Fourier(24)):
        assert not hasattr(encoder, "partial_fit")
    assert hasattr(Scalar(size=50), "partial_fit")


def test_partial_fit_that_fails_changes_nothing() -> None:
    encoder = OneHot().fit([[1, 2]])
    with pytest.raises(ValueError, match="In column 1: Negative values"):
        encoder.partial_fit([[9, -1]])
    assert encoder.transform([[1, 1]]).shape == (1, 5)
    limited = OneHot(n_values=5).partial_fit([[1]])
    with pytest.raises(ValueError, match="got 7"):
        limited.partial_fit([[7]])
    assert limited.partial_fit([[2]]).transform([[4]]).sum() == 1
    assert encoder.set_params(n_values=9).partial_fit([[1, 1]]).transform([[8, 8]]).shape == (1, 18)


def test_a_fit_that_fails_leaves_an_encoder_that_is_not_fitted() -> None:
    encoder = OneHot().fit(pd.DataFrame({"a": [1], "b": [2]}))
    with pytest.raises(ValueError, match="In column 'd': Negative"):
        encoder.fit(pd.DataFrame({"c": [1], "d": [-2]}))
    with pytest.raises(NotFittedError):
        encoder.transform([[1, 1]])
    calendar = Calendar(fields=("hour",)).fit([[datetime(2024, 3, 25, 10)]])
    with pytest.raises(ValueError, match="OneHot takes the integers"):
        calendar.set_params(encoder=OneHot()).fit([[datetime(2024, 3, 25, 10)]])
    with pytest.raises(NotFittedError):
        calendar.transform([[datetime(2024, 3, 25, 10)]])


# What libraries hide


def test_missing_numbers_of_every_kind() -> None:
    arrow = pa.table({"a": pa.array([5, 3, None, 7]).dictionary_encode()})
    tables: list[Any] = [
        [[5], [3], [pd.NA], [7]],
        np.array([[5], [3], [pd.NA], [7]], dtype=object),
        pd.DataFrame({"a": [5, 3, pd.NA, 7]}, dtype=object),
        pd.DataFrame({"a": [5, 3, pd.NA, 7]}, dtype="Int64"),
        np.ma.array([[5], [3], [1], [7]], mask=[[0], [0], [1], [0]]),
        arrow,
    ]
    for table in tables:
        codes = Thermometer(resolution=1, minimum=0, missing="indicator").fit_transform(table)
        assert codes.sum(axis=1).tolist() == [5, 3, 1, 7]
        assert codes[:, -1].tolist() == [0, 0, 1, 0]
        with pytest.raises(ValueError, match="got NaN"):
            Thermometer(resolution=1).fit(table)
    hours = pa.table({"t": pa.array([datetime(2024, 1, 1, 6), None, datetime(2024, 1, 1, 12)]).dictionary_encode()})
    phases = Calendar(("hour",), "passthrough", missing="indicator").fit_transform(hours)
    assert phases.tolist() == [[0.25, 0], [0, 1], [0.5, 0]]


def test_columns_named_by_integers_go_by_name() -> None:
    frame = pd.DataFrame({1: [3.5], 0: [12.0]})
    codes = Fourier(modulus={0: 24, 1: 7}, harmonics=1).fit_transform(frame)
    assert np.allclose(codes, [[-1, 0, -1, 0]], atol=1e-6)
    assert Fourier(modulus={10: 24, 20: 7}).fit_transform(pd.DataFrame({10: [1.0], 20: [2.0]})).shape == (1, 32)


def test_what_is_no_number_is_refused_by_column() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"], "c": [1.0, np.inf]})
    for encoder in (OneHot(), encoders.PairEncoder(OneHot())):
        name = type(encoder).__name__
        with pytest.raises(ValueError, match=f"{name} takes numbers, got strings in column 'b': .*OrdinalEncoder"):
            encoder.fit(frame[["a", "b"]])
        with pytest.raises(ValueError, match=f"{name} got infinity, which is no number, in column 'c', row 1"):
            encoder.fit(frame[["a", "c"]])
    with pytest.raises(ValueError, match="Fourier takes a table in memory, got a LazyFrame: collect"):
        Fourier(24).fit(pl.LazyFrame({"a": [1.0]}))
    with pytest.raises(ValueError, match="'sparse_output' parameter of OneHot is one for all columns"):
        OneHot(sparse_output={0: False}).fit([[1.0]])  # type: ignore[arg-type]


def test_identifiers_that_are_too_large_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"at most 2\^28 features in all, got 1e\+09 and n=128"):
        Random().fit([[10**9]])
    with pytest.raises(ValueError, match=r"'n_values' parameter of OneHot must be below 2\^31"):
        OneHot(n_values=2**63).fit([[1]])
    with pytest.raises(ValueError, match=r"whose sum is below 2\^31"):
        Residue(moduli=(2**70,)).fit([[1]])


def test_a_value_that_is_there_many_times_counts_once() -> None:
    values = np.concatenate([np.zeros(100_000), np.arange(1.0, 101)])[:, np.newaxis]
    for encoder in (Scalar(), Thermometer()):
        assert len(np.unique(clone(encoder).fit(values).transform(np.arange(101.0)[:, np.newaxis]), axis=0)) >= 64


def test_what_one_column_has_learned_is_shown() -> None:
    assert Scalar(resolution=1).fit([[3], [9]]).maximum_ == 9
    assert not hasattr(Scalar(resolution=1).fit([[3, 4]]), "maximum_")


def test_a_calendar_keeps_to_the_zone_that_it_was_fitted_on() -> None:
    berlin = pd.DataFrame({"t": pd.date_range("2024-06-01", periods=4, freq="6h", tz="Europe/Berlin")})
    calendar = Calendar(("hour",)).fit(berlin)
    utc = berlin.assign(t=berlin["t"].dt.tz_convert("UTC"))
    assert np.array_equal(calendar.transform(utc), calendar.transform(berlin))
    naive = berlin.assign(t=berlin["t"].dt.tz_localize(None))
    with pytest.raises(ValueError, match="dates without a time zone in column 't'"):
        calendar.transform(naive)
    with pytest.raises(ValueError, match="fitted on dates without a time zone, got some with one, UTC, in column 't'"):
        Calendar(("hour",)).fit(naive).transform(utc)
    for encoder in (Fourier(24), make_pipeline(Cycle(period=24), SDRify(k=4)), {"hour": Fourier(modulus=24)}):
        with pytest.raises(ValueError, match="'encoder' parameter of Calendar must be of period 1"):
            Calendar(("hour",), encoder).fit(berlin)


# Any numbers at all

ANY = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True) | st.sampled_from(
    [0.0, -0.0, 5e-324, 1e308, -1e308, 2.0**53, 1e16, 97.0, -1.0, 0.1]
)
TABLES = arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(1, 2)), elements=ANY | st.integers(0, 20))
CONSTANT = st.builds(lambda x, n: np.full((n, 1), x), ANY, st.integers(1, 4))


@every_encoder
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fitted=TABLES | CONSTANT, later=TABLES, missing=st.sampled_from(["error", "zeros", "indicator"]))
def test_codes_are_finite_or_there_is_one_clear_line(name: str, fitted: Any, later: Any, missing: str) -> None:
    encoder = small(name, missing=missing)
    if fitted.size and np.nanmax(np.abs(fitted), initial=0) > 1e4 and name in ("onehot", "random"):
        return  # a code for every value up to the largest, which is as wide as that
    for learned in (encoder, _without_widths(encoder)):
        for table in (fitted, later):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    codes = (learned.fit(table) if table is fitted else learned).transform(table)
                except ValueError as error:
                    _one_line(str(error))
                    if table is fitted:
                        break
                else:
                    assert np.isfinite(codes).all()
                    assert len(codes) == len(table)


def _without_widths(encoder: Any) -> Any:
    """The same, with everything learned that can be."""
    names = ("size", "radius", "resolution", "moduli")
    return clone(encoder).set_params(
        **{
            name: None
            for name in names
            if name in encoder.get_params() and not (name == "size" and isinstance(encoder, RDSE))
        }
    )


def _one_line(message: str) -> None:
    assert "\n" not in message.strip()
    assert len(message) < 300


# Libraries


@every_encoder
def test_frames_of_three_libraries(name: str) -> None:
    columns = {"a": [0, 5, 12, 7], "b": [3, 0, 7, 7]}
    frames: list[Any] = [pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)]
    codes = [small(name).fit_transform(frame) for frame in frames]
    assert np.array_equal(codes[0], codes[1])
    assert np.array_equal(codes[0], codes[2])
    holes = {"a": [0, None, 12, 7], "b": [3, 0, 7, 7]}
    typed = [
        pd.DataFrame(holes, dtype="Int64"),
        pl.DataFrame(holes),
        pa.table(holes),
        pd.DataFrame(holes, dtype=object),
    ]
    coded = [small(name, missing="zeros").fit_transform(frame) for frame in typed]
    assert all(np.array_equal(coded[0], one) for one in coded)
    for library, kind in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        encoder = small(name).set_output(transform=library)
        out = encoder.fit_transform(frames[0])
        assert isinstance(out, kind)
        assert list(out.columns) == list(encoder.get_feature_names_out())
        assert np.array_equal(out.to_numpy(), codes[0])
    named = small(name).fit(frames[1])
    assert named.get_feature_names_out()[0].startswith("a_")


@every_encoder
def test_as_a_part_of_others(name: str) -> None:
    from skrub import TableVectorizer

    frame = pd.DataFrame({"hour": [0, 6, 12, 1, 7, 11], "other": [1.5, 0.5, 2.5, 0.5, 1.5, 0.5]})
    alone = small(name).fit_transform(frame[["hour"]])
    union = FeatureUnion([("one", small(name)), ("two", small(name))]).fit_transform(frame[["hour"]])
    assert np.array_equal(union, np.hstack([alone, alone]))
    columns = ColumnTransformer([("hour", small(name), ["hour"])]).fit(frame)
    assert np.array_equal(columns.transform(frame), alone)
    vectorized = TableVectorizer(specific_transformers=[(small(name), ["hour"])]).fit_transform(frame)
    assert np.array_equal(vectorized.iloc[:, : alone.shape[1]].to_numpy(), alone)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_searched_in_parallel(backend: str) -> None:
    x = np.random.default_rng(0).uniform(0, 24, size=(60, 1))
    y = np.sin(3 * 2 * np.pi * x[:, 0] / 24)
    pipeline = make_pipeline(Fourier(modulus=24), Ridge())
    grid = {"fourier__harmonics": [1, 2, 3], "fourier__modulus": [24, {0: 24}]}
    with joblib.parallel_backend(backend, n_jobs=2):
        search = GridSearchCV(pipeline, grid, cv=3).fit(x, y)
    assert search.best_params_["fourier__harmonics"] == 3
    assert search.best_score_ > 0.95


@every_encoder
def test_kept_by_skops(name: str) -> None:
    from skops import io as skops

    encoder = small(name).fit(NUMBERS)
    stored = skops.dumps(encoder)
    strange = skops.get_untrusted_types(data=stored)
    assert all(kind.startswith("encoders.") for kind in strange)
    again = skops.loads(stored, trusted=strange)
    assert np.array_equal(again.transform(NUMBERS), encoder.transform(NUMBERS))
    file = io.BytesIO()
    joblib.dump(encoder, file)
    file.seek(0)
    assert np.array_equal(joblib.load(file).transform(NUMBERS), encoder.transform(NUMBERS))


# Types, names, imports


def test_every_class_is_named_for_type_checkers() -> None:
    source = inspect.getsource(encoders)
    for name, listing in registry.listings("encoder").items():
        if listing.registered:
            continue
        module, cls = listing.target.split(":")
        line = f"    from {module} import {cls} as {cls}\n"
        assert line in source, f"for type checkers, `encoders/__init__.py` needs: {line.strip()}"
        assert cls in dir(encoders), name


def test_type_checkers_know_the_parameters(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(
        "from encoders import Cycle, Fourier, OneHot\n"
        "Cycle(nn=3)\n"
        "Fourier(modulus='day')\n"
        "Fourier(modulus={'hour': 24, 1: 7}, harmonics=3, missing='zeros').fit([[1.0]])\n"
        "OneHot(unknown='clip', dtype='int8')\n"
        "from learners import MLP, Transformer\n"
        "from learners.optim import AdamW\n"
        "MLP(nn=3)\n"
        "Transformer(nn=3)\n"
        "AdamW(nn=3)\n"
    )
    command = [sys.executable, "-m", "mypy", "--no-error-summary"]
    found = subprocess.run([*command, str(snippet)], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    errors = [line.split(": error: ")[1] for line in found.splitlines() if ": error: " in line]
    assert len(errors) == 5, found
    for error, name in zip((errors[0], *errors[2:]), ("Cycle", "MLP", "Transformer", "AdamW"), strict=True):
        assert error.startswith(f'Unexpected keyword argument "nn" for "{name}"')
    assert errors[1].startswith('Argument "modulus" to "Fourier" has incompatible type "str"')


def test_encoders_need_nothing_but_numpy_scipy_and_scikit_learn() -> None:
    allowed = {*sys.stdlib_module_names, "encoders", "numpy", "scipy", "sklearn"}
    for file in (ROOT / "encoders").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                assert {str(module).partition(".")[0] for module in modules} <= allowed, file.name


def test_notebooks_link_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from encoders import _page

    page = tmp_path / "docs/_build/html/reference/encoders.html"
    page.parent.mkdir(parents=True)
    page.touch()
    monkeypatch.setattr(_page, "__file__", str(tmp_path / "encoders/_page.py"))
    address = f"{page.as_uri()}#encoders.Cycle"
    for kind, name in ((Cycle(period=3), "Cycle"), (SDRify(), "SDRify")):
        assert kind._get_doc_link() == address.replace("Cycle", name)
        assert f'href="{address.replace("Cycle", name)}"' in kind._repr_html_()
    page.unlink()
    assert Cycle(period=3)._get_doc_link() == ""


def test_an_encoder_of_another_package_takes_columns_too() -> None:
    class Scaled(Encoder):
        domain = "real"

        def __init__(self, scale: Any = 1.0) -> None:
            self.scale = scale

        @staticmethod
        def suggest(trial: Any) -> dict[str, Any]:
            return {}

        def check(self) -> None:
            pass

        def _fit(self, values: Any) -> list[str]:
            self.top_ = float(values.max())
            return ["scaled"]

        def feature_blocks(self) -> Any:
            return np.array([int(self.top_)])

        def _encode(self, values: Any) -> Any:
            return sparse.csr_array(values[:, np.newaxis] / self.scale)

    frame = pd.DataFrame({"a": [2.0, 4.0], "b": [10.0, 30.0]})
    encoder = Scaled(scale={"a": 2.0, "b": 10.0}).fit(frame)
    assert encoder.transform(frame).tolist() == [[1.0, 1.0], [2.0, 3.0]]
    assert list(encoder.get_feature_names_out()) == ["a_scaled", "b_scaled"]
    assert Scaled().fit([[3.0]]).feature_blocks().tolist() == [3]


def test_digits_of_columns() -> None:
    encoder = Binary(base={0: 2, 1: 10}).fit(NUMBERS)
    assert np.array_equal(encoder.inverse_transform(encoder.transform(NUMBERS)), NUMBERS)
