"""``bench.reproduce``: run what a recipe says, and compare it with what was published."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import RequestError
from bench.recipes.arms import Arms, plan_arms, stored_records
from bench.recipes.comparison import Compared, compare_observations, compare_records
from bench.recipes.kept import Kept
from bench.recipes.observations import measurement_of, observation_keys, observe_arms
from bench.recipes.recipe import Recipe, read_recipe
from bench.recipes.searches import ArmSearch, run_search, searches_of
from bench.results import Record, Store, open_store, pack
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
    problems: list[str] = field(default_factory=list)
    records: Mapping[str, Sequence[Record]] = field(default_factory=dict, repr=False)

    @property
    def command(self) -> str:
        """The command that makes it."""
        return f"python -m bench reproduce {self.recipe.name}{' --quick' if self.quick else ''}"

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

    :param results: the results folder.
    :param packs: the folder of packs, one for each recipe; None for none.
    """

    def __init__(self, recipe: Recipe, results: str | Path, packs: str | Path | None) -> None:
        self.recipe, self.results = recipe, str(results)
        self.pack = None if packs is None else Path(packs) / f"{recipe.name}.pack"
        self.beside = None if self.pack is None else self.pack.with_suffix(".json")
        self.file = Path(results) / "recipes" / f"{recipe.name}.json"
        self.kept = Kept.read(filter(None, (self.beside, self.file)))

    def save(self) -> None:
        """Write searches and observations into the results folder."""
        self.kept.write(self.file)

    def sources(self) -> list[Any]:
        """The folder, and the pack where there is one."""
        found: list[Any] = [Store(self.results)] if Path(self.results).exists() else []
        return [*found, *([open_store(self.pack)] if self.pack is not None and self.pack.exists() else [])]

    def write_pack(self, ids: Sequence[str], keys: Sequence[str]) -> None:
        """Pack the records of the recipe that are there, and write its searches and observations beside them."""
        if self.pack is None or self.beside is None:
            return
        self.kept.write(self.beside, keys)
        present = {record["id"] for record in stored_records(ids, self.sources()) if record["status"] != "interrupted"}
        if present and (not self.pack.exists() or present != set(open_store(self.pack).ids())):
            self.pack.parent.mkdir(parents=True, exist_ok=True)
            older = self.pack.with_suffix(".older")
            if self.pack.exists():
                self.pack.replace(older)
            sources = [path for path in (Path(self.results), older) if path.exists()]
            pack(sources, output=self.pack, curves=self.recipe.curves, only=present, force=True)
            older.unlink(missing_ok=True)


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
    :param executor: where jobs run: a module of `bench.executors`.
    :param display: shows the progress of runs.
    :param say: receives lines about searches and measurements.
    :raises RequestError: for a recipe that is unknown or wrong; nothing ran.
    :raises StoreError: where the results folder or a pack cannot be used.
    """
    found = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    place = Place(found, results, packs)
    say = say or (lambda text: None)
    try:
        if found.measurement:
            return _observed(found, quick, run, place, device, say)
        return _trained(found, quick, run, place, say, device=device, jobs=jobs, executor=executor, display=display)
    except RequestError as error:
        raise RequestError(f"The recipe {found.name!r}: {error}") from error


def _observed(recipe: Recipe, quick: bool, run: bool, place: Place, device: str, say: Say) -> Reproduced:
    keys, known = observation_keys(recipe, quick), place.kept.observed
    if run:
        try:
            observe_arms(recipe, quick, place.kept, device, say, place.save)
        finally:
            place.write_pack([], [key for some in keys.values() for key, _, _ in some])
    observed = {arm: [known[key] for key, _, _ in some if key in known] for arm, some in keys.items()}
    arms = {arm: (len(observed[arm]), len(some)) for arm, some in keys.items()}
    compared = compare_observations(recipe, observed, measurement_of(recipe).UNITS, quick)
    every = [one for some in observed.values() for one in some]
    devices = sorted({one["device"] for one in every})
    whole = all(done == of for done, of in arms.values())
    return Reproduced(recipe, quick, compared, arms, sum(one["seconds"] for one in every), devices, whole)


def _trained(
    recipe: Recipe, quick: bool, run: bool, place: Place, say: Say, *, jobs: int | None, executor: str, **more: Any
) -> Reproduced:
    display, device = more["display"], more["device"]
    planned = plan_arms(recipe, quick, place.pack, results=place.results, device=device)
    searches, problems, complete = searches_of(recipe, quick), list[str](), True
    if run:
        try:
            complete = _run(planned, jobs, display, executor)
            where = {"results": place.results, "device": device, "jobs": jobs, "executor": executor}
            complete = complete and _search(searches, place, say, problems, **where)
        finally:
            ids = [id for some in planned.ids.values() for id in some]
            ids += [id for one in place.kept.searches.values() for id in one["records"]]
            place.write_pack(ids, [one.key for one in searches])
    if planned.plan is not None:
        problems += planned.plan.problems
    records = planned.records() | _winners(searches, place)
    expected = {arm: len(ids) for arm, ids in planned.ids.items()}
    for one in searches:
        expected[one.arm] = expected.get(one.arm, 0) + one.request["fresh"]
    arms = {arm: (len(records.get(arm, ())), expected[arm]) for arm in recipe.arms}
    every = [record for some in records.values() for record in some]
    seconds = sum(record["seconds"]["total"] for record in every)
    seconds += sum(one["seconds"] for key, one in place.kept.searches.items() if key in {s.key for s in searches})
    devices = sorted(
        {f"{r['environment']['device'].partition(':')[0]}: {r['environment'].get('processor')}" for r in every}
    )
    whole = complete and all(done == of for done, of in arms.values())
    compared = compare_records(recipe, records, expected, planned.horizons, quick)
    return Reproduced(recipe, quick, compared, arms, seconds, devices, whole, problems, records)


def _run(planned: Arms, jobs: int | None, display: Any, executor: str) -> bool:
    return planned.plan is None or execute(planned.plan, jobs, display, executor=executor)


def _search(searches: Sequence[ArmSearch], place: Place, say: Say, problems: list[str], **where: Any) -> bool:
    """Run the searches that are not kept, each with its winner; False where one was interrupted."""
    for one in searches:
        kept = place.kept.searches.get(one.key)
        if kept and len(stored_records(kept["records"], place.sources())) == len(kept["records"]):
            continue
        say(f"{place.recipe.name}: search {one.number} of {one.arm}")
        done, found = run_search(one, say, **where)
        problems += done.problems
        if not done.whole:
            return False
        place.kept.searches[one.key] = found
        place.save()
    return True


def _winners(searches: Sequence[ArmSearch], place: Place) -> dict[str, list[Record]]:
    """The records of the winners of each arm's searches."""
    sources, records = place.sources(), dict[str, list[Record]]()
    for one in searches:
        kept = place.kept.searches.get(one.key)
        records.setdefault(one.arm, []).extend(stored_records(kept["records"], sources) if kept else [])
    return records
