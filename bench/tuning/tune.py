"""Tune: search until the stopping rule is met, then train the winner on fresh seeds and test it on the vault."""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import optuna
import sqlalchemy

from bench.errors import BenchError, RequestError, StoreError
from bench.executors import check_variables, open_channel
from bench.results import Lease, Record, Store, many
from bench.tuning import stopping, wording
from bench.tuning.dashboard.study_page import artifacts_folder, update_page
from bench.tuning.objectives import DIRECTIONS, LABELS
from bench.tuning.progress import Reporter, Verbosity
from bench.tuning.request import plan_tune
from bench.tuning.rounds import Rounds
from bench.tuning.storage.journal import fault_of_journal
from bench.tuning.storage.open import close_storage, default_url, journal_path, open_storage
from bench.tuning.storage.ownership import owner_of
from bench.tuning.study import StudyPlan

Say = Callable[[str], None]


@dataclass
class Tuned:
    """The outcome of `tune`.

    :ivar trials: how many trials count towards the stopping rule.
    :ivar best: the winner, None if no trial has a value yet: ``number``, ``params``, and ``value``, a list for two
        objectives; ``held``, the step from which on it held 99 %, the geometric mean over its seeds, None if a
        seed did not; ``unconfirmed``, how many seeds held it but not yet to 1.5 times that step; ``doubt``, the same in
        words; ``budget`` in steps.
    :ivar cells: the records of its fresh seeds.
    :ivar cost: trials, FLOPs (None if unknown) and seconds of the search.
    :ivar whole: whether the search was not interrupted.
    :ivar front: the Pareto front of two objectives, of which the winner is the best by the first one: number, params
        and values of each trial. Only the winner is tested.
    :ivar problems: what could not be written, and records that do not say what this study cost.
    :ivar rule: the stopping rule of the study, the highest that any command asked for.
    :ivar command: the command line that trains the parameters of the winner; empty if there is none.
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


def tune(*, jobs: int | None = None, say: Say | None = None, executor: str = "local", **request: Any) -> Tuned:
    """Search, then train the winner on fresh seeds.

    The same call resumes an interrupted search, and several processes may share a study.

    :param jobs: worker processes on the CPU; None takes one for each core.
    :param say: receives each line that the search reports.
    :param executor: where jobs run: "local", or "dask:" and the address of a scheduler.
    :param request: all arguments of `plan_tune`.
    :raises RequestError: if the request is wrong, or the study is of another request; nothing ran.
    :raises StoreError: if the results folder or the storage cannot be used.
    """
    return run_tune(plan_tune(executor=executor, **request), jobs, say)


def run_tune(
    plan: StudyPlan,
    jobs: int | None = None,
    say: Say | None = None,
    verbosity: Verbosity | None = None,
) -> Tuned:
    """Run what is left to do of a plan; arguments as of `tune`.

    :param verbosity: what ``say`` receives beside the stopping rule, the winner, and what went wrong.
    """
    if jobs is not None and jobs < 1:
        raise RequestError(f"`jobs` must be an integer ≥ 1, got {jobs}.")
    check_variables()
    if plan.url == default_url(plan.results):
        Store(plan.results, create=True)
    storage, verbosity_of_optuna = open_storage(plan.url), optuna.logging.get_verbosity()
    try:
        Store(plan.results, create=True)
        with closing(Lease(plan.results)) as lease:  # says how far the search is
            publish = partial(lease.publish, f"search {plan.study}")
            reporter = Reporter(say or (lambda text: None), verbosity, publish)
            return _run(plan, storage, jobs, reporter)
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        why = str(error.__cause__ or getattr(error, "orig", None) or error).strip().splitlines()[0]
        message = f"The storage {plan.storage} failed: {why}. What is stored is kept; the same command goes on."
        raise StoreError(message) from error
    except json.JSONDecodeError as error:  # a line that was damaged since the journal was opened
        journal = journal_path(plan.url)
        if journal is None:
            raise
        raise StoreError(f"The storage {plan.storage} failed: {fault_of_journal(journal)}") from error
    except KeyError as error:  # a storage raises it for a study that was deleted
        if plan.study in optuna.get_all_study_names(storage):
            raise
        raise StoreError(f"The study {plan.study!r} is gone from {plan.storage}: it was deleted.") from error
    finally:
        optuna.logging.set_verbosity(verbosity_of_optuna)
        close_storage(storage)


def _run(plan: StudyPlan, storage: Any, jobs: int | None, reporter: Reporter) -> Tuned:
    study = _study(plan, storage)
    owner = owner_of(study, storage, plan.url, plan.results)
    try:
        waits = f"waiting for another process that asks for a trial of the study {plan.study!r}"
        with owner.turn(
            waiting=lambda: reporter.report(waits)
        ):  # of two processes that begin it, one stores its request
            plan = _with_vault_of(study, plan)
            check_same_request(plan, study)
            plan = stopping.settle_rule(plan, study, reporter.report)
        if stored := _count_over(study):  # trials in work are those of other or dead processes
            reporter.report(f"{many(stored, 'trial')} of the study {plan.study!r} are stored already")
        with open_channel(plan.results) as on:
            rounds = Rounds(
                plan,
                study,
                owner,
                jobs=jobs,
                channel=on,
                reporter=reporter,
                show=lambda: update_page(study, **_page(stopping.with_rule_of(study, plan), study)),
            )
            workers = plan.executor(rounds.devices, on)
            try:
                whole = workers.run(rounds, rounds.collect)
            finally:
                rounds.end()
    finally:
        owner.close()
    if workers.problems and not whole:
        raise StoreError(workers.problems[0])
    return _tuned(stopping.with_rule_of(study, plan), study, rounds, whole, workers.problems)


def preview(plan: StudyPlan) -> tuple[StudyPlan, int]:
    """The plan with the vault and the stopping rule of its study, and how many trials are stored; writes nothing.

    Only a journal is read: in a database Optuna would make its tables.

    :raises RequestError: if the study is of another request, or cannot go on.
    """
    journal = journal_path(plan.url)
    if journal is None or not journal.exists():
        return plan, 0
    storage = open_storage(plan.url, reading=True)
    if plan.study not in optuna.get_all_study_names(storage):
        return plan, 0
    study = optuna.load_study(storage=storage, study_name=plan.study)
    plan = _with_vault_of(study, plan)
    if "what" in study.user_attrs or study.get_trials(deepcopy=False):
        check_same_request(plan, study)
    asks_for_less = stopping.compare_rules(plan, study)[1]
    return stopping.with_rule_of(study, plan) if asks_for_less else plan, _count_over(study)


def _count_over(study: optuna.Study) -> int:
    return stopping.count_trials([trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()])


def _study(plan: StudyPlan, storage: Any) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a sampler warns that it lacks an optional package
    if plan.study in optuna.get_all_study_names(storage):  # write nothing to it yet: it may be of another request
        return optuna.load_study(storage=storage, study_name=plan.study)
    directions = [DIRECTIONS[objective] for objective in plan.objectives]
    return optuna.create_study(storage=storage, study_name=plan.study, directions=directions, load_if_exists=True)


def _with_vault_of(study: optuna.Study, plan: StudyPlan) -> StudyPlan:
    """The plan with the vault of the study, unless the request names one: the default may have changed since."""
    before = json.loads(study.user_attrs.get("what", "{}")).get("vault")
    if before is None or "vault_seed" in plan.asked or before["fraction"] != plan.common["vault"]["fraction"]:
        return plan
    return replace(plan, common={**plan.common, "vault": before})


def check_same_request(plan: StudyPlan, study: optuna.Study) -> None:
    """Store what a new study is of; raise RequestError if the study is of another request."""
    known = study.user_attrs.get("what")
    if known is None:
        if study.get_trials(deepcopy=False):
            raise RequestError(f"The study {plan.study!r} was not made by tune: `study` names another.")
        study.set_user_attr("what", json.dumps(plan.what))
        return
    stored = json.loads(known)
    if "unit" in plan.what and "unit" not in stored:
        older = "keeps logarithms of steps or FLOPs, as earlier versions did, and now they are kept themselves"
        raise RequestError(f"The study {plan.study!r} {older}: use another `study` name.")
    stored = {"label_noise": 0.0, **({"first seed": 0} if "first seed" in plan.what else {}), **stored}
    for name, before in stored.items():  # an older version stored fewer, and knew no label noise
        now = plan.what.get(name)
        if before != now:
            differ = f"its {name} is {_plain(name, before)}, not {_plain(name, now)}"
            raise RequestError(f"The study {plan.study!r} is of something else: {differ}. `study` names another.")


def _without_winner(plan: StudyPlan, trials: Sequence[optuna.trial.FrozenTrial]) -> str:
    """Why a search that is over has no winner."""
    diverged = sum(trial.state == optuna.trial.TrialState.COMPLETE for trial in trials)
    why = next((trial.user_attrs["error"] for trial in trials if "error" in trial.user_attrs), "")
    if not diverged:
        return f"No trial of the study {plan.study!r} has a value: {why}"
    others = f", and the others have no value ({why})" if why else ""
    found = f"Of the study {plan.study!r} {many(diverged, 'trial')} diverged with every seed{others}"
    return f"{found}: there is no winner, and the vault stays closed. A `space` of smaller steps may help."


def _page(plan: StudyPlan, study: optuna.Study, best: dict[str, Any] | None = None) -> dict[str, Any]:
    """What optuna-dashboard shows of a study, as arguments of `update_page`."""

    def of_trial(trial: optuna.trial.FrozenTrial) -> str:
        return wording.trial_note(plan, trial, plan.run_command(trial.params))

    return {
        "note": wording.study_note(plan, best, study.user_attrs.get("tested")),
        "metrics": [LABELS[objective] for objective in plan.objectives],
        "of_trial": of_trial,
        "artifacts": artifacts_folder(plan.results),
    }


def _plain(name: str, value: Any) -> str:
    if value is None and name.startswith("limit of "):
        return "none" if name == "limit of seconds" else "the learner's default"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tuned(plan: StudyPlan, study: optuna.Study, rounds: Rounds, whole: bool, problems: list[str]) -> Tuned:
    best, cells = rounds.winner.best(), rounds.winner.cells()
    record = Store(plan.results).path(cells[0]["id"]) if cells else None
    tested = wording.describe_tests(cells)
    if tested is not None and study.user_attrs.get("tested") != tested:
        study.set_user_attr("tested", tested)
    update_page(study, **_page(plan, study, best), winner=record, figures=True)
    trials = study.get_trials(deepcopy=False)
    if best is None and whole:
        raise BenchError(_without_winner(plan, trials))
    problems, cost = [*problems, *rounds.winner.problems], rounds.costs.total()
    if best is not None and trials[best["number"]].user_attrs.get("status") == "timeout":
        statuses = [trial.user_attrs.get("status") for trial in trials if trial.state.is_finished()]
        late = f"{statuses.count('timeout'):,} of {len(statuses):,}"
        problems.append(f"The best trial ran out of time, as did {late} in all: `seconds` is too little to judge by.")
    return Tuned(
        study=plan.study,
        storage=plan.storage,
        trials=cost["trials"],
        best=best,
        cells=cells,
        cost=cost,
        whole=whole,
        problems=problems,
        front=rounds.winner.front(),
        rule=plan.rule,
        command="" if best is None else plan.run_command(best["params"]),
    )
