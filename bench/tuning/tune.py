"""Tune: search a space under a rule, then train the winner on fresh seeds and open the vault for it, once."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import joblib
import optuna
import sqlalchemy

from bench.errors import BenchError, RequestError, StoreError
from bench.executors.channel import board
from bench.executors.choose import executor
from bench.results.record import Record
from bench.results.store import Store
from bench.results.words import many
from bench.tuning.dashboard.decorate import artifacts_folder, decorate
from bench.tuning.dashboard.notes import note_of, note_of_trial, tested_of
from bench.tuning.objectives import DIRECTIONS, label_of
from bench.tuning.request import plan_tune
from bench.tuning.rounds import Rounds
from bench.tuning.stopping import as_ruled, check_rule, counted, settled_rule
from bench.tuning.storage.open import close_storage, default_url, journal_path, open_storage
from bench.tuning.storage.ownership import owner_of
from bench.tuning.study import Say, Tuning
from bench.tuning.telling import Telling

__all__ = ["Tuned", "look_at", "run_tune", "tune"]


@dataclass
class Tuned:
    """What came of it.

    :ivar trials: that count by the rule.
    :ivar best: number, params and value of the winner, two values where there are two objectives; as ``held`` the step
        from which on it held 99 %, the geometric mean over its seeds, None where a seed did not; as ``unconfirmed`` how
        many seeds held it but not yet to 1.5 times that step; as ``doubt`` what a reader should know of that, in words;
        its budget in steps. None where no trial has come to one yet.
    :ivar cells: records of its fresh seeds.
    :ivar cost: trials, FLOPs (None where unknown) and seconds of the search.
    :ivar whole: whether it got to its end.
    :ivar front: with two objectives, the trials that no other beats in both, of which the winner is the best by the
        first: number, params and values of each. None but the winner is tested.
    :ivar problems: what could not be written, and records that do not say what this study cost.
    :ivar rule: what ended the search, by whichever command asked for most.
    :ivar command: the command line that trains the setting of the winner; empty where there is none.
    """

    study: str
    storage: str
    trials: int
    best: dict[str, Any] | None
    cells: list[Record]
    cost: dict[str, Any]
    whole: bool
    problems: list[str] = field(default_factory=list)
    front: list[dict[str, Any]] = field(default_factory=list)
    rule: dict[str, Any] = field(default_factory=dict)
    command: str = ""


def tune(*, jobs: int | None = None, say: Say | None = None, **request: Any) -> Tuned:
    """Search, then train the winner on fresh seeds. The same call goes on after an interruption; several may share it.

    :param jobs: worker processes on the CPU; None takes one for each core.
    :param say: is told how it goes, line by line.
    :param request: all arguments of `plan_tune`.
    :raises RequestError: where anything in the request is wrong, or the study is another's; nothing ran.
    :raises StoreError: where the results folder fails.
    """
    return run_tune(plan_tune(**request), jobs, say)


def run_tune(planned: Tuning, jobs: int | None = None, say: Say | None = None, telling: Telling | None = None) -> Tuned:
    """Run what a plan leaves to do; arguments as of `tune`.

    :param telling: what ``say`` is told beside the rule, the winner, and what went wrong.
    """
    if jobs is not None and jobs < 1:
        raise RequestError(f"--jobs must be an integer ≥ 1, got {jobs}.")
    if planned.url == default_url(planned.results):
        Store(planned.results, create=True)
    storage = open_storage(planned.url)
    try:
        Store(planned.results, create=True)
        return _run(planned, storage, jobs, say, telling or Telling())
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        why = str(error.__cause__ or getattr(error, "orig", None) or error).strip().splitlines()[0]
        message = f"The storage {planned.storage} failed: {why}. What is told is kept; the same command goes on."
        raise StoreError(message) from error
    except KeyError as error:  # what a storage says of a study that is gone
        if planned.study in optuna.get_all_study_names(storage):
            raise
        raise StoreError(f"The study {planned.study!r} is gone from {planned.storage}: it was deleted.") from error
    finally:
        close_storage(storage)


def _run(planned: Tuning, storage: Any, jobs: int | None, say: Say | None, telling: Telling) -> Tuned:
    study, tell = _study(planned, storage), say or (lambda text: None)
    owner = owner_of(study, storage, planned.url, planned.results)
    try:
        with owner.asking():  # of two that begin a study, one says what it is of
            planned = _on_its_vault(planned, study)
            _agree(planned, study)
            planned = settled_rule(planned, study, tell)
        over = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
        if stored := counted(over):  # what is in work is another's, or was left by a process that died
            tell(f"{many(stored, 'trial')} of the study {planned.study!r} are stored already")
        with board() as on:
            slots_of_cpu = jobs or joblib.cpu_count()

            def show() -> None:
                decorate(study, **_shown(as_ruled(planned, study), study))

            rounds = Rounds(planned, study, owner, slots_of_cpu, on, tell, show, telling)
            slots = executor()(rounds.devices, on)
            try:
                whole = slots.run(rounds, rounds.told)
            finally:
                rounds.end()
    finally:
        owner.close()
    if slots.problems and not whole:
        raise StoreError(slots.problems[0])
    return _tuned(as_ruled(planned, study), study, rounds, whole, slots.problems)


def look_at(planned: Tuning) -> tuple[Tuning, int]:
    """The plan by the vault and the rule of its study, and how many trials are stored; the study is left as it is.

    Asks a journal alone: in a database Optuna makes its tables where it looks for a study.

    :raises RequestError: where the study is another's, or cannot go on.
    """
    journal = journal_path(planned.url)
    if journal is None or not journal.exists():
        return planned, 0
    storage = open_storage(planned.url)
    if planned.study not in optuna.get_all_study_names(storage):
        return planned, 0
    study = optuna.load_study(storage=storage, study_name=planned.study)
    planned = _on_its_vault(planned, study)
    if "what" in study.user_attrs or study.get_trials(deepcopy=False):
        _agree(planned, study)
    if check_rule(planned, study)[1]:
        planned = as_ruled(planned, study)
    return planned, counted([trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()])


def _study(planned: Tuning, storage: Any) -> Any:
    """The study, made or found."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # that a sampler lacks an optional package is no news
    if planned.study in optuna.get_all_study_names(storage):  # nothing is written to what may be another's
        return optuna.load_study(storage=storage, study_name=planned.study)
    directions = [DIRECTIONS[objective] for objective in planned.objectives]
    return optuna.create_study(storage=storage, study_name=planned.study, directions=directions, load_if_exists=True)


def _on_its_vault(planned: Tuning, study: Any) -> Tuning:
    """The plan on the vault that the study began with, where none was asked for: defaults may change."""
    before = json.loads(study.user_attrs.get("what", "{}")).get("vault")
    if before is None or "vault_seed" in planned.asked or before["fraction"] != planned.common["vault"]["fraction"]:
        return planned
    return replace(planned, common={**planned.common, "vault": before})


def _agree(planned: Tuning, study: Any) -> None:
    """Say what the study is of, or raise RequestError where it is another's."""
    known = study.user_attrs.get("what")
    if known is None:
        if study.get_trials(deepcopy=False):
            raise RequestError(f"The study {planned.study!r} was not made by tune: --study names another.")
        study.set_user_attr("what", json.dumps(planned.what))
        return
    stored = json.loads(known)
    if "unit" in planned.what and "unit" not in stored:
        older = "keeps logarithms of steps or FLOPs, as earlier versions did, and now they are kept themselves"
        raise RequestError(f"The study {planned.study!r} {older}: use another --study name.")
    for name, before in stored.items():  # what an older version did not say agrees
        now = planned.what.get(name)
        if before != now:
            differ = f"its {name} is {_plain(name, before)}, not {_plain(name, now)}"
            raise RequestError(f"The study {planned.study!r} is of something else: {differ}. --study names another.")


def _shown(planned: Tuning, study: Any, best: dict[str, Any] | None = None) -> dict[str, Any]:
    """What optuna-dashboard is to say of the study."""
    note = note_of(planned, best, study.user_attrs.get("tested"))
    metrics = [label_of(objective) for objective in planned.objectives]
    artifacts = artifacts_folder(planned.results)

    def of_trial(trial: Any) -> str:
        return note_of_trial(planned, trial, planned.command_of(trial.params))

    return {"note": note, "metrics": metrics, "of_trial": of_trial, "artifacts": artifacts}


def _plain(name: str, value: Any) -> str:
    if value is None and name.startswith("limit of "):
        return "none" if name == "limit of seconds" else "the learner's default"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tuned(planned: Tuning, study: Any, rounds: Rounds, whole: bool, problems: list[str]) -> Tuned:
    best, cells = rounds.best(), rounds.cells()
    winner = Store(planned.results).path(cells[0]["id"]) if cells else None
    tested = tested_of(cells)
    if tested is not None and study.user_attrs.get("tested") != tested:
        study.set_user_attr("tested", tested)
    decorate(study, **_shown(planned, study, best), winner=winner, figures=True)
    if best is None and whole:
        why = next((t.user_attrs["error"] for t in study.get_trials(deepcopy=False) if "error" in t.user_attrs), "")
        raise BenchError(f"No trial of the study {planned.study!r} came to a value: {why}")
    cost = rounds.cost()
    problems = [*problems, *rounds.problems]
    over = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    statuses = {trial.number: trial.user_attrs.get("status") for trial in over}
    if best is not None and statuses[best["number"]] == "timeout":
        late = f"{sum(status == 'timeout' for status in statuses.values()):,} of {len(statuses):,}"
        problems.append(f"The best trial ran out of time, as did {late} in all: --seconds is too little to judge by.")
    front, rule = rounds.front(), planned.rule
    command = "" if best is None else planned.command_of(best["params"])
    found = (best, cells, cost, whole, problems, front, rule, command)
    return Tuned(planned.study, planned.storage, cost["trials"], *found)
