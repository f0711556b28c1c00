"""The executor of a Dask cluster: jobs go to its workers, and records come back to this machine, which stores them."""

import asyncio
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from bench.errors import RequestError, notify, optional_package
from bench.executors.base import Executor
from bench.executors.channel import Channel
from bench.executors.dask_client import CONNECT, connected, gone, workers_of
from bench.executors.jobs import Job, Result
from bench.executors.parcels import Delivery, Parcel, pack_job, run_parcel, unpack
from bench.executors.passports import ASKED, Passport, difference, passport
from bench.executors.slots import Slot, SlotExecutor
from bench.harness import CellProgress
from bench.results import few_of

LOOK_EVERY = 1.0
"""Seconds between two looks at which workers there are."""
TOLD_EVERY = 2.0
"""Seconds between two reports of progress by a worker."""
AHEAD = 10.0
"""A worker whose last job took fewer seconds is sent the next one ahead, so that it need not wait for it."""
PATIENCE = 60.0
"""Seconds after which a worker that does not tell its versions gets no jobs."""
TOPIC = "mod97"
"""Of the events of workers, and the name of the folder in which each keeps probes."""
GPU = "GPU"
"""The resource of workers that have a GPU."""


class Dask(SlotExecutor):
    """Runs a queue on the workers of a Dask cluster, of which each runs one job at a time.

    A job goes to a worker that was found fit: its versions are those of this machine. Each worker has two slots, one of
    them for a short job that is sent ahead. The cells of a worker that is lost run again on another one; each is stored
    once, since this process alone stores.

    :ivar took: the seconds of the last job of each worker, by address.
    """

    workers_vary = True
    spare_losses = 3
    address: ClassVar[str] = ""
    first: ClassVar[Mapping[str, Any]]
    slots: "list[_Slot]"

    def __init__(self, devices: Sequence[str], channel: Channel, in_process: bool = False) -> None:
        super().__init__([device.partition(":")[0] for device in devices], channel)
        self.slots = []
        self.client: Any = None
        self.number = uuid.uuid4().hex
        self.known: set[str] = set()
        self.took: dict[str, float] = {}
        self.is_begun = False
        self.check: Future[dict[str, Any]] | None = None
        self.checked_at = -math.inf
        self.asked: list[str] = []
        self.looked_at = -math.inf
        self.resources = ExitStack()

    @classmethod
    def at(cls, address: str) -> type[Executor]:
        """This executor with the address of a scheduler."""
        if not address:
            raise RequestError("`executor` dask needs `scheduler`: its address, as tcp://127.0.0.1:8786.")
        optional_package("distributed", "dask", "`executor` dask")
        return type(cls.__name__, (cls,), {"address": address, "__module__": cls.__module__})

    @classmethod
    def cores(cls) -> int:
        """The number of workers when it is first asked for; 1 while there is none."""
        return max(1, len(cls._first_workers()))

    @classmethod
    def gpus(cls) -> int:
        """The number of workers with a GPU when it is first asked for."""
        return sum(_has_gpu(worker) for worker in cls._first_workers().values())

    @classmethod
    def _first_workers(cls) -> Mapping[str, Any]:
        if "first" not in vars(cls):
            with connected(cls.address) as client:
                with suppress(TimeoutError):
                    client.wait_for_workers(1, timeout=CONNECT)
                cls.first = workers_of(client, cls.address)
            if not cls.first:
                notify(f"There is no worker at {cls.address} yet: `device` auto is the CPU.")
        return cls.first

    def update_slots(self) -> None:
        """Look for workers that have come or gone."""
        if self.client is None:
            self.client = self.resources.enter_context(connected(self.address))
            self.client.subscribe_topic(TOPIC, self._hear)
            self.pool = ThreadPoolExecutor(4)
            self.resources.callback(self.pool.shutdown, wait=False, cancel_futures=True)
        if self.client.status != "running":
            raise gone(self.address)
        if self.channel.stop_requested():
            self._cancel(self.slots)
        elif time.monotonic() - self.looked_at > LOOK_EVERY:
            self.looked_at = time.monotonic()
            workers = workers_of(self.client, self.address)
            lost = [slot for slot in self.slots if slot.address not in workers]
            for slot in lost:
                slot.is_gone = True
            self._cancel(lost)
            self.slots = [slot for slot in self.slots if slot.future is not None or not slot.is_gone]
            self.known &= workers.keys()
            self._admit(workers)
            self._tell_what_waits(workers)

    def _tell_what_waits(self, workers: Mapping[str, Any]) -> None:
        """Tell the user of jobs that no worker takes, once all of them are checked."""
        served = {device for slot in self.slots for device in slot.devices}
        for device in {job.device for job in self.again} - served if workers.keys() == self.known else ():
            notify(f"No worker at {self.address} takes jobs for {device}: they wait for one.")

    def _admit(self, workers: Mapping[str, Any]) -> None:
        """Check workers that were not seen before; the first ones before anything is sent."""
        new = [address for address in workers if address not in self.known]
        if new and self.check is None:
            # In a thread of each worker: its event loop goes on while it imports for seconds.
            ask = partial(self.client.run, asyncio.to_thread, eval, ASKED, workers=new, on_error="return")
            self.check, self.checked_at, self.asked = self.pool.submit(ask), time.monotonic(), new
        elif not workers:
            notify(f"There is no worker at {self.address}: jobs wait for one.")
        if self.check is None:
            return
        if not self.check.done():
            if time.monotonic() - self.checked_at > PATIENCE:
                silent = few_of([address for address in self.asked if address in workers])
                notify(f"No answer within a minute from the workers {silent}: they get no jobs.")
                self.known, self.check = self.known | {*self.asked}, None
            return
        try:
            found, self.check = self.check.result(), None
        except OSError as error:
            raise gone(self.address) from error
        for address in (one for one in found if one in workers and not isinstance(found[one], OSError)):
            self.known.add(address)
            fault = _fault(workers[address], found[address])
            if fault is None:
                device = "cuda" if _has_gpu(workers[address]) else "cpu"
                self.slots += [_Slot(device, address=address, of=self) for _ in range(2)]
            elif not self.is_begun:
                raise RequestError(f"The worker {address} {fault}: nothing was sent.")
            else:
                notify(f"The worker {address} gets no job: it {fault}.")
        self.is_begun = self.is_begun or bool(self.slots)

    def _cancel(self, slots: "Sequence[_Slot]") -> None:
        """Let go of what some slots run."""
        out = [slot.remote for slot in slots if slot.future is not None and not slot.future.done()]
        if out and self.client.status == "running":
            with suppress(Exception):  # of a client that is losing its scheduler at the moment
                self.client.cancel(out, force=True)

    def _hear(self, event: tuple[Any, tuple[str, str, list[list[Any]]]]) -> None:
        """Take what a worker says of its job: that it begins, and how far its cells are."""
        number, name, cells = event[1]
        for slot in self.slots:
            job = slot.job
            if number == self.number and job is not None and job.name == name:
                if not slot.has_begun:  # it may have waited for a job of somebody else
                    slot.has_begun = True
                    slot.begin(job)
                self.channel.report(name, [CellProgress(*cell) for cell in cells])

    def loss(self, error: BaseException) -> Exception | None:
        """What is said of a job whose worker is gone; None of any other error."""
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker

        lost = isinstance(error, CancelledError | KilledWorker | CommClosedError)
        return MemoryError("Its workers were lost again and again, by lack of memory perhaps.") if lost else None

    def close(self) -> None:
        """Cancel what is out, and leave the cluster."""
        self._cancel(self.slots)
        self.resources.close()


@dataclass
class _Slot(Slot):
    """A worker of the cluster.

    :param address: of the worker.
    :param of: the executor.
    :ivar remote: Dask's future of its job.
    :ivar has_begun: whether the worker has said that it begins the job.
    :ivar is_behind: whether the job waits for the one of the worker's other slot.
    :ivar is_gone: whether the worker is lost.
    :ivar expected: what receives the results of its job; None once they come too late.
    """

    address: str = ""
    of: Any = None
    remote: Any = None
    has_begun: bool = False
    is_behind: bool = False
    is_gone: bool = False
    expected: "Future[list[Result]] | None" = None

    @property
    def others(self) -> "list[_Slot]":
        """The other slots of its worker."""
        return [slot for slot in self.of.slots if slot.address == self.address and slot is not self]

    @property
    def is_free(self) -> bool:
        """Whether its worker is idle, or does short jobs while no worker is idle."""
        if self.future is not None or all(other.future is None for other in self.others):
            return self.future is None
        busy = {slot.address for slot in self.of.slots if slot.future is not None}
        none_idle = all(slot.address in busy or slot.is_gone for slot in self.of.slots)
        return none_idle and self.of.took.get(self.address, math.inf) < AHEAD

    @property
    def has_run(self) -> bool:
        """Whether its job may have been run: a worker that is lost may not have come to say so."""
        return self.has_begun or not self.is_behind

    @property
    def is_over(self) -> bool:
        """Whether the worker has ended the job, whose results are on their way or being stored."""
        return self.remote is not None and bool(self.remote.done())

    @property
    def devices(self) -> tuple[str, ...]:
        """A worker with a GPU takes what needs one, and else what the others take."""
        able = ("cuda", "cpu") if self.device == "cuda" else ("cpu",)
        return () if self.is_gone else tuple(device for device in able if device in self.of.devices)

    def submit(self, job: Job, channel: Channel) -> "Future[list[Result]]":
        """Send a job to the worker."""
        if any(unit.model for unit in job.units):
            once_more = "the same once more without it makes the models of the stored records"
            raise RequestError(f"`save_model` does not go with `executor` dask: {once_more}.")
        future: Future[list[Result]] = Future()
        self.expected = future
        kind = job.device.partition(":")[0]
        parcel = pack_job(job, kind)
        self.has_begun, self.deadline = False, math.inf
        self.is_behind = any(other.remote is not None and not other.remote.done() for other in self.others)
        self.remote = self.of.client.submit(
            _run_here,
            parcel,
            self.of.number,
            key=f"mod97-{job.name}-{uuid.uuid4().hex}",
            workers=[self.address],
            resources={GPU: 1} if kind == "cuda" else None,
            pure=False,
        )
        self.remote.add_done_callback(partial(self._settle, future, parcel, job, channel))
        return future

    def _settle(self, future: "Future[list[Result]]", parcel: Parcel, job: Job, channel: Channel, remote: Any) -> None:
        """Store what came back, or pass on the error, in a thread of its own."""
        try:
            deliveries = remote.result()
            self.of.took[self.address] = time.monotonic() - self.began
            if self.expected is future:
                future.set_result(unpack(deliveries, job, parcel, channel))
        except BaseException as error:
            if self.of.loss(error) is None:  # the job has ended, so that the next one begins
                self._let_begin()
            future.set_exception(error)
        else:
            self._let_begin()
        finally:
            channel.report(job.name, [])

    def _let_begin(self) -> None:
        for other in self.others:
            other.is_behind = False

    def end(self) -> None:
        """End the process of a worker, whose nanny starts another one; without a nanny it stays, and is not used."""
        for slot in (self, *self.others):
            slot.is_gone = True
        if self.future is not None and not self.future.done():
            self.expected = None
            self.of._cancel([self, *(other for other in self.others if other.is_behind)])
            self.of.pool.submit(self._restart)
        else:  # its job was lost, and it is checked anew where it is still there
            self.of.known.discard(self.address)

    def _restart(self) -> None:
        try:
            self.of.client.restart_workers([self.address], raise_for_error=False)
        except ValueError:
            notify(f"The worker {self.address} did not end a job at its limit, and without a nanny gets no more.")


class _WorkerChannel(Channel):
    """The channel of a job on a worker: it reports to the client, and ends when the client has cancelled the job."""

    def __init__(self, worker: Any, number: str) -> None:
        super().__init__(Path(worker.local_directory, TOPIC))
        self.folder.mkdir(exist_ok=True)
        self.worker, self.number, self.key, self.told_at = worker, number, worker.get_current_task(), -math.inf

    def report(self, job: str, cells: Sequence[CellProgress]) -> None:
        """Send the progress of the cells of a job, at most every two seconds."""
        if time.monotonic() - self.told_at > TOLD_EVERY:
            self.told_at = time.monotonic()
            self.worker.log_event(TOPIC, [self.number, job, [list(astuple(cell)) for cell in cells]])

    def stop_requested(self) -> bool:
        """Whether the job was cancelled, which a client that is gone does too."""
        task = self.worker.state.tasks.get(self.key)
        return self.requested or task is None or task.state != "executing"


def _run_here(parcel: Parcel, number: str) -> list[Delivery]:
    """Run a job on this worker."""
    from distributed import get_worker

    channel = _WorkerChannel(get_worker(), number)
    channel.report(parcel.job.name, [])
    return run_parcel(parcel, channel)


def _has_gpu(worker: Mapping[str, Any]) -> bool:
    return worker["resources"].get(GPU, 0) >= 1


def _fault(worker: Mapping[str, Any], found: Passport | Exception) -> str | None:
    """Why a worker is not fit, as the end of a sentence; None where it is."""
    if isinstance(found, Exception):
        return f"cannot run mod97: {' '.join(str(found).split()) or type(found).__name__}"
    if worker["nthreads"] != 1:
        return f"runs {worker['nthreads']} jobs at a time, where results need one: start it with --nthreads 1"
    return difference(passport(), found)
