"""What the probes read of a code, and what they cannot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Finished

import bench
from bench.cli._tables.records import print_records
from bench.harness.probes import PROBES, cached_probes, matched_products, probes
from bench.results.store import Store
from bench.scheduling.rerun import rerun
from bench.specs.cell import Cell, prepare
from bench.specs.resolve import resolve
from encoders import OneHot, Residue


def made(encoder: str, **request: Any) -> Cell:
    [spec] = resolve(encoder=encoder, learner="ridge", **request)
    return prepare(spec)


def test_products_of_two_phasors_hold_the_phasor_of_the_sum() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 2 * np.pi, (2, 5, 3))
    slots = [np.concatenate([np.cos(x), np.sin(x)], axis=1) for x in (a, b)]
    cos_cos, cos_sin, sin_sin = np.split(matched_products(slots, np.tile(np.arange(3), 2), True)[:, _by_kind(3)], 3, 1)
    np.testing.assert_allclose(cos_cos - sin_sin, np.cos(a + b))
    np.testing.assert_allclose(2 * cos_sin, np.sin(a + b))


def _by_kind(blocks: int) -> list[int]:
    """From cc, cs, ss of one block after the other to all cc, all cs, all ss."""
    return [3 * block + kind for kind in range(3) for block in range(blocks)]


def test_products_are_of_one_block_and_know_the_order_where_it_matters() -> None:
    a, b, blocks = np.array([[2.0, 3.0, 5.0]]), np.array([[7.0, 11.0, 13.0]]), np.array([0, 0, 1])
    assert matched_products([a, b], blocks, False).tolist() == [[14.0, 22.0, 21.0, 33.0, 65.0]]
    assert matched_products([a, b], blocks, True).tolist() == [[14.0, 21.5, 33.0, 65.0]]
    assert matched_products([a], blocks, False).tolist() == [[4.0, 6.0, 9.0, 25.0]]  # one slot with itself


def test_one_slot_of_zeros_and_ones_is_its_own_product() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (20, 8)).astype(np.float32)
    np.testing.assert_array_equal(matched_products([bits], np.arange(8), False), bits)


def test_blocks_that_would_cost_too_much_are_taken_apart() -> None:
    """97 remainders of one modulus would be 9,409 products."""
    codes = Residue(moduli=(97,)).fit([[0]])
    slots = [codes.transform([[x]]) for x in (3, 4)]
    assert matched_products(slots, codes.feature_blocks(), False).shape == (1, 97)
    assert matched_products(slots, OneHot(n_values=97).fit([[0]]).feature_blocks(), False).shape == (1, 97)


@pytest.mark.parametrize("task", ["add", "subtract"])
@pytest.mark.parametrize(("encoder", "lowest", "highest"), [("phasor", 1.0, 1.0), ("residue", 0.55, 0.67)])
def test_concatenated_codes_give_away_what_a_linear_readout_cannot_see(
    encoder: str, lowest: float, highest: float, task: str
) -> None:
    """Of a + b mod 97 by 5 seeds: phasor 100 %, residue 58 to 60 %, fourier 34 to 39 %, onehot below chance."""
    found = probes(made(encoder, combine="concat", task=task))
    assert found["ridge"] is not None
    assert found["bilinear"] is not None
    assert found["ridge"] < 0.03
    assert lowest <= found["bilinear"] <= highest


def test_products_cannot_read_codes_that_share_nothing() -> None:
    found = probes(made("onehot"))
    assert found["bilinear"] is not None
    assert found["bilinear"] < 0.03


def test_probes_remembered_by_an_earlier_version_are_made_anew(tmp_path: Path) -> None:
    cell = made("phasor", combine="concat", modulus=11)
    found = cached_probes(cell, tmp_path)
    [path] = tmp_path.glob("*.probes")
    path.write_text(json.dumps({"ridge": found["ridge"], "knn": found["knn"]}))
    assert cached_probes(cell, tmp_path) == found
    assert set(json.loads(path.read_text())) == set(PROBES)


def test_records_without_the_third_probe_are_read_compared_and_extended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "results": tmp_path, "device": "cpu"}
    [record] = bench.run(**request, steps=4)
    assert set(record["probes"]) == set(PROBES)
    path = tmp_path / f"{record['id']}.json"
    path.write_text(json.dumps(record | {"probes": {name: record["probes"][name] for name in ("ridge", "knn")}}))
    [stored] = Store(tmp_path).records()
    assert "bilinear" not in stored["probes"]
    print_records([stored], str(tmp_path))
    assert "bilinear" in capsys.readouterr().out
    assert rerun(stored["id"], results=tmp_path).same
    [longer] = bench.run(**request, steps=8)
    assert longer["final"]["step"] == 8
    assert longer["probes"] == record["probes"]


def test_a_table_of_runs_fits_120_columns(tmp_path: Path, command: Any) -> None:
    done: Finished = command(
        *("run", "--encoder", "onehot", "--learner", "quadratic", "--pairs", "ordered", "--steps", "60"),
        *("--modulus", "13", "--seeds", "2", "--device", "cpu", "--results", tmp_path, "--quiet"),
    )
    [head] = [line for line in done.out.splitlines() if "1-NN" in line and "held" in line]
    assert "bilinear" in head
    assert len(head) <= 120
