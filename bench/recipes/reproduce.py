"""``bench.reproduce``: run what a recipe says, and compare it with what was published."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import RequestError, os_errors_as, shell_words
from bench.recipes.arms import Arms, check_quick, plan_arms, stored_records
from bench.recipes.comparison import ArmRuns, Compared, compare_observations, compare_records
from bench.recipes.forms import check_keys
from bench.recipes.kept import Kept
from bench.recipes.observations import measurement_of, observation_keys, observations_of, observe_arms
from bench.recipes.recipe import Recipe, read_recipe
from bench.recipes.searches import ArmSearch, run_search, searches_of
from bench.results import Record, RecordSource, Store, many, open_store, pack
from bench.scheduling import execute

RESULTS = "results"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Reproduced:
    """What came of a recipe.

    :param arms: by name, how many records or observations there are, and how many there will be.
    :param seconds: of training, evaluation and searches, summed over fleets and processes.
    :param devices: on which the runs were made.
    :param whole: whether nothing is left to do.
    :param interrupted: whether a stop was requested before that.
    :param problems: what went wrong on the way.
    :param records: by arm.
    """

    recipe: Recipe
    quick: bool
    compared: list[Compared]
    arms: dict[str, tuple[int, int]]
    seconds: float
    devices: list[str]
    whole: bool
    interrupted: bool = False
    problems: list[str] = field(default_factory=list)
    records: Mapping[str, Sequence[Record]] = field(default_factory=dict, repr=False)

    @property
    def command(self) -> str:
        """The command that makes it."""
        name = shell_words(self.recipe.path or self.recipe.name)
        return f"python -m bench reproduce {name}{' --quick' if self.quick else ''}"

    def to_dict(self) -> dict[str, Any]:
        """As in ``--json``."""
        return {
            "name": self.recipe.name,
            "title": self.recipe.title,
            "source": self.recipe.source,
            "command": self.command,
            "quick": self.quick,
            "whole": self.whole,
            "arms": {arm: {"runs": found, "of": expected} for arm, (found, expected) in self.arms.items()},
            "seconds": self.seconds,
            "devices": self.devices,
            "claims": [one.to_dict() for one in self.compared],
            "problems": self.problems,
        }


class Place:
    """Where a recipe runs, and where what it makes is kept.

    A quick run has a folder of its own, ``<results>-quick``, and no pack, so that nothing of it is ever judged.

    :param results: the results folder.
    :param packs: the folder of packs, one for each recipe; None for none.
    """

    def __init__(self, recipe: Recipe, results: str | Path, packs: str | Path | None, quick: bool) -> None:
        self.recipe, self.results = recipe, f"{results}-quick" if quick else str(results)
        self.pack = None if packs is None or quick else Path(packs) / f"{recipe.name}.pack"
        self.files = [Path(self.results) / "recipes" / f"{recipe.name}.json"]
        self.files += [] if self.pack is None else [self.pack.with_suffix(".json")]
        self.kept = Kept.read(self.files)
        self.packed = open_store(self.pack) if self.pack is not None and self.pack.exists() else None

    def save(self) -> None:
        """Write searches and observations into the results folder, and beside the pack."""
        for file in self.files:
            self.kept.write(file)

    def sources(self) -> list[RecordSource]:
        """The folder, and the pack where there is one."""
        found: list[RecordSource] = [Store(self.results)] if Path(self.results).exists() else []
        return [*found, *([] if self.packed is None else [self.packed])]

    def write_pack(self, ids: Collection[str]) -> None:
        """Add records to the pack, which has its name only once it is whole.

        Processes that share the results folder add to it one after another.
        """
        if self.pack is None or not set(ids) - set(() if self.packed is None else self.packed.ids()):
            return
        with os_errors_as(RequestError, f"{str(self.pack)!r} cannot be written"), Store(self.results).locked():
            self.pack.parent.mkdir(parents=True, exist_ok=True)
            self.packed = open_store(self.pack) if self.pack.exists() else None
            before = set() if self.packed is None else set(self.packed.ids())
            new = self.pack.with_name(f"{self.pack.name}.{os.getpid()}.new")
            sources = [source.location for source in self.sources() if source.ids()]
            try:
                pack(sources, output=new, curves=self.recipe.curves, only=before | set(ids), force=True)
                new.replace(self.pack)
                self.packed = open_store(self.pack)
            finally:
                new.unlink(missing_ok=True)


def reproduce(
    recipe: str | Path | Recipe,
    *,
    quick: bool = False,
    run: bool = True,
    results: str | Path = RESULTS,
    packs: str | Path | None = None,
    device: str = "auto",
    jobs: int | None = None,
    executor: str = "local",
    arms: Collection[str] = (),
    display: Any = None,
    say: Say | None = None,
) -> Reproduced:
    """Run a recipe, or what is left of it, and compare what comes out with what was published.

    The same call goes on after an interruption.

    :param recipe: the name of one of the catalogue, or a file.
    :param quick: a small version, for two cores: it checks the machinery, and judges nothing.
    :param run: whether to run; False compares what is stored.
    :param results: the results folder.
    :param packs: a folder that keeps the records of each recipe in one small file: what is in it is not run again, and
        what was run is added.
    :param device: "auto", "cpu", "cuda" or "cuda:i".
    :param jobs: worker processes on the CPU; None takes one for each core.
    :param executor: where jobs run: "local", or "dask:" and the address of a scheduler.
    :param arms: the arms that run, empty for all; what is stored of the others is compared, too.
    :param display: shows the progress of runs.
    :param say: receives lines about searches and measurements.
    :raises RequestError: for a recipe that is unknown or wrong; nothing ran.
    :raises StoreError: where the results folder or a pack cannot be used.
    """
    found = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    say = say or (lambda text: None)
    try:
        check_quick(found)
        check_keys("arm", arms, found.arms)
        place = Place(found, results, packs, quick)
        if found.measurement:
            return _observed(found, quick, run, place, device, arms or found.arms, say)
        machine = Machine(device, jobs, executor, arms or found.arms, display, say)
        return _trained(found, quick, run, place, machine)
    except RequestError as error:
        raise RequestError(f"The recipe {found.name!r}: {error}") from error


class Machine(NamedTuple):
    """Where and how runs are made: arguments of `reproduce`."""

    device: str
    jobs: int | None
    executor: str
    arms: Collection[str]
    display: Any
    say: Say


def _observed(
    recipe: Recipe, quick: bool, run: bool, place: Place, device: str, only: Collection[str], say: Say
) -> Reproduced:
    if run:
        observe_arms(recipe, quick, only, place.kept, device, say, place.save)
    observed = observations_of(recipe, quick, place.kept)
    expected = {arm: len(some) for arm, some in observation_keys(recipe, quick).items()}
    arms = {arm: (len(observed[arm]), of) for arm, of in expected.items()}
    compared = compare_observations(recipe, observed, expected, measurement_of(recipe).UNITS, quick)
    every = [one for some in observed.values() for one in some]
    seconds, devices = sum(one["seconds"] for one in every), sorted({one["device"] for one in every})
    return Reproduced(recipe, quick, compared, arms, seconds, devices, all(done == of for done, of in arms.values()))


def _trained(recipe: Recipe, quick: bool, run: bool, place: Place, machine: Machine) -> Reproduced:
    where = {"device": machine.device, "executor": machine.executor}
    planned = plan_arms(recipe, quick, place.pack, results=place.results, **where)
    searches, problems, complete = searches_of(recipe, quick, **where), list[str](), True
    try:
        if run:
            complete = _run(planned, machine) and _search(searches, place, machine, problems)
    finally:
        plain, winners = planned.records(), {one.key: _winner_runs(one, place) for one in searches}
        if run:
            made = [*plain.values(), *winners.values()]
            place.write_pack({record["id"] for some in made for record in some if record["status"] != "interrupted"})
    if planned.plan is not None:
        problems += planned.plan.problems
        failed = [message or status for status, message in planned.plan.failures.values()]
        problems += [f"{many(len(failed), 'run')} failed, the first: {failed[0]}"] if failed else []
    arms = {arm: ArmRuns([records], len(planned.ids[arm])) for arm, records in plain.items()}
    for arm in dict.fromkeys(one.arm for one in searches):
        own = [one for one in searches if one.arm == arm]
        arms[arm] = ArmRuns([winners[one.key] for one in own], sum(one.request["fresh"] for one in own))
    compared = compare_records(recipe, arms, quick)
    every = {record["id"]: record for runs in arms.values() for record in runs.records}
    kept = [place.kept.searches[one.key]["seconds"] for one in searches if one.key in place.kept.searches]
    counts = {arm: (len(arms[arm].records), arms[arm].expected) for arm in recipe.arms}
    return Reproduced(
        recipe,
        quick,
        compared,
        counts,
        seconds=sum(record["seconds"]["total"] for record in every.values()) + sum(kept),
        devices=sorted({_device_of(record) for record in every.values()}),
        whole=complete and all(done == of for done, of in counts.values()),
        interrupted=not complete,
        problems=problems,
        records={arm: arms[arm].records for arm in recipe.arms},
    )


def _device_of(record: Record) -> str:
    """As "cpu: Intel Xeon"."""
    return f"{record['environment']['device'].partition(':')[0]}: {record['environment'].get('processor')}"


def _run(planned: Arms, machine: Machine) -> bool:
    planned.keep(machine.arms)
    return planned.plan is None or execute(planned.plan, machine.jobs, machine.display)


def _search(searches: Sequence[ArmSearch], place: Place, machine: Machine, problems: list[str]) -> bool:
    """Run the searches that are not kept, each with its winner; False where one was interrupted."""
    for one in searches:
        if one.arm not in machine.arms or len(_winner_runs(one, place)) == one.request["fresh"]:
            continue
        machine.say(f"{place.recipe.name}: search {one.number} of {one.arm}")
        done, found = run_search(one, machine.say, place.results, machine.device, machine.jobs, machine.executor)
        problems += done.problems
        if not done.whole:
            return False
        place.kept.searches[one.key] = found
        place.save()
    return True


def _winner_runs(one: ArmSearch, place: Place) -> list[Record]:
    """The records of the winner of a search that is kept."""
    kept = place.kept.searches.get(one.key)
    return [] if kept is None else stored_records(kept.get("records", ()), place.sources())
