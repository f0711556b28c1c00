"""Jobs for workers that do not see the results folder: what they need goes with them, and what they make comes back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.errors import StoreError
from bench.executors.channel import Channel
from bench.executors.jobs import Job, Result
from bench.executors.memory_store import MemoryStore
from bench.executors.worker import keep_results, run_job
from bench.results import State, Store


@dataclass(frozen=True)
class Parcel:
    """A job as it is sent.

    :param states: the checkpoints from which its cells continue, by id.
    """

    job: Job
    states: Mapping[str, State]


@dataclass(frozen=True)
class Delivery:
    """The result of one cell as it comes back.

    :param state: its checkpoint; empty without one.
    :param kept: its states along training, by step.
    """

    result: Result
    state: State
    kept: Mapping[int, State]


def pack_job(job: Job, device: str) -> Parcel:
    """A job with what it needs of the results folder, for one thread: workers may differ in their cores.

    :param device: its device, by the name that the worker has for it.
    """
    states: dict[str, State] = {}
    if job.results is not None:
        store = Store(job.results)
        for unit in job.units:
            state = unit.prior and store.checkpoints.read(unit.spec.id, unit.prior["final"]["step"])
            if state:
                states[unit.spec.id] = state
    return Parcel(replace(job, device=device, threads=1, lease=None), states)


def run_parcel(parcel: Parcel, channel: Channel) -> list[Delivery]:
    """Run a job where there is no results folder."""
    if parcel.job.results is None:
        return [Delivery(result, {}, {}) for result in run_job(parcel.job, channel)]
    store = MemoryStore()
    for unit in parcel.job.units:
        if unit.prior and unit.spec.id in parcel.states:
            store.checkpoints.write(unit.spec.id, unit.prior["final"]["step"], parcel.states[unit.spec.id])
    return [_delivery(result, store) for result in run_job(parcel.job, channel, store)]


def _delivery(result: Result, store: MemoryStore) -> Delivery:
    id, step = result.record["id"], result.record["final"]["step"]
    kept = {one: state for one in store.states.steps(id) if (state := store.states.read(id, one))}
    return Delivery(result, store.checkpoints.read(id, step) or {}, kept)


def unpack(deliveries: Sequence[Delivery], job: Job, parcel: Parcel, channel: Channel) -> list[Result]:
    """Store what came back of a job, and return its results."""
    if job.results is None:
        return [one.result for one in deliveries]
    states, items = Store(job.results).states, []
    for one in deliveries:
        result, id = one.result, one.result.record["id"]
        if id not in parcel.states:  # it was trained anew
            states.remove(id)
        try:
            for step, state in one.kept.items():
                states.write(id, step, state)
        except StoreError as error:
            result = replace(result, problem=result.problem or f"Its states along training are not kept: {error}")
        items.append((result, one.state))
    return keep_results(job, channel, items)
