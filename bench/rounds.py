"""Trials in rounds: ask for some, train them side by side, tell, and ask again; then the winner's fresh seeds."""

import json
import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FixedTrial, TrialState

from bench import environment
from bench.api import THREADS, action, count_train, gpus
from bench.errors import RequestError
from bench.execute import Board, Job, Unit
from bench.owners import Owner
from bench.runs import many
from bench.spec import Spec
from bench.store import Record, Store
from bench.sweeps import AT_ONCE, FLEET
from bench.tuning import OVER, best_of, learning_curve, make_sampler, measures, shown, values_of

if TYPE_CHECKING:
    from bench.tunes import Tuning

__all__ = ["Rounds", "counted"]

PULSE = 10.0
"""Seconds without a word after which a search says how far it is."""
HOPELESS = 32
"""Trials of which none came to a value: the next would not either."""
COUNT = ("refused", "failed")
"""States of a trial that came to no value but was tried: what died with its process or was interrupted was not."""


def counted(trials: Sequence[Any]) -> int:
    """Trials that count by the rule, those in work included."""
    return sum(_counts(trial) for trial in trials)


def _counts(trial: Any) -> bool:
    return trial.state.name in ("COMPLETE", "RUNNING") or trial.user_attrs.get("status") in COUNT


@dataclass
class _Trial:
    """A trial in work.

    :param trial: Optuna's.
    :param specs: its cells.
    :ivar records: of those that are over, by id.
    """

    trial: Any
    specs: list[Spec]
    records: dict[str, Record] = field(default_factory=dict)

    @property
    def ordered(self) -> list[Record]:
        """Records in the order of the seeds, as far as there are any."""
        return [self.records[spec.id] for spec in self.specs if spec.id in self.records]


class Rounds:
    """The jobs of a study, as `bench.slots.Slots` takes them.

    No trial is asked for before the last round is told: what a round draws depends on no clock.

    :param slots: processes on the CPU.
    :param on: where workers tell how far they are.
    :param say: is told how it goes, line by line.
    :param show: brings what is shown of the study up to date.
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
    ) -> None:
        self.show = show
        self.planned, self.study, self.owner, self.on, self.say = planned, study, owner, on, say
        cuda = [f"cuda:{i}" for i in range(gpus())] if planned.device == "cuda" and gpus() > 1 else [planned.device]
        self.devices = ["cpu"] * slots if planned.device == "cpu" else cuda
        self.source = environment.source_state()
        self.store = Store(planned.results)
        self.waiting: deque[Job] = deque()
        self.in_work = 0
        self.trials: dict[int, _Trial] = {}
        self.fresh: list[Spec] = []
        self.elsewhere = 0
        self.over_with = False
        self.spoke = time.monotonic()

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
        for trial in list(self.trials.values()):
            if record["id"] in {spec.id for spec in trial.specs}:
                trial.records[record["id"]] = record
                if len(trial.ordered) == len(trial.specs):
                    self._tell(trial)
        if record["id"] in {spec.id for spec in self.fresh}:
            step = record["steps_to"]["test"]["0.99"]
            crossed = "99 % not reached" if step is None else f"99 % at step {step:,}"
            self._speak(f"fresh seed {record['spec']['seed']}: {record['status']}, {crossed}")

    def end(self) -> None:
        """Fail what is still in work: it was interrupted, and does not count."""
        for trial in list(self.trials.values()):
            self._fail(trial.trial, {"status": "interrupted"})
        self.trials.clear()
        self._charge()

    # Rounds

    def _go_on(self) -> None:
        """The next round; the vault once there is none; nothing more once that is done."""
        self.elsewhere = 0
        if self.fresh:
            self.over_with = True
            return
        if "winner" not in self.study.user_attrs:
            while not self.waiting and self._ask():
                pass
            self._charge()
            self.elsewhere = 0 if self.waiting else self._running()
        if not self.waiting and not self.elsewhere:
            self._open()

    def _running(self) -> int:
        return len(self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))

    def _ask(self) -> int:
        """Ask for a round; how many trials it has."""
        with self.owner.asking():
            self.owner.fail_orphans()
            known = self.study.get_trials(deepcopy=False)
            room = self._room(known)
            entropy = (self.planned.entropy, len(known))
            self.study.sampler = make_sampler(self.planned.sampler, entropy, len(self.planned.objectives))
            units: dict[str, Unit] = {}
            for _ in range(room):
                units |= {unit.spec.id: unit for unit in self._draw()}  # what is drawn twice is trained once
        self.waiting += self._jobs(list(units.values()), None)
        return room

    def _room(self, known: Sequence[Any]) -> int:
        """How many trials the next round may have."""
        planned, room = self.planned, self.planned.round
        if counted(known) >= HOPELESS and not any(trial.state.name in ("COMPLETE", "RUNNING") for trial in known):
            return 0
        if planned.trials is not None:
            room = min(room, planned.trials - counted(known))
        if planned.compute is not None:
            room = min(room, self._affordable(known, planned.compute))
        return max(0, room)

    def _affordable(self, known: Sequence[Any], compute: float) -> int:
        """How many more trials surely fit, each as dear as the dearest so far; one to begin with, to see."""
        if any(trial.state.name == "COMPLETE" and "flops" not in trial.user_attrs for trial in known):
            raise RequestError(f"--compute does not apply to {self.planned.space.learner}: it does not count FLOPs.")
        running = sum(trial.state.name == "RUNNING" for trial in known)
        spent = [trial.user_attrs["flops"] for trial in known if trial.user_attrs.get("flops")]
        if not spent:
            return 0 if running else 1
        return int((compute - sum(spent)) / max(spent)) - running

    def _draw(self) -> list[Unit]:
        """Ask for a trial; its cells, none where a constructor refuses it."""
        planned = self.planned
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # heartbeats are looked after here; some samplers are experimental
            trial = self.study.ask()
            self.owner.takes(trial)
            try:
                found = planned.family(planned.space.draw(trial))
                specs = [found.at(seed) for seed in planned.seeds_of_trials]
                units = [Unit(spec, planned.budget(spec)) for spec in specs]
            except (RequestError, ValueError) as error:
                self._fail(trial, {"status": "refused", "error": " ".join(str(error).split())[:500]})
                self._speak(f"trial {trial.number}: refused, {error}")
                return []
        self.trials[trial.number] = _Trial(trial, specs)
        return units

    def _jobs(self, units: Sequence[Unit], results: str | None) -> list[Job]:
        """Cells of one structure side by side, in as many parts as there are slots."""
        groups: dict[Any, list[Unit]] = {}
        sizes: dict[Any, int] = {}
        kind = self.planned.device.partition(":")[0]
        for unit in units:
            spec, learner = unit.spec, unit.spec.make_learner()
            n_train = count_train(spec)
            structure = learner.structure(n_train)
            key = (structure, _code(spec)) if structure is not None else spec.learner["name"]
            alone = AT_ONCE if learner.granularity(n_train) == 0 else 1
            sizes[key] = alone if structure is None else FLEET[kind]
            groups.setdefault(key, []).append(unit)
        jobs = []
        for key, some in groups.items():
            slots = min(len(self.devices), len(some))
            count = math.ceil(len(some) / sizes[key] / slots) * slots
            parts = [part for first in range(count) if (part := tuple(some[first::count]))]
            repeats = self.planned.rounds if results is None else 1
            jobs += [Job(part, kind, THREADS, results, False, self.source, repeats=repeats) for part in parts]
        return jobs

    # What comes of trials

    def _tell(self, mine: _Trial) -> None:
        """All cells of a trial are over."""
        trial, records = mine.trial, mine.ordered
        attributes = measures(records)
        if any(record["status"] not in OVER for record in records):
            self._fail(trial, attributes)
            why = f", {attributes['error']}" if "error" in attributes else ""
            self._speak(f"trial {trial.number}: {attributes['status']}{why}")
            return
        values = values_of(self.planned.objectives, records)
        with suppress(UpdateFinishedTrialError):  # another process took this one for dead, and failed it
            if len(values) == 1:
                for step, accuracy in learning_curve(records):
                    trial.report(accuracy, step)
            for name, value in attributes.items():
                trial.set_user_attr(name, value)
            self.study.tell(trial, values, skip_if_finished=True)
        self._leave(trial)
        drawn = ", ".join(f"{name} {shown(value)}" for name, value in trial.params.items())
        self._speak(f"trial {trial.number}: {', '.join(map(shown, values))}, {_outcome(attributes)} ({drawn})")

    def _fail(self, trial: Any, attributes: Mapping[str, Any]) -> None:
        with suppress(UpdateFinishedTrialError):
            for name, value in attributes.items():
                trial.set_user_attr(name, value)
            self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        self._leave(trial)

    def _leave(self, trial: Any) -> None:
        self.trials.pop(trial.number, None)
        self.owner.leaves(trial)

    def cost(self) -> dict[str, Any]:
        """Trials that count, FLOPs and seconds of the whole search so far; what was interrupted or refused included."""
        known = self.study.get_trials(deepcopy=False)
        tried = [trial.user_attrs for trial in known if "seconds" in trial.user_attrs]
        uncounted = any("flops" not in attributes for attributes in tried)
        return {
            "trials": counted(known),
            "flops": None if uncounted else float(sum(attributes["flops"] for attributes in tried)),
            "seconds": float(sum(attributes["seconds"] for attributes in tried)),
        }

    def _charge(self) -> None:
        for name, value in self.cost().items():
            if self.study.user_attrs.get(name) != value:
                self.study.set_user_attr(name, value)
        self.show()

    # The winner

    def _open(self) -> None:
        """Choose the winner, once, and plan its fresh seeds: the vault is opened for it alone."""
        if not self.planned.fresh:
            self.over_with = True
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
        self.waiting += self._jobs(units, self.planned.results)
        if units:
            self._speak(f"trial {number} is the winner: {many(len(units), 'fresh seed')}, tested on the vault")

    def _winner(self) -> int | None:
        chosen = self.study.user_attrs.get("winner")
        known = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return best_of(self.planned.objectives, [(t.number, t.values) for t in known]) if chosen is None else chosen

    def _fresh_specs(self, number: int) -> list[Spec]:
        found = self.planned.family(self.planned.space.draw(FixedTrial(self._params(number))), opened=True)
        return [found.at(seed) for seed in self.planned.seeds_of_winner]

    def _params(self, number: int) -> dict[str, Any]:
        return self.study.get_trials(deepcopy=False)[number].params

    def _fresh_unit(self, spec: Spec) -> Unit | None:
        """What is left to do of a fresh seed."""
        # To the end of the budget, as the cells that it is compared with: what is lost later counts too.
        budget, record = replace(self.planned.budget(spec), stop_when_solved=False), self.store.read(spec.id)
        todo = "run" if record is None else action(record, budget)
        return None if todo == "done" else Unit(spec, budget, record if todo in ("extend", "resume") else None)

    def best(self) -> dict[str, Any] | None:
        """Number, parameters, value and steps to a sustained 99 % of the winner, or of the best so far."""
        number = self._winner()
        if number is None:
            return None
        trial = self.study.get_trials(deepcopy=False)[number]
        value = trial.values[0] if len(trial.values) == 1 else list(trial.values)
        held = trial.user_attrs.get("sustained_steps_to_99")
        return {"number": number, "params": dict(trial.params), "value": value, "held": held}

    def cells(self) -> list[Record]:
        """Records of the winner's fresh seeds, each saying what tuning it cost."""
        tuning = {"study": self.study.study_name, "rule": self.planned.rule, **self.cost()}
        found = []
        for spec in self.fresh:
            record = self.store.read(spec.id)
            if record is not None:
                if "tuning" not in record and record["status"] != "interrupted":
                    record = {**record, "tuning": tuning}
                    self.store.write(record)
                found.append(record)
        return found

    # What is said

    def _speak(self, text: str) -> None:
        self.spoke = time.monotonic()
        self.say(text)

    def _pulse(self) -> None:
        if time.monotonic() - self.spoke < PULSE:
            return
        moments = self.on.moments()
        if moments:
            slowest = min(moments, key=lambda moment: moment.step / max(1, moment.budget))
            note = f" ({slowest.note})" if slowest.note else ""
            where = f"the slowest at step {slowest.step:,} of {slowest.budget:,}{note}"
            self._speak(f"{len(moments)} cells in training, {where}")
        elif self.elsewhere:
            self._speak("waiting for what other processes have in work")


def _code(spec: Spec) -> str:
    """What decides the codes."""
    encoder = {name: value for name, value in spec.encoder.items() if name != "random_state"}
    return json.dumps([encoder, spec.combine, spec.sdr, spec.precision])


def _outcome(attributes: Mapping[str, Any]) -> str:
    held, accuracy = attributes.get("sustained_steps_to_99"), attributes.get("validation_accuracy", 0.0)
    solved = "99 % not held" if held is None else f"99 % held from step {held:,.0f}"
    return f"{solved}, validation {100 * accuracy:.1f} %"
