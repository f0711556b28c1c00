"""The lines of a journal: which of them can be read, and where a damaged end begins."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.tuning.optuna_internals import OPERATIONS, Replay

BEGIN = b'{"op_code":'
"""How each line of a journal begins."""

CREATE_STUDY, CREATE_TRIAL = 0, 4
"""Operations that make something."""

REST = 60
"""Letters of an unreadable line that are shown."""

_HINT = re.compile(
    rb'\{"op_code":(?P<operation>\d{1,18}),"worker_id":"(?P<worker>[^"\\]*)"'
    rb'(?:,"(?:study_id":(?P<study>\d{1,18})|trial_id":(?P<trial>\d{1,18})|study_name":(?P<name>"(?:[^"\\]|\\.)*"))(?=[,}]))?'
)


class Fault(NamedTuple):
    """A line that cannot be read or applied.

    :param number: counted from 1.
    :param why: as "it holds NULs".
    """

    number: int
    why: str


@dataclass(frozen=True)
class Hint:
    """What the beginning of a damaged line says of it; None where it does not say.

    :param operation: the number by which Optuna knows the operation.
    """

    operation: int | None = None
    worker: str | None = None
    study: int | None = None
    trial: int | None = None
    name: str | None = None


def read_line(content: bytes) -> tuple[dict[str, Any] | None, str]:
    r"""What a line says, or None and why it cannot be read.

    >>> read_line(b'{"op_code":1,"worker_id":"a","study_id":0}\n')
    ({'op_code': 1, 'worker_id': 'a', 'study_id': 0}, '')
    >>> read_line(b'{"op_code":1,"wor')
    (None, 'its end is missing')
    """
    if b"\0" in content:
        return None, "it holds NULs, as after a power cut"
    if not content.endswith(b"\n"):
        return None, "its end is missing"
    try:
        log = json.loads(content)
    except (ValueError, RecursionError):
        shown = content[:REST].decode(errors="replace").strip()
        return None, f"it is no JSON: {shown!r}{'…' if len(content) > REST else ''}" if shown else "it is empty"
    known = isinstance(log, dict) and type(log.get("op_code")) is int and log["op_code"] in OPERATIONS
    if not known or not isinstance(log.get("worker_id"), str):
        return None, "it is no operation of Optuna's"
    return log, ""


def hint_of(content: bytes) -> Hint:
    """What the beginning of a damaged line says.

    >>> hint_of(b'{"op_code":4,"worker_id":"a-1","study_id":2,"datet')
    Hint(operation=4, worker='a-1', study=2, trial=None, name=None)
    """
    found = _HINT.match(content)
    if found is None:
        return Hint()
    numbers = {key: None if found[key] is None else int(found[key]) for key in ("operation", "study", "trial")}
    name = None
    with suppress(ValueError):
        name = None if found["name"] is None else str(json.loads(found["name"]))
    return Hint(worker=found["worker"].decode(errors="replace"), name=name, **numbers)


def whole_in(content: bytes) -> tuple[bytes, bytes]:
    """A damaged line, and a whole line at its end, which was appended to half a line or to NULs; empty if none is."""
    start = content.rfind(BEGIN)
    return (content[:start], content[start:]) if start > 0 and read_line(content[start:])[0] else (content, b"")


def split(content: bytes) -> list[bytes]:
    """The lines of a file, each with its end."""
    lines = content.split(b"\n")
    return [*(line + b"\n" for line in lines[:-1]), *([lines[-1]] if lines[-1] else [])]


def end_of_whole(content: bytes) -> int:
    """Where the last lines of a journal that cannot be read begin; its length where there are none.

    :raises ValueError: where it is no journal.
    """
    end = len(content)
    while end:
        start = content.rfind(b"\n", 0, end - 1) + 1
        if read_line(content[start:end])[0] is not None:
            return end
        end = start
    first = content[: content.find(b"\n") + 1] or content
    if content.strip(b"\0\n") and not (first.startswith(BEGIN) or BEGIN.startswith(first)):
        raise ValueError("no journal")
    return 0


class Made:
    """Counts the studies and trials that lines make, to find lines which name one that no earlier line has made.

    Lines that Optuna leaves out, as a study whose name there is already, count too: this finds too few faults rather
    than one that is none. Optuna passes over such lines without an error, and makes an empty journal of all of them.
    """

    def __init__(self) -> None:
        self.studies = self.trials = 0

    def lack(self, log: Mapping[str, Any]) -> str:
        """Count a line; what it names that no earlier line has made, "" if nothing is missing. Each is told once."""
        study, trial = number_in(log, "study_id"), number_in(log, "trial_id")
        lost_study, lost_trial = study >= self.studies, trial >= self.trials
        self.studies = max(self.studies, study + 1) + (log["op_code"] == CREATE_STUDY)
        self.trials = max(self.trials, trial + 1) + (log["op_code"] == CREATE_TRIAL)
        if not lost_study and not lost_trial:
            return ""
        named = f"study {study}" if lost_study else f"trial {trial}"
        return f"it names {named}, which no line before it has made"


def number_in(log: Mapping[str, Any], key: str) -> int:
    """The id of a study or a trial that a line names; −1 where it names none."""
    value = log.get(key)
    return value if type(value) is int else -1


def is_journal(lines: Sequence[bytes]) -> bool:
    """Whether at least one line can be read."""
    return any(read_line(content)[0] is not None for content in lines)


def faults_of(lines: Sequence[bytes]) -> Iterator[Fault]:
    """The lines that cannot be read, that Optuna cannot apply, or that name what no earlier line has made.

    What a damaged line would have made is not missed: its own fault says enough.
    """
    replay, made, damaged = Replay(), Made(), False
    for number, content in enumerate(lines, 1):
        log, why = read_line(content)
        if log is not None:
            lack, why = made.lack(log), replay.refusal(log)
            why = why or ("" if damaged else lack)
        damaged = damaged or bool(why)
        if why:
            yield Fault(number, why)


def described(faults: Sequence[Fault], path: Path) -> str:
    """As "line 12 of 'studies.journal' cannot be read: it holds NULs; so can 2 more, up to line 40"."""
    first, more = faults[0], len(faults) - 1
    others = f", and {more:,} more up to line {faults[-1].number:,}" if more else ""
    return f"line {first.number:,} of {str(path)!r} cannot be read ({first.why}){others}"
