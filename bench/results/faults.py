"""What is wrong with the content of a record's file: missing keys, and values of another kind than is written there.

Whoever reads a record that passes can rely on the types of `bench.results.record`.
"""

import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from textwrap import shorten
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from bench.errors import DamagedError, StoreError, doctor_command, notify
from bench.results.curves import PARTS, TARGETS
from bench.results.record import READ, Curve, ProbeKeys, Record, Status
from bench.results.words import few_of

LARGEST = 2**63 - 1
"""Of whole numbers, which become arrays."""

LONGEST_REASON, LONGEST_MESSAGE = 80, 120
"""Letters of what is told of one of several records."""

Fault = tuple[str, Any]
"""Where a value of another kind stands, as ".final.step", and the value."""
Check = Callable[[Any], Fault | None]

_ACCURACIES = [f"{part}_accuracy" for part in PARTS]
_PROBES = get_type_hints(ProbeKeys).keys()
_FLOATS = {float, type(None)}
_NAMED = ("encoder", "learner", "optimizer")
"""Parts of a spec that name a plugin."""
_USUAL = get_type_hints(Curve).keys()
"""The lists that every curve may have."""
_NESTED = {key: kind for key, kind in get_type_hints(Record).items() if is_typeddict(kind)}


def is_newer(record: Any) -> bool:
    """Whether a record was written by a later version, which this one cannot read: it is not damaged."""
    schema = record.get("schema") if isinstance(record, dict) else None
    return type(schema) is int and schema > max(READ)


def fault_of_record(record: Any, id: str) -> str | None:
    """What is wrong with the content of a record's file; None where nothing is."""
    if not isinstance(record, dict):
        return "it is no record"
    missing = _missing(record, Record)
    if missing:
        return f"it lacks {missing}"
    if record["schema"] not in READ:
        return f"its schema is {record['schema']!r}, this version reads {' and '.join(map(str, READ))}"
    if record["id"] != id:
        return f"it says that it is {reprlib.repr(record['id'])}"
    if record["status"] not in get_args(Status):
        return f"its status is {reprlib.repr(record['status'])}"
    faults = ((key, _missing(record[key], kind)) for key, kind in _NESTED.items())
    lacking = next((f"its {key} lacks {missing}" for key, missing in faults if missing), None)
    return lacking or _fault_of_values(record)


def _missing(values: Any, kind: Any) -> str:
    """The required keys of a TypedDict that a value lacks, separated by commas."""
    found = values if isinstance(values, dict) else {}
    if kind.__required_keys__ <= found.keys():  # as nearly always: thousands of records are read at a time
        return ""
    return ", ".join(key for key in kind.__annotations__ if key in kind.__required_keys__ and key not in found)


def _fault_of_values(record: Mapping[str, Any]) -> str | None:
    """Which value of a record is of another kind."""
    fault = _CHECK(record) or _fault_of_names(record["spec"]) or _fault_of_curve(record["curve"])
    if fault is not None:
        return f"its {fault[0].removeprefix('.')} is {reprlib.repr(fault[1])}"
    if len({len(values) for values in record["curve"].values()}) > 1:
        return "the parts of its curve are of different lengths"
    return _fault_of_shares(record) or _fault_of_crossings(record)


def _fault_of_names(spec: Mapping[str, Any]) -> Fault | None:
    """A plugin without a name, or with a seed that is no number."""
    for key in _NAMED:
        part = spec.get(key)
        if part is not None and not isinstance(part.get("name"), str):
            return f".spec.{key}.name", part.get("name")
        seed = None if part is None or key == "optimizer" else part.get("random_state")
        if seed is not None and (fault := _integer(seed)):
            return f".spec.{key}.random_state", fault[1]
    return None


def _fault_of_curve(curve: Mapping[str, Any]) -> Fault | None:
    """Something in a curve that is no list of numbers; learners add lists of their own, of yes and no as well."""
    for name, values in curve.items():
        if name in _USUAL:
            continue
        if not isinstance(values, list) or not (types := set(map(type, values))) <= {int, float, bool, type(None)}:
            return f".curve.{name}", values
        if types <= _FLOATS and math.isfinite(sum(filter(None, values))):
            continue
        if not all(math.isfinite(value) for value in values if type(value) is float):
            return f".curve.{name}", values
    return None


def _fault_of_shares(record: Mapping[str, Any]) -> str | None:
    """An accuracy that is not between 0 and 1."""
    named = {name: record["final"].get(name) for name in _ACCURACIES}
    named |= {name: record["probes"].get(name) for name in _PROBES}
    for name, value in {**named, "test_accuracy_diagonal": record["test_accuracy_diagonal"]}.items():
        if value is not None and not 0 <= value <= 1:
            return f"its {name} is {value!r}"
    for name in _ACCURACIES:
        known = [*filter(None, record["curve"].get(name, ()))]
        if known and not 0 <= min(known) <= max(known) <= 1:
            return f"an accuracy of its curve is not between 0 and 1 ({name})"
    return None


def _fault_of_crossings(record: Mapping[str, Any]) -> str | None:
    """Crossings of which a target is missing."""
    for key in ("steps_to", "sustained_steps_to"):
        for part in PARTS:
            crossings = record[key].get(part)
            missing = [str(target) for target in TARGETS if crossings is not None and str(target) not in crossings]
            if missing:
                return f"its {key}.{part} lacks {', '.join(missing)}"
    return None


# In words


def described_faults(faults: Sequence[StoreError]) -> str:
    """Which records are damaged and why, without a full stop: all of one, or of several how many and the first.

    As "The record 'results/0.json' is damaged: it is empty" or "2 records in 'results' are damaged: 0.json (it is
    empty), 1.json (it is a folder)".
    """
    if len(faults) == 1:
        [fault] = faults
        if isinstance(fault, DamagedError):
            return f"The record {str(fault.path)!r} is damaged: {fault.why}"
        return str(fault).removesuffix(".")
    damaged = [fault for fault in faults if isinstance(fault, DamagedError)]
    if len(damaged) == len(faults):
        folders = ", ".join(dict.fromkeys(repr(str(fault.path.parent)) for fault in damaged))
        named = [f"{fault.path.name} ({shorten(fault.why, LONGEST_REASON, placeholder='…')})" for fault in damaged]
        return f"{len(faults):,} records in {folders} are damaged: {few_of(named)}"
    named = [shorten(str(fault), LONGEST_MESSAGE, placeholder="…").removesuffix(".") for fault in faults]
    return f"{len(faults):,} records cannot be used: {few_of(named, '; ')}"


def tell_set_aside(aside: Sequence[DamagedError]) -> None:
    """Tell the user which records were set aside, if any were, so that their cells are computed anew."""
    if not aside:
        return
    one = aside[0].aside if len(aside) == 1 else None
    kept = f"It is kept as {one.name}, and its cell is" if one else "They are kept as ….aside-N, and their cells are"
    notify(f"{described_faults(aside)}. {kept} computed anew.")


def told_of_faults(faults: Sequence[StoreError]) -> str:
    """The same as a sentence, with the command that sets damaged records aside."""
    if len(faults) == 1:
        return str(faults[0])
    folders = dict.fromkeys(fault.path.parent for fault in faults if isinstance(fault, DamagedError))
    remedies = [f"{doctor_command(folder)} sets them aside." for folder in folders]
    return " ".join([f"{described_faults(faults)}.", *remedies])


# Checks of kinds


def _integer(value: Any) -> Fault | None:
    return None if type(value) is int and -LARGEST <= value <= LARGEST else ("", value)


def _number(value: Any) -> Fault | None:
    if type(value) is float:
        return None if math.isfinite(value) else ("", value)
    return _integer(value)


def _numbers(values: Any) -> Fault | None:
    """Whether a value is a list of numbers and None: fast, since a curve has thousands."""
    if not isinstance(values, list):
        return "", values
    types = set(map(type, values))
    if types <= _FLOATS and math.isfinite(sum(filter(None, values))):
        return None
    return next((fault for value in values if value is not None and (fault := _number(value))), None)


def _integers(values: Any) -> Fault | None:
    if not isinstance(values, list) or not set(map(type, values)) <= {int}:
        return "", values
    return None if not values or -LARGEST <= min(values) <= max(values) <= LARGEST else ("", values)


def _of_type(kind: type) -> Check:
    return lambda value: None if type(value) is kind else ("", value)


def _check_of(kind: Any) -> Check:
    """The check of a type: of those that the keys of a record have."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value: None
    if kind in (int, float):
        return _integer if kind is int else _number
    if kind is list or origin is list:
        return _list_of(arguments[0])
    if kind is dict or origin is dict:
        return _mapping_of(_check_of(arguments[1]))
    if is_typeddict(kind):
        return _keys_of({key: _check_of(value) for key, value in get_type_hints(kind).items()})
    if origin is Literal:
        return lambda value: None if value in arguments else ("", value)
    if origin in (Union, UnionType):
        [other] = [one for one in arguments if one is not type(None)]
        check = _check_of(other)
        return lambda value: None if value is None else check(value)
    return _of_type(kind)


def _list_of(kind: Any) -> Check:
    if kind == float | None:
        return _numbers
    if kind is int:
        return _integers
    check = _check_of(kind)

    def checked(value: Any) -> Fault | None:
        if not isinstance(value, list):
            return "", value
        return next((fault for one in value if (fault := check(one))), None)

    return checked


def _mapping_of(check: Check) -> Check:
    def checked(value: Any) -> Fault | None:
        if not isinstance(value, dict):
            return "", value
        return next(((f".{key}{f[0]}", f[1]) for key, one in value.items() if (f := check(one))), None)

    return checked


def _keys_of(checks: Mapping[str, Check]) -> Check:
    def checked(value: Any) -> Fault | None:
        if not isinstance(value, dict):
            return "", value
        for key, check in checks.items():
            if key in value and (fault := check(value[key])):
                return f".{key}{fault[0]}", fault[1]
        return None

    return checked


_CHECK = _check_of(Record)
