"""Shards of a sweep: disjoint, complete, and merged the same as one sweep."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Finished

import bench
from bench.errors import RequestError
from bench.results import Store, merge_folders
from bench.scheduling.plan import Group
from bench.scheduling.planner import plan_sweep
from bench.scheduling.shards import in_shard, parse_shard

GRID: dict[str, Any] = {
    "encoder": "onehot",
    "modulus": 5,
    "grids": [
        {"learner": {"mlp": {"hidden_layer_sizes": [[6]]}}, "steps": 3, "seeds": 5},
        {"learner": "ridge", "seeds": 40},
        {"learner": "rfm", "steps": 2, "seeds": 20},
    ],
}
"""65 cells in 5 + 3 + 3 jobs."""


def shard_ids(number: int, of: int, results: Path) -> list[str]:
    planned = plan_sweep(GRID, results=results, shard=f"{number}/{of}")
    return [planned.id(index) for index in range(len(planned))]


@pytest.mark.usefixtures("inline")
def test_three_shards_are_merged_to_what_one_sweep_gives(tmp_path: Path) -> None:
    parts = [
        list(bench.sweep(GRID, results=tmp_path / str(number), shard=f"{number}/3", jobs=1)) for number in (1, 2, 3)
    ]
    ids = [{record["id"] for record in part} for part in parts]
    whole = {record["id"]: record for record in bench.sweep(GRID, results=tmp_path / "whole", jobs=1)}
    assert sum(map(len, ids)) == len(whole) == 65
    assert ids[0] | ids[1] | ids[2] == whole.keys()
    merge_folders([tmp_path / str(number) for number in (1, 2, 3)], into=tmp_path / "merged")
    merged = Store(tmp_path / "merged")
    assert set(merged.ids()) == whole.keys()
    for id, one in whole.items():
        other = merged.read(id)
        assert other is not None
        if one["spec"]["learner"]["name"] == "rfm":  # fleets of other sizes round differently
            assert np.allclose(one["curve"]["train_loss"], other["curve"]["train_loss"], rtol=1e-4)
        else:
            assert (one["curve"], one["final"]) == (other["curve"], other["final"])


@pytest.mark.usefixtures("inline")
def test_a_shard_does_not_depend_on_what_is_done(tmp_path: Path) -> None:
    before = [shard_ids(number, 4, tmp_path) for number in (1, 2, 3, 4)]
    list(bench.sweep(GRID, results=tmp_path, shard="2/4", jobs=1))
    assert [shard_ids(number, 4, tmp_path) for number in (1, 2, 3, 4)] == before
    left = [plan_sweep(GRID, results=tmp_path, shard=f"{number}/4").counts["done"] for number in (1, 2, 3, 4)]
    assert left == [0, len(before[1]), 0, 0]


def test_jobs_are_dealt_in_turn_and_alike_on_every_machine() -> None:
    group = np.array([0] * 20 + [1] * 3 + [0] * 4 + [2] * 20, dtype=np.int64)
    for fleet in (8, 256):  # of a CPU and of a GPU
        groups = [Group("rfm", "any", fleet, True), Group("mlp", "cpu", 1, False), Group("ridge", "cpu", 16, False)]
        found = [in_shard((number, 2), group, groups) for number in (0, 1)]
        jobs = [*[0] * 8, *[1] * 8, *[2] * 4, 3, 4, 5, *[2] * 4, *[6] * 16, *[7] * 4]
        assert [part.astype(int).tolist() for part in found] == [[int(job % 2 == k) for job in jobs] for k in (0, 1)]


def test_shards_on_the_command_line(command: Callable[..., Finished], tmp_path: Path) -> None:
    cells = ("sweep", "--encoder", "onehot", "--learner", "mlp", "--modulus", "5", "--seeds", "7", "--dry-run")
    where = ("--results", tmp_path / "r", "--json")
    found = [command(*cells, "--shard", f"{number}/24", *where).json for number in range(1, 25)]
    assert [one["cells"] for one in found] == [1] * 7 + [0] * 17
    assert found[1]["name"] == "the options, shard 2/24"
    refused = command(*cells, "--shard", "25/24", *where)
    assert (refused.code, refused.error) == (2, "--shard must be K/N with 1 ≤ K ≤ N, as 2/24, got '25/24'.")


@pytest.mark.parametrize("text", ["", "0/3", "4/3", "1", "1/0", "a/b", "1/3/5", "-1/3", 3])
def test_what_is_no_shard_is_refused(text: Any) -> None:
    with pytest.raises(RequestError, match="`shard` must be K/N"):
        parse_shard(text)
