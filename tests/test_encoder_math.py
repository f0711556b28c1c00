"""What each code is for, as mathematics."""

import pickle
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import encoders
from encoders import (
    RDSE,
    Binary,
    Codes,
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
from encoders._sdr import top_k
from learners import Ridge

INTEGERS = np.arange(97.0)[:, np.newaxis]
PAIRS = np.array([[a, b] for a in range(97) for b in range(97)])


def test_cycle_is_the_published_formula() -> None:
    encoder = Cycle(n=50, period=(2, 10), random_state=3).fit(INTEGERS)
    clocks = encoder.columns_[0]
    assert ((clocks.periods_ >= 2) & (clocks.periods_ <= 10)).all()
    turns = INTEGERS / clocks.periods_ + clocks.phases_
    assert np.allclose(encoder.transform(INTEGERS), turns % 1, atol=1e-6)


@pytest.mark.parametrize("wave", ["sawtooth", "cosine", "triangle", "square"])
def test_one_period_makes_every_wave_periodic(wave: Any) -> None:
    encoder = Cycle(n=20, period=8.0, wave=wave).fit(INTEGERS)
    codes = encoder.transform(INTEGERS)
    assert np.allclose(codes[:-8], codes[8:], atol=1e-5)
    assert not np.allclose(codes[:-4], codes[4:], atol=1e-2)
    assert encoder.periods == (8.0,)


def test_waves_at_quarter_turns() -> None:
    at = {}
    for wave in ("sawtooth", "cosine", "triangle", "square"):
        encoder = Cycle(n=1, period=4.0, wave=wave).fit([[0.0]])
        encoder.columns_[0].phases_ = np.zeros(1)
        at[wave] = encoder.transform([[0.0], [1.0], [2.0], [3.0]])[:, 0]
    assert at["sawtooth"].tolist() == [0, 0.25, 0.5, 0.75]
    assert np.allclose(at["cosine"], [1, 0, -1, 0], atol=1e-6)
    assert at["triangle"].tolist() == [1, 0.5, 0, 0.5]
    assert at["square"].tolist() == [1, 1, 0, 0]


def test_fourier_products_depend_on_the_difference_modulo_p_alone() -> None:
    codes = Fourier(modulus=97, harmonics=(1, 5, 30)).fit_transform(INTEGERS).astype(float)
    products = codes @ codes.T
    for shift in (1, 13, 50):
        rolled = np.roll(np.roll(products, shift, axis=0), shift, axis=1)
        assert np.abs(products - rolled).max() < 1e-5
    assert np.allclose(np.diag(products), 3)


def test_the_modulus_is_explicit_so_0_and_96_do_not_collide() -> None:
    codes = Fourier(modulus=97, harmonics=1).fit_transform([[0.0], [96.0], [97.0]])
    assert np.abs(codes[0] - codes[1]).max() > 0.05
    assert np.abs(codes[0] - codes[2]).max() < 1e-6


def test_fourier_reads_reals_back() -> None:
    x = np.array([[0.25], [11.5], [23.75]])
    encoder = Fourier(modulus=24, harmonics=3).fit(x)
    assert np.allclose(encoder.inverse_transform(encoder.transform(x)), x, atol=1e-4)
    without_the_first = Fourier(modulus=24, harmonics=(2, 3)).fit(x)
    assert np.allclose(without_the_first.inverse_transform(without_the_first.transform(x)), x, atol=1e-4)


def test_smoothness_weighs_harmonics() -> None:
    plain = Fourier(modulus=24, harmonics=(1, 2, 5)).fit_transform(INTEGERS)
    smooth = Fourier(modulus=24, harmonics=(1, 2, 5), smoothness=2).fit(INTEGERS)
    assert np.allclose(smooth.transform(INTEGERS), plain / np.repeat([1, 4, 25], 2), atol=1e-6)
    assert np.allclose(smooth.inverse_transform(smooth.transform(INTEGERS)), INTEGERS % 24, atol=1e-4)


def test_thermometer_overlap_is_the_minimum() -> None:
    codes = Thermometer(resolution=1, minimum=0, maximum=96).fit_transform(INTEGERS)
    assert np.array_equal(codes @ codes.T, np.minimum(INTEGERS, INTEGERS.T))


@pytest.mark.parametrize("base", [2, 3, 10])
def test_gray_neighbours_differ_in_one_digit(base: int) -> None:
    codes = Binary(base=base, gray=True).fit_transform(INTEGERS)
    assert ((codes[1:] != codes[:-1]).sum(axis=1) == 1).all()


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("base", [2, 3, 10])
def test_digits_are_read_back(base: int, gray: bool) -> None:
    encoder = Binary(base=base, gray=gray).fit(INTEGERS)
    assert np.array_equal(encoder.inverse_transform(encoder.transform(INTEGERS)), INTEGERS)


def test_binary_is_python_s() -> None:
    codes = Binary().fit_transform(INTEGERS)
    assert ["".join(map(str, map(int, row))) for row in codes] == [f"{x:07b}" for x in range(97)]


def test_residues_by_the_chinese_remainder_theorem() -> None:
    encoder = Residue(moduli=(5, 7, 8, 9)).fit(INTEGERS)
    large = np.array([[2519.0], [1234.0]])
    assert np.array_equal(encoder.inverse_transform(encoder.transform(large)), large)
    assert encoder.transform(large).sum() == 8
    with pytest.raises(ValueError, match="coprime"):
        Residue(moduli=(4, 6)).fit(INTEGERS).inverse_transform(np.zeros((1, 10)))


def test_scalar_overlap_falls_by_one_bit_a_bucket() -> None:
    codes = Scalar(active_bits=21, resolution=1, minimum=0, maximum=96).fit_transform(INTEGERS)
    assert np.array_equal(codes @ codes.T, np.maximum(0, 21 - np.abs(INTEGERS - INTEGERS.T)))


def test_periodic_scalar_wraps_around() -> None:
    codes = Scalar(size=97, active_bits=5, minimum=0, maximum=97, periodic=True).fit_transform(INTEGERS)
    around = np.abs(INTEGERS - INTEGERS.T)
    assert np.array_equal(codes @ codes.T, np.maximum(0, 5 - np.minimum(around, 97 - around)))


def test_scalar_widths_agree() -> None:
    x = np.array([[0.0], [3.0], [10.0]])
    by_size = Scalar(size=25, active_bits=5, minimum=0, maximum=10).fit_transform(x)
    by_resolution = Scalar(resolution=0.5, active_bits=5, minimum=0, maximum=10).fit_transform(x)
    by_radius = Scalar(radius=2.5, active_bits=5, minimum=0, maximum=10).fit_transform(x)
    by_sparsity = Scalar(size=25, sparsity=0.2, minimum=0, maximum=10).fit_transform(x)
    assert np.array_equal(by_size, by_resolution)
    assert np.array_equal(by_size, by_radius)
    assert np.array_equal(by_size, by_sparsity)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"size": 30, "radius": 2.0}, "'radius' parameter of Scalar must be None"),
        ({"size": 30, "active_bits": 3, "sparsity": 0.1}, "'sparsity' parameter of Scalar must be None"),
        ({"sparsity": 0.1}, "unless size is given"),
        ({"periodic": True}, "given for a periodic code"),
        ({"minimum": 3, "maximum": 3}, "above minimum=3"),
        ({"size": 10, "active_bits": 10}, "must be below the 10 bits"),
        ({"resolution": 0.0}, "a number > 0"),
    ],
)
def test_scalar_refuses(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scalar(**parameters).fit([[0.0], [5.0]])


def test_rdse_overlap() -> None:
    codes = RDSE(size=4000, active_bits=20, resolution=1).fit_transform(INTEGERS)
    overlap, distance = codes @ codes.T, np.abs(INTEGERS - INTEGERS.T)
    near = distance < 20
    assert (overlap[near] >= np.broadcast_to(20 - distance, overlap.shape)[near] - 2).all()
    assert overlap[distance > 30].mean() < 0.3
    assert np.array_equal(
        RDSE(resolution=2.0).fit_transform([[3.1], [4.9]])[0], RDSE(resolution=1).fit_transform([[2.0]])[0]
    )


def test_random_rows_do_not_depend_on_how_many_there_are() -> None:
    few, many = Random(n=30).fit_transform([[0.0], [5.0]]), Random(n=30).fit_transform(INTEGERS)
    assert np.array_equal(few, many[[0, 5]])
    assert set(np.unique(Random(n=30, distribution="bipolar").fit_transform(INTEGERS))) == {-1.0, 1.0}
    assert abs(Random(n=500).fit_transform(INTEGERS).std() - 1) < 0.02


def test_phasor_products_add_modulo_p() -> None:
    encoder = PairEncoder(Phasor(n=16, modulus=97)).fit(PAIRS)
    products = encoder.transform(PAIRS)
    sums = PAIRS.sum(axis=1) % 97
    direct = Phasor(n=16, modulus=97).fit(INTEGERS).transform(sums[:, np.newaxis].astype(float))
    assert np.abs(products - direct).max() < 1e-5


def test_onehot_beyond_the_fitted_range() -> None:
    with pytest.raises(ValueError, match="codes for numbers from 0 to 3, got 4"):
        OneHot().fit([[3.0]]).transform([[4.0]])


# SDRify


@pytest.mark.parametrize("k", [1, 7, 20])
def test_sdr_keeps_exactly_k(k: int) -> None:
    x = np.random.default_rng(0).normal(size=(30, 20)).astype(np.float32)
    codes = SDRify(k=k).fit_transform(x)
    assert (codes.sum(axis=1) == k).all()
    kept = np.where(codes == 1, x, np.inf).min(axis=1)
    lost = np.where(codes == 0, x, -np.inf).max(axis=1)
    assert (kept >= lost).all()


def test_sdr_ties_go_to_the_lower_position() -> None:
    assert top_k(np.array([[1.0, 2.0, 2.0, 2.0, 0.0]]), 2).tolist() == [[1, 2]]
    x = np.random.default_rng(0).integers(0, 3, size=(50, 40)).astype(float)
    codes = SDRify(k=9).fit_transform(x)
    for row, code in zip(x, codes, strict=True):
        expected = sorted(range(40), key=lambda i: (-row[i], i))[:9]
        assert sorted(expected) == np.flatnonzero(code).tolist()


def test_sdr_values_and_slots() -> None:
    x = np.array([[3.0, 1.0, 2.0, 5.0, 4.0, 6.0]])
    assert SDRify(k=2, mode="values").fit_transform(x).tolist() == [[0, 0, 0, 5, 0, 6]]
    assert SDRify(k=1, slots=2).fit_transform(x).tolist() == [[1, 0, 0, 0, 0, 1]]
    assert SDRify(k=0.5).fit_transform(x).sum() == 3


@pytest.mark.parametrize("k", [0, 7, -1, 1.5, True, "3"])
def test_sdr_refuses_an_impossible_k(k: Any) -> None:
    with pytest.raises(ValueError, match=r"The 'k' parameter of SDRify must be in \[1, 6\]"):
        SDRify(k=k).fit(np.zeros((1, 6)))


# PairEncoder


def test_the_code_of_a_sum_is_sparsified_after_adding() -> None:
    clocks = Cycle(n=60, period=(2, 10)).fit(INTEGERS)
    z = clocks.transform(INTEGERS)
    encoder = PairEncoder(Cycle(n=60, period=(2, 10)), "sum", 30).fit(PAIRS)
    a, b = PAIRS[:, 0], PAIRS[:, 1]
    assert np.array_equal(encoder.transform(PAIRS), SDRify(k=30).fit_transform(z[a] + z[b]))
    names = encoder.get_feature_names_out()
    assert (names[0], len(names)) == ("sum_0", 60)


@pytest.mark.parametrize("combine", ["sum", "product"])
def test_twins_share_a_code_where_the_combination_commutes(combine: Any) -> None:
    encoder = PairEncoder(Cycle(n=60, period=(2, 10)), combine, 30).fit(PAIRS)
    assert np.array_equal(encoder.transform(PAIRS), encoder.transform(PAIRS[:, ::-1]))


def test_three_columns() -> None:
    triples = np.random.default_rng(0).integers(0, 9, size=(40, 3))
    for combine in ("concat", "sum"):
        encoder = PairEncoder(Cycle(n=20, period=(2, 10)), combine, 5).fit(triples)
        codes = encoder.codes(triples)
        assert np.array_equal(codes.dense(), encoder.transform(triples))
        assert np.array_equal(codes.take([3, 1]).dense(), encoder.transform(triples[[3, 1]]))


def test_default_pipelines_belong_to_the_encoder() -> None:
    cycle = PairEncoder(Cycle(period=(2, 10))).fit(PAIRS)
    assert (cycle.combine_, cycle.sdr_, cycle.n_slots_) == ("sum", 200, 1)
    onehot = PairEncoder(OneHot()).fit(PAIRS)
    assert (onehot.combine_, onehot.sdr_, onehot.n_slots_) == ("concat", None, 2)
    assert list(PairEncoder(OneHot()).fit([[0, 1]]).get_feature_names_out(["a", "b"])) == ["a_0", "a_1", "b_0", "b_1"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"combine": "mean"}, "'combine' parameter of PairEncoder"), ({"sdr": "all"}, "'sdr' parameter of PairEncoder")],
)
def test_pair_encoder_refuses(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PairEncoder(OneHot(), **parameters).fit(PAIRS)


def test_codes_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"must be in \[0, 2\)"):
        encoders.Codes(np.eye(2), [[2]])
    with pytest.raises(ValueError, match="takes a table"):
        encoders.Codes(np.eye(2), [0, 1])


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="Nonesuch"):
        _ = encoders.Nonesuch
    assert {"Codes", "PairEncoder", "Cycle", "RDSE"} <= set(dir(encoders))
    assert "cycle" not in dir(encoders)


# What other people's data is like


TENTHS = np.arange(300)[:, np.newaxis] / 10


@pytest.mark.parametrize(
    "encoder",
    [
        Thermometer(size=300, minimum=0, maximum=30),
        Scalar(resolution=0.1, minimum=0, maximum=30, periodic=True),
        Scalar(resolution=0.1, minimum=0, maximum=30),
    ],
)
def test_decimals_that_rounding_makes_miss_their_step_have_codes_of_their_own(encoder: Any) -> None:
    """0.3 / 0.1 is 2.9999999999999996."""
    assert len(np.unique(encoder.fit_transform(TENTHS), axis=0)) == 300


def test_large_numbers_stay_in_their_buckets() -> None:
    clock = Scalar(periodic=True, minimum=0, maximum=10, resolution=1, active_bits=1)
    for x in (1e9 + 0.6, 1e6 + 0.9995):
        assert clock.fit_transform([[x]]).argmax() == int(x) % 10
    assert Thermometer(resolution=1).fit_transform([[1e17], [1e17]]).tolist() == [[0.0], [0.0]]
    assert Thermometer(size=4, minimum=0, maximum=1).fit_transform([[1e308], [-1e308]]).sum(axis=1).tolist() == [4, 0]


def test_thermometer_counts_decimal_steps() -> None:
    codes = Thermometer(size=10, minimum=0, maximum=1).fit_transform([[0.2], [0.3], [0.35], [1.0]])
    assert codes.sum(axis=1).tolist() == [2, 3, 3, 10]


@pytest.mark.parametrize("kind", [Scalar, Thermometer])
def test_one_bound_beyond_all_data_is_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"'maximum' parameter of \w+ must be at least 50, the smallest value"):
        kind(maximum=40).fit([[50.0], [60.0]])
    with pytest.raises(ValueError, match=r"'minimum' parameter of \w+ must be at most 60, the largest value"):
        kind(minimum=100).fit([[50.0], [60.0]])
    assert kind(minimum=0, maximum=40).fit([[50.0]]).columns_[0].maximum_ == 40


def test_dates_are_refused() -> None:
    days = np.arange("2024-01-01", "2024-01-05", dtype="datetime64[D]")[:, np.newaxis]
    for encoder in (Cycle(period=2), Fourier(24)):
        with pytest.raises(ValueError, match="takes numbers, got dates or durations"):
            encoder.fit(days)
        with pytest.raises(ValueError, match="takes numbers, got dates or durations"):
            encoder.fit([[1.0]]).transform(days - days[0])
    with pytest.raises(ValueError, match="takes numbers, got dates or durations"):
        PairEncoder(Cycle(period=2)).fit(days.repeat(2, axis=1))
    with pytest.raises(ValueError, match="takes numbers, got dates or durations"):
        Cycle(period=2).fit([[np.datetime64("2020-01-01")]])
    with pytest.raises(ValueError, match="takes numbers, got dates or durations"):
        Cycle(period=2).fit(pd.DataFrame({"t": pd.date_range("2024-01-01", periods=3, tz="UTC")}))
    with pytest.raises(ValueError, match=r"counts up to 2\^53 turns"):
        Cycle(period=2).fit_transform([[1e18]])


HOURS = [datetime(2024, 1, 1, hour) for hour in range(3)]
REFUSED: dict[str, Any] = {
    "datetimes": [[hour] for hour in HOURS],
    "dates": [[hour.date()] for hour in HOURS],
    "times": [[hour.time()] for hour in HOURS],
    "durations": [[hour - HOURS[0]] for hour in HOURS],
    "late": [[1.0], [2.0], [HOURS[0]]],
    "objects": np.array([[hour] for hour in HOURS], dtype=object),
    "timestamps": np.array([[pd.Timestamp(hour)] for hour in HOURS], dtype=object),
    "arrays": [np.array([np.datetime64(hour)]) for hour in HOURS],
    "periods": pd.DataFrame({"t": pd.period_range("2024-01", periods=3, freq="M")}),
    "frame of objects": pd.DataFrame({"x": [1.0, 2.0, 3.0], "t": pd.Series(HOURS, dtype=object)}),
    "polars": pl.DataFrame({"x": [1.0, 2.0, 3.0], "t": HOURS}),
    "polars durations": pl.DataFrame({"t": [hour - HOURS[0] for hour in HOURS]}),
    "pyarrow": pa.table({"t": HOURS}),
    "pyarrow dates": pa.table({"x": [1.0, 2.0, 3.0], "t": [hour.date() for hour in HOURS]}),
}


@pytest.mark.parametrize("times", REFUSED.values(), ids=REFUSED)
def test_dates_of_every_library_are_refused(times: Any) -> None:
    """As numbers, every hour of a day had the code (1, 0). More kinds of them: `tests/test_calendar.py`."""
    with pytest.raises(ValueError, match="takes numbers, got dates or durations"):
        Fourier(24).fit(times)


@pytest.mark.parametrize(
    "numbers",
    [
        [[1], [2]],
        np.array([[1], [2.5]], dtype=object),
        pd.DataFrame({"time": [1, 2]}),
        pl.DataFrame({"time": [1, 2]}),
        pa.table({"date": [1.0, 2.5]}),
    ],
)
def test_numbers_of_every_library_are_taken(numbers: Any) -> None:
    assert Fourier(24, harmonics=1).fit_transform(numbers).shape == (2, 2)


def test_fitting_refuses_what_transforming_would() -> None:
    with pytest.raises(ValueError, match="codes for numbers from 0 to 23, got 30"):
        OneHot(n_values=24).fit([[30]])
    with pytest.raises(ValueError, match="codes for numbers from 0 to 3, got 30"):
        Binary(n_digits=2).fit([[30]])


def test_reading_back_takes_as_many_columns_as_were_fitted() -> None:
    encoder = OneHot().fit([[7]])
    with pytest.raises(ValueError, match=r"reads back codes \(n, 8\), got shape \(1, 16\)"):
        encoder.inverse_transform(np.zeros((1, 16)))
    assert encoder.inverse_transform(np.zeros((0, 8))).shape == (0, 1)


def test_large_identifiers_cost_no_names() -> None:
    encoder = OneHot(sparse_output=True).fit([[10**9]])
    assert len(pickle.dumps(encoder)) < 5_000
    assert encoder.transform([[10**9]]).shape == (1, 10**9 + 1)
    assert list(OneHot().fit([[2]]).get_feature_names_out(["x"])) == ["x_0", "x_1", "x_2"]


def test_codes_are_refused_that_are_none() -> None:
    with pytest.raises(ValueError, match="The index of Codes must be integers, got float64"):
        Codes(np.eye(3), [[0.7, 1.9]])
    assert len(Codes(np.eye(3), np.zeros((0, 2)))) == 0


def test_codes_go_through_cross_validation() -> None:
    pairs = np.stack(np.meshgrid(np.arange(6), np.arange(6)), axis=-1).reshape(-1, 2)
    codes, answers = PairEncoder(OneHot()).fit(pairs).codes(pairs), pairs[:, 0] % 2
    assert codes.shape == codes.dense().shape
    assert np.array_equal(codes[3:7].dense(), codes.dense()[3:7])
    assert repr(codes) == "Codes(36 examples of 2 of 6 codes, 6 features)"
    assert cross_val_score(Ridge(), codes, answers, cv=3).min() == 1.0


@pytest.mark.parametrize("encoder", [make_pipeline(OneHot()), OneHot, StandardScaler()])
def test_pairs_are_of_an_encoder(encoder: Any) -> None:
    with pytest.raises(ValueError, match="'encoder' parameter of PairEncoder must be an encoder of single numbers"):
        PairEncoder(encoder, combine="concat", sdr=None).fit([[1, 2]])


@pytest.mark.parametrize("kind", [partial(Cycle, period=7), Random, partial(Phasor, modulus=7), RDSE])
def test_seeds_are_what_scikit_learn_takes(kind: Any) -> None:
    for seed in (-1, 2**70, 1.5, np.random.default_rng(0)):
        with pytest.raises(ValueError, match=r"'random_state' parameter of \w+ must be"):
            kind(random_state=seed).fit([[3]])
    drawn = [kind(random_state=np.random.RandomState(seed)).fit_transform([[3], [4]]) for seed in (1, 1, 2)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert kind(random_state=None).fit_transform([[3]]).shape[0] == 1


def test_features_have_different_names() -> None:
    with pytest.raises(ValueError, match="'harmonics' parameter of Fourier must be different integers"):
        Fourier(24, (1, 1)).fit([[1]])
    with pytest.raises(ValueError, match="'moduli' parameter of Residue must be different integers"):
        Residue((3, 3)).fit([[1]])
