"""Writing a journal without its damaged lines, so that Optuna opens it and all other trials are as before.

Optuna counts trials and studies in the order of the lines that create them. Where such a line is gone, all later ones
would be taken for others, so that another one stands in its place: of a study without a name, or of a failed trial. How
many were created in a damaged place follows from the numbers that later lines name. A study that no place has room for
was made before the first line, and a trial before the line that names it, by lines that are gone altogether. Where the
beginning of a damaged line says of which trial it is, that trial has lost something and counts as failed. See `mended`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.tuning.objectives import DIRECTIONS
from bench.tuning.optuna_internals import Replay
from bench.tuning.storage.lines import CREATE_STUDY, CREATE_TRIAL, Hint, hint_of, number_in, read_line, whole_in

WORKER = "mended"
"""The worker of lines that this module writes."""
SHORTEST = 100
"""Bytes of a line that creates something, at least: a damaged place may have held so many of them."""
SET_STUDY, SET_STATE, SET_TRIAL = 2, 6, 8
OF_TRIALS = range(5, 10)
"""Operations that name a trial by its id."""
GONE = "lines before it are gone"
MOST_TOLD = 3
"""What a sentence about a place names at most."""
FAILED, LONG_AGO = 3, "1970-01-01T00:00:00.000000+00:00"

Log = dict[str, Any]


@dataclass
class _Place:
    """A damaged place among the lines, or one where lines are gone.

    :param number: of its line, or of the one before which lines are gone, counted from 1.
    :param room: how many lines it may have held.
    :param studies: what it creates, as lines that stand in for others.
    :param trials: likewise.
    :ivar known: the names of the studies that there are at this place, by id.
    """

    number: int
    why: str
    hint: Hint
    room: int
    studies: list[Log] = field(default_factory=list)
    trials: list[Log] = field(default_factory=list)
    known: dict[int, str] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """How many more lines it may have held."""
        return self.room - len(self.studies) - len(self.trials)


def mended(lines: Sequence[bytes]) -> tuple[bytes, list[str]]:
    """The content of a journal without its damaged lines, and what was lost, a sentence for each damaged line.

    Trials and studies of whose lines none is damaged keep their numbers, parameters, values and attributes, where one
    place is damaged and a later line names what was created there or after it.
    """
    journal = _Journal(lines)
    while journal.add_one():
        pass
    return b"".join(journal.written()), journal.losses


class _Journal:
    """Lines, and places that are damaged."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.items: list[tuple[bytes, Log, int] | _Place] = [_Place(1, GONE, Hint(), 0)]
        self.losses: list[str] = []
        self.unresolved: set[int] = set()
        replay = Replay()
        for number, content in enumerate(lines, 1):
            log, why = read_line(content)
            why = why if log is None else replay.refusal(log)
            if not why and log is not None:
                self.items.append((content, log, number))
                continue
            damaged, whole = whole_in(content)
            self.items.append(_Place(number, why, hint_of(damaged), max(1, len(damaged) // SHORTEST)))
            after = read_line(whole)[0] if whole else None
            if after is not None:
                self.items.append((whole, after, number))
        for place in self._places():
            if place.hint.operation == CREATE_STUDY:
                place.studies.append({})
            elif place.hint.operation == CREATE_TRIAL:
                place.trials.append({})

    def _places(self) -> list[_Place]:
        return [item for item in self.items if isinstance(item, _Place)]

    def _gap(self, index: int, studies: bool) -> _Place:
        """The place of lines that are gone before the line of an index: at the beginning, if anything is missing there
        already or it is a study that is missing, else directly before the line.
        """
        first, before, line = self.items[0], self.items[index - 1], self.items[index]
        assert isinstance(first, _Place)
        assert not isinstance(line, _Place)
        if studies or first.studies:
            return first
        if isinstance(before, _Place) and before.why == GONE:
            return before
        gap = _Place(line[2], GONE, Hint(), 0)
        self.items.insert(index, gap)
        self.unresolved = {one + (one >= index) for one in self.unresolved}
        return gap

    def add_one(self) -> bool:
        """Add what must have been created in a damaged place before the first line that names it; False if nothing."""
        replay, last, places = Replay(), LONG_AGO, list[_Place]()
        for index, item in enumerate(self.items):
            if isinstance(item, _Place):
                places.append(item)
                self._fill(item, replay, last)
                continue
            log = item[1]
            if index not in self.unresolved and self._lacks(log, replay):
                if self._create(index, log, replay, places):
                    return True
                self.unresolved.add(index)
            if not replay.refusal(log):
                last = _time_of(log) or last
        return False

    def _lacks(self, log: Log, replay: Replay) -> bool:
        """Whether a line names a study or a trial that nothing before it has created."""
        return number_in(log, "study_id") >= replay.next_study or number_in(log, "trial_id") >= replay.trials

    def _create(self, index: int, log: Log, replay: Replay, places: Sequence[_Place]) -> bool:
        """Add what a line names to the last places before it that have room, or to where lines are gone.

        :returns: False where it names more than all lines of the journal could be about: such a number is damaged.
        """
        study, trial = number_in(log, "study_id"), number_in(log, "trial_id")
        missing = study - replay.next_study + 1 if study >= replay.next_study else trial - replay.trials + 1
        if missing > sum(place.left for place in places):
            if missing > len(self.items):
                return False
            gap = self._gap(index, study >= replay.next_study)
            gap.room += missing
            places = [gap]
        for place in reversed(places):
            added: list[Log] = [{} for _ in range(min(missing, place.left))]
            if study >= replay.next_study:
                place.studies += added
            else:
                place.trials += added
            missing -= len(added)
        return True

    def _fill(self, place: _Place, replay: Replay, last: str) -> None:
        """Write the lines that stand in for what a place creates, and apply them."""
        place.known = replay.studies
        if place.trials and not place.known and not place.studies:
            place.studies.append({})  # a trial needs one
        for number, log in enumerate(place.studies):
            id = replay.next_study
            name = place.hint.name if number == 0 and place.hint.name not in place.known.values() else None
            log.update(op_code=CREATE_STUDY, worker_id=WORKER, study_name=name or f"damaged-{id}")
            log["directions"] = self._directions(id)
            replay.refusal(log)
        place.known = replay.studies
        for log in place.trials:
            log.update(op_code=CREATE_TRIAL, worker_id=WORKER, state=FAILED, datetime_start=last)
            log.update(study_id=self._study_of(replay.trials, place), datetime_complete=last)
            log["user_attrs"] = {"status": "orphaned", "error": "its line in the journal was damaged"}
            replay.refusal(log)

    def _logs(self) -> Iterator[Log]:
        return (item[1] for item in self.items if not isinstance(item, _Place))

    def _directions(self, study: int) -> list[int]:
        """The directions of a study whose first line is lost: from what `tune` keeps of it, else not set."""
        for log in self._logs():
            what = log.get("user_attr", {}).get("what") if log["op_code"] == SET_STUDY else None
            if isinstance(what, str) and log.get("study_id") == study:
                try:
                    return [1 if DIRECTIONS[name] == "minimize" else 2 for name in json.loads(what)["objective"]]
                except (ValueError, LookupError, TypeError):
                    break
        return [0]

    def _study_of(self, trial: int, place: _Place) -> int:
        """The study of a trial whose first line is lost.

        It is named in what is left of the line; or the worker that wrote the trial's other lines, or its process, has
        written to one study; or there is one study only. Else it is the study of the nearest line that names one.
        """
        if place.hint.study in place.known:
            return int(place.hint.study or 0)
        worker = next((log["worker_id"] for log in self._logs() if number_in(log, "trial_id") == trial), None)
        for same in (lambda one: one == worker, lambda one: one.rpartition("-")[0] == str(worker).rpartition("-")[0]):
            of_worker = {log["study_id"] for log in self._logs() if "study_id" in log and same(log["worker_id"])}
            if len(of_worker & place.known.keys()) == 1:
                return int((of_worker & place.known.keys()).pop())
        here = next(index for index, item in enumerate(self.items) if item is place)
        named = [
            (abs(index - here), item[1]["study_id"])
            for index, item in enumerate(self.items)
            if not isinstance(item, _Place) and item[1].get("study_id") in place.known
        ]
        return int(min(named, default=(0, next(iter(place.known), 0)))[1])

    def written(self) -> Iterator[bytes]:
        """The lines of the mended journal. What was lost is told in ``losses``."""
        replay, last = Replay(), LONG_AGO
        for item in self.items:
            if not isinstance(item, _Place):
                if self._lacks(item[1], replay):
                    self.losses.append(f"line {item[2]:,} (it names what no line before it has made): it is left out")
                    continue
                # It may be of something that is lost: Optuna leaves such lines out, as it does those that are too late.
                if not replay.refusal(item[1]):
                    last = _time_of(item[1]) or last
                    yield item[0]
                continue
            said = []
            for log in [*item.studies, *item.trials, *self._failing(item, replay, last)]:
                replay.refusal(log)
                said += _loss(log, replay)
                yield json.dumps(log, separators=(",", ":")).encode() + b"\n"
            if item.why == GONE and not said:
                continue
            told = list(dict.fromkeys(said))
            told[MOST_TOLD:] = [f"{len(told) - MOST_TOLD:,} more like these"] if len(told) > MOST_TOLD else []
            what = "; ".join(told) or "what it said is not known"
            self.losses.append(f"line {item.number:,} ({item.why}): {what}")

    def _failing(self, place: _Place, replay: Replay, last: str) -> list[Log]:
        """Lines by which a trial fails of which a line is damaged."""
        trial = place.hint.trial
        if trial is None or trial >= replay.trials or place.hint.operation not in OF_TRIALS:
            return []
        common = {"worker_id": WORKER, "trial_id": trial}
        attributes = {"status": "orphaned", "error": "a line of it in the journal was damaged"}
        return [
            *({"op_code": SET_TRIAL, **common, "user_attr": {name: value}} for name, value in attributes.items()),
            {"op_code": SET_STATE, **common, "state": FAILED, "values": None, "datetime_complete": last},
        ]


def _loss(log: Mapping[str, Any], replay: Replay) -> list[str]:
    """What a line says that stands in for another."""
    if log["op_code"] == CREATE_STUDY:
        return [f"the beginning of a study, which is now called {log['study_name']!r}"]
    if log["op_code"] == CREATE_TRIAL:
        study, number = replay.of_trial(replay.trials - 1)
        return [f"the beginning of trial {number} of {replay.studies.get(study, '')!r}, which counts as failed"]
    study, number = replay.of_trial(log["trial_id"])
    whose = f"trial {number} of {replay.studies.get(study, '')!r}"
    return [f"something of {whose}, which counts as failed unless it was over before"]


def _time_of(log: Mapping[str, Any]) -> str | None:
    time = log.get("datetime_complete") or log.get("datetime_start")
    return time if isinstance(time, str) else None
