"""Journals that are damaged: at the end, where the rest goes on, and in the middle, where the doctor mends them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import optuna
import pytest
from hypothesis import strategies as st

from bench.tuning.storage.lines import faults_of, split
from bench.tuning.storage.mending import mended
from bench.tuning.storage.open import default_url, open_storage

FROZEN = Path(__file__).parent / "frozen" / "results" / "studies.journal"
DISTRIBUTIONS: dict[str, Any] = {
    "lr": optuna.distributions.FloatDistribution(1e-4, 1.0, log=True),
    "kind": optuna.distributions.CategoricalDistribution(["a", None]),
}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna.logging, "_default_handler", None)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def make(folder: Path) -> bytes:
    """The journal of three studies that two processes work on in turns; each trial writes lines of its own."""
    url = default_url(folder)
    here, there = open_storage(url), open_storage(url)
    studies = [
        optuna.create_study(study_name=name, storage=storage, directions=directions)
        for name, storage, directions in (
            ("one", here, ["maximize"]),
            ("two", there, ["minimize", "maximize"]),
            ("three", there, ["minimize"]),
        )
    ]
    studies[0].set_user_attr("what", json.dumps({"objective": ["accuracy"]}))
    for turn in range(3):
        for study in (studies[0], studies[1 + turn % 2]):
            trials = [study.ask(DISTRIBUTIONS) for _ in range(2)]
            for number, trial in enumerate(trials):
                trial.set_user_attr("steps", 10 * turn + number)
                if len(study.directions) == 1:
                    trial.report(0.5, 1)
                study.tell(trial, [0.25 * number] * len(study.directions))
    studies[2].set_user_attr("last", 1)
    studies[0].ask(DISTRIBUTIONS)
    return (folder / "studies.journal").read_bytes()


def trials_of(content: bytes, folder: Path) -> dict[tuple[str, int], Any]:
    """All trials of a journal, by the name of their study and their number."""
    folder.mkdir(exist_ok=True)
    (folder / "studies.journal").write_bytes(content)
    storage = open_storage(default_url(folder))
    studies = storage.get_all_studies()
    return {(s.study_name, t.number): t for s in studies for t in storage.get_all_trials(s._study_id)}


def owners(lines: list[bytes]) -> list[int | None]:
    """The id of the trial that each line is of."""
    found: list[int | None] = []
    created = 0
    for line in lines:
        log = json.loads(line)
        found.append(created if log["op_code"] == 4 else log.get("trial_id"))
        created += log["op_code"] == 4
    return found


DAMAGE: dict[str, Callable[[bytes, int], bytes]] = {
    "NULs": lambda line, at: bytes(len(line) - 1) + b"\n",
    "NULs to the next line": lambda line, at: bytes(len(line)),
    "half a line": lambda line, at: line[:at] + b"\n",
    "half a line before the next": lambda line, at: line[:at],
    "the other half": lambda line, at: line[at:],
    "junk": lambda line, at: b"junk\n",
    "other bytes": lambda line, at: line[:at] + b"\xff\xfe" + line[at:],
    "nothing": lambda line, at: b"\n",
    "another document": lambda line, at: b"[1]\n",
    "no operation": lambda line, at: b'{"op_code":99,"worker_id":"a"}\n',
    "too little": lambda line, at: line.partition(b',"worker_id"')[0] + b',"worker_id":"a"}\n',
}


@pytest.fixture(scope="module")
def journals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return [FROZEN.read_bytes(), make(tmp_path_factory.mktemp("made"))]


@hypothesis.settings(
    max_examples=150,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(st.integers(0, 1), st.floats(0, 1), st.sampled_from(sorted(DAMAGE)), st.floats(0, 1))
def test_any_one_line_may_be_damaged(
    tmp_path: Path, journals: list[bytes], which: int, where: float, kind: str, cut: float
) -> None:
    """Mended, the journal opens, and every trial of whose lines none is damaged is as before."""
    lines = split(journals[which])
    place = min(int(where * len(lines)), len(lines) - 2)
    check(lines, place, DAMAGE[kind](lines[place], 1 + int(cut * (len(lines[place]) - 3))), tmp_path)


def check(lines: list[bytes], place: int, damage: bytes, folder: Path) -> None:
    owner, damaged = owners(lines), b"".join([*lines[:place], damage, *lines[place + 1 :]])
    before = trials_of(b"".join(lines), folder / "before")
    content, losses = mended(split(damaged))
    if content == damaged:  # the half of a line that is left may be a line
        assert not [*faults_of(split(damaged))]
        return
    assert len(losses) == 1
    assert losses[0].startswith(f"line {place + 1:,} (")
    assert [*faults_of(split(content))] == []
    after = trials_of(content, folder / "after")
    names = {study for study, _ in before}
    created = json.loads(lines[place])["op_code"] == 0
    lost = json.loads(lines[place])["study_name"] if created else None
    renamed = next((study for study, _ in after if study not in names), lost)
    for (study, number), trial in before.items():
        if trial._trial_id != owner[place]:
            again = after[renamed if study == lost else study, number]
            assert again == trial
            assert again._trial_id == trial._trial_id
        else:
            assert (study, number) in after


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_kind_of_line_may_be_damaged(tmp_path: Path, journals: list[bytes], kind: str) -> None:
    lines = split(journals[1])
    first = {json.loads(line)["op_code"]: place for place, line in reversed([*enumerate(lines)])}
    assert first.keys() >= {0, 2, 4, 5, 6, 7, 8}
    for place in first.values():
        check(lines, place, DAMAGE[kind](lines[place], len(lines[place]) // 2), tmp_path)
