"""The version of what is stored and printed."""

from typing import Any

import numpy as np

__all__ = ["SCHEMA", "Record", "State", "fault_of_record", "goes_further"]

SCHEMA = 1
"""Of records and of the documents that --json prints. Raised when a key changes its meaning."""


Record = dict[str, Any]


State = dict[str, np.ndarray]


STATUSES = ("done", "diverged", "failed", "timeout", "interrupted")


_REQUIRED = (
    *("schema", "id", "label", "status", "spec", "budget", "parameters", "final", "steps_to", "sustained_steps_to"),
    *("test_accuracy_diagonal", "seconds", "replicas", "flops", "peak_memory_bytes", "probes", "environment"),
    *("curve", "error"),
)


_INNER = {
    "spec": ("task", "protocol", "encoder", "learner", "split_seed", "seed"),
    "budget": ("steps", "seconds", "stop_when_solved"),
    "final": ("step", "train_accuracy", "test_accuracy"),
    "steps_to": ("train", "test"),
    "sustained_steps_to": ("train", "test"),
    "seconds": ("total",),
    "probes": ("ridge", "knn"),
    "environment": ("device", "threads", "versions"),
    "curve": ("step", "train_accuracy", "validation_accuracy", "test_accuracy"),
}


def fault_of_record(record: Any, id: str) -> str | None:
    """What is wrong with the content of a record's file, None where nothing is."""
    if not isinstance(record, dict):
        return "it is no record"
    missing = [key for key in _REQUIRED if key not in record]
    if missing:
        return f"it lacks {', '.join(missing)}"
    if record["schema"] != SCHEMA:
        return f"its schema is {record['schema']!r}, this version reads {SCHEMA}"
    if record["id"] != id:
        return f"it says that it is {record['id']!r}"
    if record["status"] not in STATUSES:
        return f"its status is {record['status']!r}"
    for key, inner in _INNER.items():
        lacking = [name for name in inner if not isinstance(record[key], dict) or name not in record[key]]
        if lacking:
            return f"its {key} lacks {', '.join(lacking)}"
    return None


def goes_further(stored: Record, record: Record) -> bool:
    """Whether a stored record holds more of a cell than a new one."""
    reached, new = stored["final"]["step"], record["final"]["step"]
    return reached is not None and (new is None or reached > new)
