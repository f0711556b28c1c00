"""Every encoder keeps the contract. A new one joins by existing."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from contract import (
    check_by_scikit_learn,
    check_constructor_only_assigns,
    check_documented,
    check_search_space,
    discovered,
)
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from bench.recipes import golden
from bench.specs import registry
from encoders import Encoder, Invertible, PairEncoder

every_encoder = pytest.mark.parametrize("name", discovered("encoder"))
X = np.array([[0.0, 3.0], [5.0, 0.0], [12.0, 7.0], [7.0, 7.0]])


def small(name: str) -> Encoder:
    cls: Any = registry.encoder(name)
    return cls(**cls.example)


@every_encoder
def test_scikit_learn_checks(name: str) -> None:
    encoder = small(name)
    check_by_scikit_learn(encoder, type(encoder).inapplicable_checks, at_least=45)


@every_encoder
def test_documentation(name: str) -> None:
    check_documented(registry.encoder(name))


@every_encoder
def test_constructor_only_assigns(name: str) -> None:
    check_constructor_only_assigns(registry.encoder(name))


@every_encoder
def test_search_space(name: str) -> None:
    check_search_space(registry.encoder(name))


@every_encoder
def test_named_by_its_module(name: str) -> None:
    cls = registry.encoder(name)
    assert cls.__module__.rpartition(".")[2].replace("_", "") == cls.__name__.lower()


@every_encoder
def test_tags(name: str) -> None:
    encoder = small(name)
    assert encoder.domain in ("categorical", "real")
    assert encoder.default_combine in ("concat", "sum", "product")
    assert encoder.default_sdr is None or encoder.default_sdr >= 1
    assert encoder.knows_modulus in (True, False)
    if encoder.knows_modulus:
        assert 97.0 in encoder.periods
    else:
        assert 97.0 not in encoder.periods


@every_encoder
def test_shape_and_type(name: str) -> None:
    encoder = small(name).fit(X)
    codes = encoder.transform(X)
    assert codes.dtype == np.float32
    assert codes.shape == (4, encoder.code_size_)
    assert np.isfinite(codes).all()


@every_encoder
def test_each_column_has_the_code_that_it_has_alone(name: str) -> None:
    together = small(name).fit(X)
    codes, stop = together.transform(X), 0
    for place in range(2):
        alone = small(name).fit(X[:, [place]])
        start, stop = stop, stop + alone.code_size_
        assert np.array_equal(codes[:, start:stop], alone.transform(X[:, [place]]))
    assert stop == together.code_size_


@every_encoder
def test_a_row_does_not_depend_on_its_batch(name: str) -> None:
    encoder = small(name).fit(X)
    assert np.array_equal(encoder.transform(X)[1:2], encoder.transform(X[1:2]))


@every_encoder
def test_same_codes_every_time(name: str) -> None:
    first, second = small(name).fit_transform(X), clone(small(name)).fit_transform(X)
    assert np.array_equal(first, second)
    fitted = small(name).fit(X)
    assert np.array_equal(first, pickle.loads(pickle.dumps(fitted)).transform(X))


@every_encoder
def test_different_values_have_different_codes(name: str) -> None:
    codes = small(name).fit_transform(np.arange(13.0)[:, np.newaxis])
    assert len(np.unique(codes, axis=0)) == 13


@every_encoder
def test_random_state_seeds_the_codes(name: str) -> None:
    encoder = small(name)
    if "random_state" not in encoder.get_params():
        return
    encoder.set_params(random_state=1)
    other = clone(encoder).set_params(random_state=2)
    assert not np.array_equal(encoder.fit_transform(X), other.fit_transform(X))


@every_encoder
def test_pandas_and_feature_names(name: str) -> None:
    frame = pd.DataFrame(X, columns=["a", "b"])
    encoder = small(name).set_output(transform="pandas")
    out = encoder.fit_transform(frame)
    assert list(out.columns) == list(encoder.get_feature_names_out())
    assert out.columns[0].startswith("a_")
    assert out.columns[-1].startswith("b_")
    assert out.columns.is_unique
    assert np.array_equal(out.to_numpy(), small(name).fit_transform(X))


@every_encoder
def test_every_feature_is_in_a_block(name: str) -> None:
    encoder = small(name).fit(X)
    blocks = encoder.feature_blocks()
    assert blocks.shape == (encoder.code_size_,)
    assert blocks.dtype.kind == "i"


@every_encoder
def test_in_a_column_transformer_and_a_pipeline(name: str) -> None:
    frame = pd.DataFrame({"hour": [0, 6, 12, 1, 7, 11], "other": [0.1, 0.5, 0.3, 0.2, 0.4, 0.6]})
    columns = ColumnTransformer([("hour", small(name), ["hour"])], remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression()).fit(frame, [0, 1, 1, 0, 1, 1])
    assert model.predict(frame).shape == (6,)
    names = columns.get_feature_names_out()
    assert names[0].startswith("hour__hour_")
    assert names[-1] == "remainder__other"


@every_encoder
def test_sparse_output_is_the_same_code(name: str) -> None:
    encoder = small(name)
    if "sparse_output" not in encoder.get_params():
        return
    if name == "random":  # of its codes one kind alone is sparse
        encoder.set_params(distribution="k-of-n", active_bits=4)
    dense = encoder.fit_transform(X)
    codes = clone(encoder).set_params(sparse_output=True).fit_transform(X)
    assert sparse.issparse(codes)
    assert codes.dtype == np.float32
    assert np.array_equal(codes.toarray(), dense)


@every_encoder
def test_inverse(name: str) -> None:
    encoder = small(name)
    integers = np.arange(13.0)[:, np.newaxis]
    if not isinstance(encoder, Invertible):
        assert not hasattr(encoder, "inverse_transform")
        return
    pairs = np.concatenate([integers, integers[::-1]], axis=1)
    codes = encoder.fit(pairs).transform(pairs)
    assert np.abs(encoder.inverse_transform(codes) - pairs).max() < 1e-4
    with pytest.raises(ValueError, match=type(encoder).__name__):
        encoder.inverse_transform(np.zeros((2, encoder.code_size_ + 1)))


@every_encoder
def test_domain(name: str) -> None:
    encoder = small(name).fit([[0.0], [9.0]])
    if encoder.domain == "real":
        assert np.isfinite(encoder.transform([[2.5]])).all()
        assert np.isfinite(encoder.transform([[-3.25]])).all()
        return
    for wrong in (2.5, -1.0):
        with pytest.raises(ValueError, match=f"{type(encoder).__name__} takes the integers"):
            encoder.transform([[wrong]])


@every_encoder
@pytest.mark.parametrize("combine", ["concat", "sum", "product"])
def test_as_pairs(name: str, combine: Any) -> None:
    pairs = np.array([[a, b] for a in range(7) for b in range(7)])
    encoder = PairEncoder(small(name), combine, sdr=None).fit(pairs)
    codes = encoder.codes(pairs)
    assert np.array_equal(codes.dense(), encoder.transform(pairs))
    assert codes.n_slots == (2 if combine == "concat" else 1)
    assert len(codes.table_UF) == (7 if combine == "concat" else 28)


@every_encoder
def test_golden(name: str) -> None:
    path = golden.path("encoder", name, Path(__file__).parent / "golden")
    assert path.exists(), "a new plugin: `make golden` keeps its first codes"
    stored, now = json.loads(path.read_text()), golden.trajectory("encoder", name)
    assert stored["version"] == now["version"], "a new version: `make golden` keeps its codes"
    assert np.allclose(stored["numbers"], now["numbers"], atol=2e-5), "codes changed: raise `version`, `make golden`"
