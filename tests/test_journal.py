"""Journals that are damaged: at the end, where the rest goes on, and in the middle, where the doctor mends them."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import hypothesis
import optuna
import pytest
from conftest import Finished
from hypothesis import strategies as st

from bench.errors import Notice, RequestError
from bench.results.leases import Lease
from bench.tuning.pictured import pictured_studies
from bench.tuning.storage.journal import JournalLock
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
    monkeypatch.setattr("bench.cli._look._examine", lambda folder: [])  # of the installation
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
    max_examples=100,
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


@hypothesis.settings(max_examples=40, derandomize=True)
@hypothesis.given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(sorted(DAMAGE))), max_size=6))
def test_however_many_lines_are_damaged_a_mended_journal_has_no_fault(
    journals: list[bytes], damage: list[tuple[float, str]]
) -> None:
    lines = split(journals[1])
    for where, kind in damage:
        place = int(where * (len(lines) - 1))
        lines[place] = DAMAGE[kind](lines[place], max(1, len(lines[place]) // 2))
    content, losses = mended(split(b"".join(lines)))
    again, more = mended(split(content))
    assert (again, more) == (content, [])
    assert bool(losses) == bool([*faults_of(split(b"".join(lines)))])


@hypothesis.settings(max_examples=60, derandomize=True)
@hypothesis.given(st.lists(st.binary(max_size=30) | st.just(b'{"op_code":4,"worker_id":"a","study_id":9}'), max_size=5))
def test_arbitrary_bytes_become_an_empty_journal_or_one_without_a_fault(lines: list[bytes]) -> None:
    content, _ = mended(split(b"\n".join(lines)))
    assert [*faults_of(split(content))] == []


def test_a_trial_that_has_lost_something_counts_as_failed(tmp_path: Path, journals: list[bytes]) -> None:
    """The last line of a trial may say what its parameter was: without it, it must not win."""
    lines, whole = split(journals[1]), trials_of(journals[1], tmp_path / "whole")
    place = next(i for i, line in enumerate(lines) if json.loads(line)["op_code"] == 5)
    trial = json.loads(lines[place])["trial_id"]
    cut = lines[place].index(b'"param_name"')
    content, [loss] = mended(split(b"".join([*lines[:place], lines[place][:cut] + b"\n", *lines[place + 1 :]])))
    assert loss.endswith("something of trial 0 of 'one', which counts as failed unless it was over before")
    after = trials_of(content, tmp_path / "after")
    states = {trial._trial_id: trial.state.name for trial in after.values()}
    assert states[trial] == "FAIL"
    assert {id: state for id, state in states.items() if id != trial} == {
        one._trial_id: one.state.name for one in whole.values() if one._trial_id != trial
    }


def test_a_study_that_has_lost_its_beginning_keeps_its_direction(tmp_path: Path, journals: list[bytes]) -> None:
    lines = split(journals[1])
    content, _ = mended([b"junk\n", *lines[1:]])
    trials_of(content, tmp_path)
    storage = open_storage(default_url(tmp_path))
    directions = {study.study_name: [d.name for d in study.directions] for study in storage.get_all_studies()}
    assert directions == {"damaged-0": ["MAXIMIZE"], "two": ["MINIMIZE", "MAXIMIZE"], "three": ["MINIMIZE"]}


@pytest.mark.parametrize("gone", [1, 2, 3, 20])
def test_a_journal_without_its_first_lines_is_refused_and_mended(
    tmp_path: Path, journals: list[bytes], command: Callable[..., Finished], gone: int
) -> None:
    """Optuna takes no notice of lines about what nobody has made: it would begin anew in silence."""
    path, lines = tmp_path / "studies.journal", split(journals[1])
    before, owner = trials_of(journals[1], tmp_path / "whole"), owners(lines)
    path.write_bytes(b"".join(lines[gone:]))
    for reading in (False, True):
        with pytest.raises(RequestError, match=r"line \d+ of .* \(it names (study|trial) \d, which no line before"):
            open_storage(default_url(tmp_path), reading)
    done = command("doctor", "--results", tmp_path, "--mend", "--json")
    [row] = [row for row in done.json["checks"] if row["check"] == "journal studies.journal"]
    assert "Lost: line 1 (lines before it are gone): the beginning of a study" in row["found"]
    after = {trial._trial_id: trial for trial in trials_of(path.read_bytes(), tmp_path).values()}
    untouched = {trial._trial_id for trial in before.values()} - {*owner[:gone]}
    assert {trial._trial_id for trial in before.values()} == {*after}
    for id, trial in ((trial._trial_id, trial) for trial in before.values() if trial._trial_id in untouched):
        assert (after[id].params, after[id].values, after[id].state) == (trial.params, trial.values, trial.state)


def test_the_frozen_journal_without_its_first_line_keeps_its_trials(tmp_path: Path, journals: list[bytes]) -> None:
    before = [*trials_of(journals[0], tmp_path / "before").values()]
    lines = split(journals[0])[1:]
    assert [fault.why for fault in faults_of(lines)] == ["it names study 0, which no line before it has made"]
    content, [loss] = mended(lines)
    assert loss.startswith("line 1 (lines before it are gone): the beginning of a study")
    assert [*trials_of(content, tmp_path / "after").values()] == before


def test_a_line_that_creates_a_trial_may_be_gone(journals: list[bytes]) -> None:
    lines = split(journals[1])
    place = max(i for i, line in enumerate(lines) if json.loads(line)["op_code"] == 4)
    rest = [*lines[:place], *lines[place + 1 :]]
    [fault] = faults_of(rest)
    content, [loss] = mended(rest)
    assert loss.startswith(f"line {fault.number:,} (lines before it are gone): the beginning of trial")
    assert [*faults_of(split(content))] == []
    rest[-1] = b'{"op_code":8,"worker_id":"a","trial_id":123456789,"user_attr":{}}\n'
    assert mended(rest)[1][-1].endswith("(it names what no line before it has made): it is left out")


def test_a_number_in_a_damaged_line_may_be_long(journals: list[bytes]) -> None:
    lines = split(journals[1])
    for key in ("study_id", "trial_id"):
        lines[10] = b'{"op_code":5,"worker_id":"a","' + key.encode() + b'":' + b"7" * 5000 + b',"x\n'
        assert [*faults_of(split(mended(lines)[0]))] == []


ENDS = {
    "NULs": bytes(4096),
    "half a line": b'{"op_code":5,"worker_id":"a","tri',
    "half a line and NULs": b'{"op_code":5,"worker' + bytes(100),
    "several lines": b"junk\n\xff\xfe\n\0\0\n",
    "a line of another kind": b"[1]\n",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_a_damaged_end_is_cut_off_and_kept_and_who_reads_leaves_it(
    tmp_path: Path, journals: list[bytes], end: bytes
) -> None:
    url, path = default_url(tmp_path), tmp_path / "studies.journal"
    path.write_bytes(journals[1] + end)
    with pytest.warns(Notice, match=f"--results {tmp_path} --mend cuts them off and keeps a copy"):
        assert [len(found.study.trials) for found in pictured_studies(url)] == [7, 2, 4]
    assert [file.name for file in tmp_path.iterdir()] == ["studies.journal"]
    assert path.read_bytes() == journals[1] + end
    with pytest.warns(
        Notice, match="was cut off: all before it is whole, and a copy is kept as studies.journal.aside-0"
    ):
        storage = open_storage(url)
    assert path.read_bytes() == journals[1]
    assert (tmp_path / "studies.journal.aside-0").read_bytes() == journals[1] + end
    optuna.load_study(study_name="one", storage=storage).set_user_attr("more", 1)
    assert path.read_bytes().startswith(journals[1])


@pytest.mark.parametrize("kind", ["NULs", "half a line before the next", "junk", "other bytes", "too little"])
def test_damage_in_the_middle_is_refused_by_its_line_and_mended_by_the_doctor(
    tmp_path: Path, journals: list[bytes], command: Callable[..., Finished], kind: str
) -> None:
    lines, path = split(journals[0]), tmp_path / "studies.journal"
    lines[10] = DAMAGE[kind](lines[10], 30)
    path.write_bytes(b"".join(lines))
    remedy = f"python -m bench doctor --results {tmp_path} --mend"
    with pytest.raises(RequestError, match=rf"line 11 of '{path}' cannot be read \(.*\. {remedy}"):
        open_storage(default_url(tmp_path))
    done = command("plot", "trials", "--results", tmp_path, "-o", tmp_path / "a.svg")
    assert (done.code, "line 11" in done.error) == (2, True)
    assert path.read_bytes() == b"".join(lines)
    assert command("doctor", "--results", tmp_path).code == 1
    done = command("doctor", "--results", tmp_path, "--mend", "--json")
    assert done.code == 0
    [row] = [row for row in done.json["checks"] if row["check"] == "journal studies.journal"]
    assert row["found"].startswith("mended, and a copy kept as studies.journal.aside-0. Lost: line 11 (")
    assert (tmp_path / "studies.journal.aside-0").read_bytes() == b"".join(lines)
    assert len(pictured_studies(default_url(tmp_path))) == 2
    assert command("doctor", "--results", tmp_path).code == 0


def test_a_journal_that_a_process_works_on_is_not_mended(tmp_path: Path, command: Callable[..., Finished]) -> None:
    path = tmp_path / "studies.journal"
    path.write_bytes(b"junk\n" + FROZEN.read_bytes())
    with closing(Lease(tmp_path)):
        done = command("doctor", "--results", tmp_path, "--mend")
    assert done.code == 1
    assert "a process works in this folder" in " ".join(done.out.split())
    assert path.read_bytes() == b"junk\n" + FROZEN.read_bytes()


def test_what_is_no_journal_is_not_mended(tmp_path: Path, command: Callable[..., Finished]) -> None:
    (tmp_path / "notes.journal").write_text("Dear journal,\n")
    assert command("doctor", "--results", tmp_path, "--mend").code == 0
    assert (tmp_path / "notes.journal").read_text() == "Dear journal,\n"


@pytest.mark.parametrize("content", [b"Dear journal,\n", "{}\n".encode("utf-16")], ids=["text", "UTF-16"])
def test_what_has_the_name_of_our_journal_and_is_none_is_renamed(
    tmp_path: Path, command: Callable[..., Finished], content: bytes
) -> None:
    (tmp_path / "studies.journal").write_bytes(content)
    done = command("doctor", "--results", tmp_path, "--mend", "--json")
    [row] = [row for row in done.json["checks"] if row["check"] == "journal studies.journal"]
    assert row["found"] == "it is no journal: no line can be read; renamed to studies.journal.aside-0"
    assert (tmp_path / "studies.journal.aside-0").read_bytes() == content
    assert not (tmp_path / "studies.journal").exists()


def test_few_of_many_losses_are_told_and_all_listed(
    tmp_path: Path, journals: list[bytes], command: Callable[..., Finished]
) -> None:
    lines = split(journals[0])
    lines[10:30] = [b"junk\n"] * 20
    (tmp_path / "studies.journal").write_bytes(b"".join(lines))
    done = command("doctor", "--results", tmp_path, "--mend", "--json")
    assert "a copy is kept as studies.journal.aside-0" in done.err  # before it is written
    [row] = [row for row in done.json["checks"] if row["check"] == "journal studies.journal"]
    assert row["found"].count("junk") == 3
    assert row["found"].endswith("… (20 places in all)")
    assert len(row["files"]) == 20


def test_a_line_that_is_being_written_is_no_fault(
    tmp_path: Path, journals: list[bytes], command: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "studies.journal"
    path.write_bytes(journals[0][:-20])
    hold = JournalLock.hold

    def hold_after_writing(lock: JournalLock, mode: str) -> Any:
        path.write_bytes(journals[0])  # by the process that had the lock
        return hold(lock, mode)

    monkeypatch.setattr(JournalLock, "hold", hold_after_writing)
    assert command("doctor", "--results", tmp_path).code == 0


def test_a_damaged_database_is_told(tmp_path: Path, command: Callable[..., Finished]) -> None:
    open_storage(f"sqlite:///{tmp_path}/studies.db")
    assert command("doctor", "--results", tmp_path).code == 0
    content = (tmp_path / "studies.db").read_bytes()
    (tmp_path / "studies.db").write_bytes(content[:5000])
    done = command("doctor", "--results", tmp_path, "--mend")
    assert done.code == 1
    assert "PROBLEM  database studies.db" in done.out
    assert (tmp_path / "studies.db").read_bytes() == content[:5000]
    (tmp_path / "studies.db").write_bytes(bytes(5000))
    with pytest.raises(RequestError, match="cannot be used: file is not a database"):
        open_storage(f"sqlite:///{tmp_path}/studies.db")
