"""Trials in rounds: ask for some, train them side by side, tell, and ask again; then the winner's fresh seeds."""

import json
import math
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FixedTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from bench.errors import StoreError
from bench.executors.channel import Board
from bench.executors.jobs import Job, Unit
from bench.results import environment
from bench.results.record import Record
from bench.results.store import Store
from bench.results.words import many, shown
from bench.scheduling.devices import THREADS, gpus
from bench.scheduling.fleets import AT_ONCE, FLEET
from bench.scheduling.plan import action
from bench.specs.budget import count_train
from bench.specs.spec import Family, Spec
from bench.tuning.dashboard.decorate import artifacts_folder, keep_picture
from bench.tuning.objectives import (
    DIRECTIONS,
    OVER,
    best_of,
    doubt_of,
    label_of,
    learning_curve,
    measures,
    reached_by,
    rounded,
    values_of,
)
from bench.tuning.samplers import make_sampler
from bench.tuning.stopping import TOO_DEAR, claimed, counted, goes_on
from bench.tuning.storage.journal import together
from bench.tuning.storage.ownership import Owner
from bench.tuning.telling import Telling, about, in_training, time_left
from learners import Learner

if TYPE_CHECKING:
    from bench.tuning.study import Tuning

__all__ = ["Rounds"]

GUESS = 0.75
"""The share of its budget that a trial which ends when it is solved may take, before any is known. Over 256 trials of
the transformer by eight seeds, 1,500 steps each, it was 0.66, and 0.99 in the first round (one H200)."""
PULSE = 10.0
"""Seconds without a word after which a search says how far it is."""
COST = ("seconds", "flops", "predicted")
"""What a trial does not have whose cells another one trained."""
LATE = "late trial "
"""How attributes of a study begin that say what a trial took whose end was told too late."""


@dataclass
class _Trial:
    """A trial in work.

    :param trial: Optuna's.
    :ivar params: what it drew.
    :ivar units: its cells.
    :ivar flops: what they take at most, where the compute is limited.
    :ivar same_as: the number of a trial in work of this process that drew the same, and trains its cells.
    :ivar records: of cells that are over, by id.
    """

    trial: Any
    params: dict[str, Any] = field(default_factory=dict)
    units: list[Unit] = field(default_factory=list)
    flops: float = 0.0
    same_as: int | None = None
    records: dict[str, Record] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """Of its cells, in the order of the seeds."""
        return [unit.spec.id for unit in self.units]

    @property
    def ordered(self) -> list[Record]:
        """Records in the order of the seeds, as far as there are any."""
        return [self.records[id] for id in self.ids if id in self.records]

    @property
    def measures(self) -> dict[str, Any]:
        """What the study keeps of it, as far as it is known."""
        found = measures(self.ordered) if self.records else {}
        return found if self.same_as is None else _free(found, self.same_as)


class Rounds:
    """The jobs of a study, as `bench.executors.local.Slots` takes them.

    No trial is asked for before the last round is told: what a round draws depends on no clock.

    :param slots: processes on the CPU.
    :param on: where workers tell how far they are.
    :param say: is told how it goes, line by line.
    :param show: brings what is shown of the study up to date.
    :param telling: what is told beside.
    :ivar problems: what a user should know of the winner's records.
    """

    def __init__(
        self,
        planned: "Tuning",
        study: Any,
        owner: Owner,
        slots: int,
        on: Board,
        say: Callable[[str], None],
        show: Callable[[], None],
        telling: Telling = Telling(),  # noqa: B008, it is frozen
    ) -> None:
        self.show, self.telling = show, telling
        self.planned, self.study, self.owner, self.on, self.say = planned, study, owner, on, say
        cuda = [f"cuda:{i}" for i in range(gpus())] if planned.device == "cuda" and gpus() > 1 else [planned.device]
        self.devices = ["cpu"] * slots if planned.device == "cpu" else cuda
        self.source = environment.source_state()
        self.store = Store(planned.results)
        self.waiting: deque[Job] = deque()
        self.in_work = 0
        self.trials: dict[int, _Trial] = {}
        self.known_flops: dict[Any, float] = {}
        self.fresh: list[Spec] = []
        self.problems: list[str] = []
        self.shown_at = -1
        self.elsewhere = 0
        self.over_with = False
        self.began = self.spoke = time.monotonic()
        self.before: tuple[int, float] | None = None

    # What Slots asks

    def next(self, device: str) -> Job | None:
        """A job, or None until the round is over."""
        if not self.waiting and not self.in_work and not self.over_with:
            self._go_on()
        if not self.waiting:
            return None
        self.in_work += 1
        return replace(self.waiting.popleft(), device=device)

    def over(self, job: Job) -> None:
        """A job came back."""
        self.in_work -= 1

    def halve(self, job: Job) -> bool:
        """After the loss of a worker process: its cells once more in halves; False for a lone one."""
        middle = len(job.units) // 2
        if middle:
            self.waiting += [replace(job, units=half) for half in (job.units[:middle], job.units[middle:])]
        return bool(middle)

    def look_elsewhere(self) -> int:
        """Trials that other processes have in work."""
        return self.elsewhere

    def told(self, record: Record | None) -> None:
        """A cell is over; None from time to time."""
        if record is None:
            self._pulse()
            return
        if self.telling.tracebacks and record["error"]:
            self._speak(record["error"]["traceback"].rstrip())
        for trial in list(self.trials.values()):
            if record["id"] in trial.ids:
                trial.records[record["id"]] = record
                if len(trial.ordered) == len(trial.units):
                    self._tell(trial)
        if record["id"] in {spec.id for spec in self.fresh}:
            self._speak(f"fresh seed {record['spec']['seed']}: {record['status']}, {reached_by(record)}")

    def end(self) -> None:
        """Fail what is still in work: it was interrupted, and does not count; what is known of its cost does."""
        for mine in list(self.trials.values()):
            self._fail(mine.trial, mine.measures | {"status": "interrupted"})
        self._charge()

    # Rounds

    def _go_on(self) -> None:
        """The next round; the vault once there is none; nothing more once that is done."""
        self.elsewhere = 0
        if self.fresh:
            self.over_with = True
            return
        if "winner" not in self.study.user_attrs:
            if self.before is None:
                self.before, self.began = self._done(), time.monotonic()
            while not self.waiting and not self.on.stopped() and self._ask():
                pass
            self._charge()
            if self.on.stopped():
                return
            self.elsewhere = 0 if self.waiting else self._running()
        if not self.waiting and not self.elsewhere:
            self._open()

    def _running(self) -> int:
        return len(self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))

    @property
    def rule(self) -> dict[str, Any]:
        """What ends the search, by whichever process's command asks for most."""
        return dict(self.study.user_attrs.get("rule", self.planned.rule))

    def _ask(self) -> int:
        """Ask for a round; how many trials it has, 0 where somebody asks to stop."""
        with self.owner.asking(self.on.stopped) as turn:
            if not turn:
                return 0
            self.owner.fail_orphans()
            known, rule = self.study.get_trials(deepcopy=False), self.rule
            room = self._room(rule, known)
            if not room:
                return 0
            entropy, objectives = (self.planned.entropy, len(known)), len(self.planned.objectives)
            self.study.sampler = make_sampler(self.planned.sampler, entropy, objectives, self.planned.round)
            limit = rule["compute"]
            left = math.inf if limit is None else limit - claimed(known) - self._late_flops()
            units: dict[str, Unit] = {}
            for _ in range(room):
                if self.on.stopped():
                    return 0
                mine = self._draw(known, limited=limit is not None)
                if mine is None:
                    continue
                if mine.flops > left:
                    self._put_aside(mine, left)
                    continue
                left -= mine.flops
                units |= {unit.spec.id: unit for unit in mine.units}  # what is drawn twice is trained once
        self.waiting += self._jobs(list(units.values()))
        return room

    def _late_flops(self) -> float:
        """What was told of too late for a trial to say."""
        attributes = self.study.user_attrs.items()
        return float(sum(cost.get("flops", 0.0) for name, cost in attributes if name.startswith(LATE)))

    def _room(self, rule: Mapping[str, Any], known: Sequence[Any]) -> int:
        """How many trials the next round may have."""
        room = self.planned.round if goes_on(rule, known, self._late_flops()) else 0
        return room if rule["trials"] is None else max(0, min(room, rule["trials"] - counted(known)))

    def _draw(self, known: Sequence[Any], limited: bool) -> _Trial | None:
        """Ask for a trial; None where nothing of it is to be trained.

        :param known: the trials before this round.
        :param limited: whether it matters how much compute it takes.
        """
        planned = self.planned
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # heartbeats are looked after here; some samplers are experimental
            trial = self.study.ask()
            mine = self.trials[trial.number] = _Trial(trial)
            self.owner.takes(trial)
            try:
                found = planned.family(planned.space.draw(trial))
                mine.params = dict(trial.params)
                if self._is_told(mine, known):
                    return None
                specs = [found.at(seed) for seed in planned.seeds_of_trials]
                mine.units = [Unit(spec, planned.budget(spec)) for spec in specs]
                others = (one for one in self.trials.values() if one is not mine)
                mine.same_as = next((one.trial.number for one in others if one.params == mine.params), None)
                if limited and mine.same_as is None:
                    mine.flops = len(specs) * self._flops(mine.units[0])
                    trial.set_user_attr("predicted", mine.flops)
            except (StorageInternalError, SQLAlchemyError, StoreError):
                raise
            except Exception as error:
                self._refuse(trial, error)
                return None
        return mine

    def _is_told(self, mine: _Trial, known: Sequence[Any]) -> bool:
        """Whether an earlier trial drew the same: then its values are told once more, and cost nothing."""
        same = (trial for trial in known if trial.state == TrialState.COMPLETE and trial.params == mine.params)
        before = next(same, None)
        if before is None:
            return False
        number = before.user_attrs.get("same_as", before.number)
        curve = sorted(before.intermediate_values.items())
        self._complete(mine.trial, _free(before.user_attrs, number), before.values, curve)
        values = ", ".join(map(shown, before.values))
        self._speak_of_trial(f"trial {mine.trial.number}: {values}, since trial {number} drew the same")
        return True

    def _flops(self, unit: Unit) -> float:
        """What a cell's whole budget takes; of cells of one structure, pairs and steps it is reckoned once."""
        spec, n_train = unit.spec, count_train(unit.spec)
        structure = spec.make_learner().structure(n_train)
        key = (structure, _code(spec), n_train, unit.budget.steps)
        if structure is None or key not in self.known_flops:
            self.known_flops[key] = self.planned.flops(spec) or 0.0
        return self.known_flops[key]

    @cached_property
    def repeats(self) -> int:
        """How many jobs of a structure one worker may expect: one a round, fewer where trials differ in structure."""
        planned = self.planned
        if planned.trials is None or planned.rounds == 1:
            return 1
        structures = {_kind(spec.make_learner(), spec, count_train(spec)) for spec in planned.drafts()}
        return max(1, min(planned.rounds, planned.trials // len(structures)))

    def lasting(self) -> float:
        """The share of its budget that a trial takes: the median of those so far, a guess before there is one."""
        if not self.planned.stops_when_solved:
            return 1.0
        known = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        most = self.planned.budgets[1] * self.planned.seeds
        shares = [
            x.user_attrs["steps"] / most for x in known if "same_as" not in x.user_attrs and "steps" in x.user_attrs
        ]
        return float(np.median(shares)) if shares and most else GUESS

    def _refuse(self, trial: Any, error: Exception) -> None:
        """A constructor refused what was drawn, or a plugin's `suggest` failed: the trial counts, others go on."""
        status = "refused" if isinstance(error, ValueError) else "failed"
        why = " ".join(str(error).split()) if str(error) else type(error).__name__
        self._fail(trial, {"status": status, "error": why[:500]})
        self._speak(f"trial {trial.number}: {status}, {why}")
        if self.telling.tracebacks and status == "failed":
            self._speak("".join(traceback.format_exception(error)).rstrip())

    def _put_aside(self, mine: _Trial, left: float) -> None:
        why = f"its whole budget takes {mine.flops:.3g} FLOPs, and {max(0.0, left):.3g} are left"
        self._fail(mine.trial, {"status": TOO_DEAR, "error": why})
        self._speak_of_trial(f"trial {mine.trial.number}: not begun, {why}")

    def _jobs(self, units: Sequence[Unit], tuning: Mapping[str, Any] | None = None) -> list[Job]:
        """Cells of one structure side by side, in as many parts as there are slots.

        :param tuning: what the winner's records, which are kept, say of the study.
        """
        results = None if tuning is None else self.planned.results
        groups: dict[Any, list[Unit]] = {}
        sizes: dict[Any, int] = {}
        kind = self.planned.device.partition(":")[0]
        for unit in units:
            spec, learner = unit.spec, unit.spec.make_learner()
            n_train = count_train(spec)
            key = _kind(learner, spec, n_train)
            alone = AT_ONCE if learner.granularity(n_train) == 0 else 1
            sizes[key] = alone if isinstance(key, str) else FLEET[kind]
            groups.setdefault(key, []).append(unit)
        jobs = []
        for key, some in groups.items():
            slots = min(len(self.devices), len(some))
            count = math.ceil(len(some) / sizes[key] / slots) * slots
            parts = [part for first in range(count) if (part := tuple(some[first::count]))]
            repeats = max(1, round(self.repeats * self.lasting())) if tuning is None else 1
            what = partial(Job, source=self.source, repeats=repeats, tuning=tuning)
            jobs += [what(part, kind, THREADS, results) for part in parts]
        return jobs

    # What comes of trials

    def _tell(self, mine: _Trial) -> None:
        """All cells of a trial are over."""
        trial, records, attributes = mine.trial, mine.ordered, mine.measures
        if any(record["status"] not in OVER or record["final"]["step"] is None for record in records):
            if attributes["status"] in OVER:  # its process was ended: there is nothing to judge it by
                attributes["status"] = "failed"
            why = f", {attributes['error']}" if "error" in attributes else ""
            if self._fail(trial, attributes):
                self._speak(f"trial {trial.number}: {attributes['status']}{why}")
            return
        objectives = self.planned.objectives
        found = values_of(objectives, records, self.planned.most)
        values = [rounded(name, value) for name, value in zip(objectives, found, strict=True)]
        if not self._complete(trial, attributes, values, learning_curve(records) if len(values) == 1 else ()):
            return
        drawn = ", ".join(f"{name} {shown(value)}" for name, value in mine.params.items())
        self._speak_of_trial(f"trial {trial.number}: {', '.join(map(shown, values))}, {_outcome(attributes)} ({drawn})")

    def _complete(
        self,
        trial: Any,
        attributes: Mapping[str, Any],
        values: Sequence[float],
        curve: Sequence[tuple[int, float]] = (),
    ) -> bool:
        """Tell what a trial is worth; whether it was in time."""
        return self._end(trial, attributes, curve, partial(self.study.tell, trial, values, skip_if_finished=True))

    def _fail(self, trial: Any, attributes: Mapping[str, Any]) -> bool:
        """Tell that a trial came to nothing; whether it was in time."""
        state = TrialState.FAIL
        return self._end(trial, attributes, (), partial(self.study.tell, trial, state=state, skip_if_finished=True))

    def _end(
        self,
        trial: Any,
        attributes: Mapping[str, Any],
        curve: Sequence[tuple[int, float]],
        tell: Callable[[], Any],
    ) -> bool:
        """Tell all of a trial and leave it; False where another process took this one for dead, and failed it.

        What a trial took is charged all the same.
        """
        in_time, storage, id = True, self.study._storage, trial._trial_id
        try:
            with together(storage):  # by the trial itself, its memory would say what no storage may come to hold
                for step, accuracy in curve:
                    storage.set_trial_intermediate_value(id, step, accuracy)
                for name, value in attributes.items():
                    storage.set_trial_user_attr(id, name, value)
                keep_picture(self.study, id, trial.number, dict(curve), artifacts_folder(self.planned.results))
            tell()
        except UpdateFinishedTrialError:
            in_time = False
            cost = {name: attributes[name] for name in ("flops", "seconds") if name in attributes}
            self.study.set_user_attr(f"{LATE}{trial.number}", cost)
            why = "another process took this one for dead, and failed it"
            self._speak(f"trial {trial.number}: told too late, {why}; what it took is charged")
        self.trials.pop(trial.number, None)
        self.owner.leaves(trial)
        return in_time

    def cost(self) -> dict[str, Any]:
        """Trials that count, FLOPs and seconds of the search so far, with those of what was interrupted or failed.

        What was in training when its process died is not known, nor how far a cell was that was never looked at.
        """
        known = self.study.get_trials(deepcopy=False)
        tried = [trial.user_attrs for trial in known if "seconds" in trial.user_attrs]
        tried += [cost for name, cost in self.study.user_attrs.items() if name.startswith(LATE) and "seconds" in cost]
        uncounted = any("flops" not in attributes for attributes in tried)
        return {
            "trials": counted(known),
            "flops": None if uncounted else float(sum(attributes["flops"] for attributes in tried)),
            "seconds": float(sum(attributes["seconds"] for attributes in tried)),
        }

    def _charge(self) -> None:
        """Keep the cost in the study, and show it, once more trials are over."""
        over = sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False))
        over += sum(name.startswith(LATE) for name in self.study.user_attrs)
        if over == self.shown_at:
            return
        self.shown_at = over
        for name, exact in self.cost().items():
            value = float(f"{exact:.3g}") if isinstance(exact, float) else exact  # as a dashboard shows it
            if self.study.user_attrs.get(name) != value:
                self.study.set_user_attr(name, value)
        self.show()

    # The winner

    def _open(self) -> None:
        """Choose the winner, once, and plan its fresh seeds: the vault is opened for it alone."""
        if not self.planned.fresh:
            self.over_with = True
            return
        with self.owner.asking(self.on.stopped) as turn:
            if not turn:
                return
            if "winner" not in self.study.user_attrs and self._goes_on():
                self.elsewhere = 1
                return
            if not self.owner.opens():
                self.elsewhere = 1
                return
            number = self._winner()
            if number is None:
                self.over_with = True
                return
            self.study.set_user_attr("winner", number)
        self.fresh = self._fresh_specs(number)
        units = [unit for spec in self.fresh if (unit := self._fresh_unit(spec)) is not None]
        self.waiting += self._jobs(units, self._tuning())
        if units:
            doubt = doubt_of(self.planned.objectives, self.planned.seeds, self._attributes(number))
            self._speak(f"trial {number} is the winner{f', though {doubt}' if doubt else ''}")
            self._speak(self._of_fresh(number, units))

    def _of_fresh(self, number: int, units: Sequence[Unit]) -> str:
        """What the winner's fresh seeds take."""
        found, steps = self._attributes(number), max(unit.budget.steps for unit in units)
        found = {**self._attributes(found.get("same_as", number)), **found}
        whole = f", to the end of {steps:,} steps each," if steps else ""
        what = f"now it is trained on {many(len(units), 'fresh seed')}{whole} and tested on the vault"
        if (steps and not found.get("steps")) or "seconds" not in found:
            return what
        share = steps / found["steps"] if steps else 1 / self.planned.seeds
        at_once = min(len(self.devices), len(units))
        return f"{what}: {about(found['seconds'] * share * len(units) / at_once)}"

    def _goes_on(self) -> bool:
        """Whether another process has asked for more, or raised the rule, since this one looked."""
        known = self.study.get_trials(deepcopy=False)
        return goes_on(self.rule, known, self._late_flops()) or any(
            trial.state == TrialState.RUNNING for trial in known
        )

    def _tuning(self) -> dict[str, Any]:
        """What the winner's records say of the study: its rule, and what it cost."""
        return {"study": self.study.study_name, "rule": self.rule, "seeds": self.planned.seeds, **self.cost()}

    def _winner(self) -> int | None:
        chosen = self.study.user_attrs.get("winner")
        known = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return best_of(self.planned.objectives, [(t.number, t.values) for t in known]) if chosen is None else chosen

    def _fresh_specs(self, number: int) -> list[Spec]:
        found = self._family(number)
        return [found.at(seed) for seed in self.planned.seeds_of_winner]

    def _family(self, number: int) -> Family:
        return self.planned.family(self.planned.space.draw(FixedTrial(self._params(number))), opened=True)

    def _params(self, number: int) -> dict[str, Any]:
        return self.study.get_trials(deepcopy=False)[number].params

    def _attributes(self, number: int) -> dict[str, Any]:
        return self.study.get_trials(deepcopy=False)[number].user_attrs

    def _fresh_unit(self, spec: Spec) -> Unit | None:
        """What is left to do of a fresh seed."""
        # To the end of the budget, as the cells that it is compared with: what is lost later counts too.
        budget, record = replace(self.planned.budget(spec), stop_when_solved=False), self.store.read(spec.id)
        todo = "run" if record is None else action(record, budget)
        return None if todo == "done" else Unit(spec, budget, record if todo in ("extend", "resume") else None)

    def best(self) -> dict[str, Any] | None:
        """The winner, or the best so far: see `bench.tuning.tune.Tuned.best`."""
        number = self._winner()
        if number is None:
            return None
        trial = self.study.get_trials(deepcopy=False)[number]
        value = trial.values[0] if len(trial.values) == 1 else list(trial.values)
        found, budget = trial.user_attrs, self.planned.budget(self._family(number).first)
        doubt = doubt_of(self.planned.objectives, self.planned.seeds, found)
        held = {"held": found.get("held_steps_to_99"), "unconfirmed": found.get("unconfirmed", 0), "doubt": doubt}
        return {"number": number, "params": dict(trial.params), "value": value, **held, "budget": budget.steps}

    def front(self) -> list[dict[str, Any]]:
        """Trials that no other beats in both objectives, the best by the first of them first; none of one objective."""
        if len(self.planned.objectives) == 1:
            return []
        sign = 1 if DIRECTIONS[self.planned.objectives[0]] == "minimize" else -1
        of_value = {tuple(trial.values): trial for trial in reversed(self.study.best_trials)}  # of equals the first
        front = sorted(of_value.values(), key=lambda trial: sign * trial.values[0])
        return [{"number": t.number, "params": dict(t.params), "value": list(t.values)} for t in front]

    def cells(self) -> list[Record]:
        """Records of the winner's fresh seeds, each saying what tuning it cost."""
        tuning, found = self._tuning(), []
        for spec in self.fresh:
            record = self.store.read(spec.id)
            if record is None:
                continue
            kept = record.get("tuning", tuning)
            other = kept["study"]
            whole = {"seeds": tuning["seeds"], **kept} if other == tuning["study"] else kept
            if record.get("tuning") != whole:  # an earlier version kept less of it, or none
                record = {**record, "tuning": whole}
                self.store.write(record)
            if other != tuning["study"]:
                cost = f"its tuning is that of the study {other!r}, and the cost of {tuning['study']!r} is not in it"
                self.problems.append(f"The record {spec.id} was there before: {cost}.")
            found.append(record)
        return found

    # What is said

    def _speak(self, text: str) -> None:
        self.spoke = time.monotonic()
        self.say(text)

    def _speak_of_trial(self, text: str) -> None:
        if self.telling.trials:
            self._speak(text)

    def _pulse(self) -> None:
        """Say how far it is: on a line that is written over, or after a while without a line."""
        if self.telling.now is not None:
            self.telling.now(self.how_far())
        elif time.monotonic() - self.spoke >= PULSE:
            self._speak(self.how_far())

    def how_far(self) -> str:
        """As "12 of 64 trials, about 40 s left; best so far trial 7: …; 8 cells in training, …"."""
        training = in_training(self.on.moments())
        if self.fresh:
            ids = [spec.id for spec in self.fresh]
            over = sum(
                record is not None and record["final"]["step"] is not None for record in map(self.store.read, ids)
            )
            return "; ".join(filter(None, [f"{over} of {many(len(ids), 'fresh seed')} of the winner", training]))
        waits = "waiting for what other processes have in work" if self.elsewhere and not training else ""
        known = self.study.get_trials(deepcopy=False)
        return "; ".join(filter(None, [self._how_many(), self._best_so_far(known), training or waits]))

    def _done(self) -> tuple[int, float]:
        """Trials that count and are over, and their FLOPs."""
        over = [trial for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]
        return counted(over), claimed(over)

    def _how_many(self) -> str:
        rule, (trials, flops), (earlier, charged) = self.rule, self._done(), self.before or (0, 0.0)
        limits, partly = [], self._partly()
        of = many(trials, "trial")
        if rule["trials"] is not None:
            of = f"{trials:,} of {many(rule['trials'], 'trial')}"
            limits.append((trials - earlier + partly, rule["trials"] - trials - partly))
        if rule["compute"] is not None:
            of += f", {flops:.3g} of {rule['compute']:.3g} FLOPs"
            limits.append(((flops - charged) / rule["compute"], (rule["compute"] - flops) / rule["compute"]))
        done, left = min(limits, key=lambda limit: limit[1] / max(limit[0], 1e-9))
        return ", ".join(filter(None, [of, time_left(time.monotonic() - self.began, done, max(0.0, left))]))

    def _partly(self) -> float:
        """Of trials in work, those shares that are done, as trials."""
        shares = {moment.id: moment.step / max(1, moment.budget) for moment in self.on.moments()}
        return sum(
            sum(1.0 if id in mine.records else min(1.0, shares.get(id, 0.0)) for id in mine.ids) / len(mine.ids)
            for mine in self.trials.values()
            if mine.ids
        )

    def _best_so_far(self, known: Sequence[Any]) -> str:
        complete = [trial for trial in known if trial.state == TrialState.COMPLETE]
        number = best_of(self.planned.objectives, [(trial.number, trial.values) for trial in complete])
        if number is None:
            return ""
        found, objectives = known[number], self.planned.objectives
        worth = zip(objectives, found.values, strict=True)
        judged = ", ".join(f"{label_of(name)} {shown(value)}" for name, value in worth)
        doubt = doubt_of(objectives, self.planned.seeds, found.user_attrs)
        return f"best so far trial {number}: {_outcome(found.user_attrs) if doubt else judged}"


def _kind(learner: Learner, spec: Spec, n_train: int) -> tuple[Any, ...] | str:
    """What cells that train side by side have in common; the learner's name where they train one by one."""
    structure = learner.structure(n_train)
    return spec.learner["name"] if structure is None else (structure, _code(spec))


def _code(spec: Spec) -> str:
    """What decides the codes."""
    encoder = {name: value for name, value in spec.encoder.items() if name != "random_state"}
    return json.dumps([encoder, spec.combine, spec.sdr, spec.precision])


def _free(attributes: Mapping[str, Any], same_as: int) -> dict[str, Any]:
    """What is said of a trial whose cells another one trained."""
    return {name: value for name, value in attributes.items() if name not in COST} | {"same_as": same_as}


def _outcome(attributes: Mapping[str, Any]) -> str:
    held, accuracy = attributes.get("held_steps_to_99"), attributes.get("validation_accuracy", 0.0)
    solved = "99 % not held" if held is None else f"99 % held from step {held:,.0f}"
    solved += ", not yet confirmed" if held is not None and attributes.get("unconfirmed") else ""
    ended = {"timeout": "out of time, ", "diverged": "diverged, "}.get(str(attributes.get("status")), "")
    return f"{ended}{solved}, validation at the end {100 * accuracy:.1f} %"
