"""``bench.publish``: what results folders hold as a static site, which any web host serves."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from inspect import signature
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from bench import ranking, reports
from bench.errors import RequestError, StoreError, one_of, optional_package
from bench.ranking import Ranking, Row
from bench.reports import Collected, Content, Download, Front, Report
from bench.results import CURVES as LEVELS
from bench.results import (
    DOCUMENTS,
    Disagreement,
    Progress,
    Record,
    RecordSource,
    Selection,
    environment,
    many,
    named_sources,
    open_store,
    pack,
    silent,
    wanted_of,
)
from bench.showing.pages import asked_command, content_of, studies_of
from bench.showing.site_folder import MARK, SiteFolder, described
from bench.tuning import PicturedStudy

INDEX, REPORT, PACK, CSV, JSON, NO_JEKYLL = (
    *("index.html", "report.html", "records.pack", "league.csv", "league.json"),
    ".nojekyll",
)
"""The files of every site. The last one is empty: GitHub Pages then serves all files as they are."""
CURVES = ("all", "accuracy")
MOST_REPORTS = 24
"""So many tasks have a report of their own: each is a file of 2 MB."""
LONGEST_NAME = 60
OF_QUESTION = ("by", "target", "crossing", "horizon", "parameters", "baseline", "published")
"""Arguments of `bench.rank` that are asked again of the pack, which holds only what the filters left."""


@dataclass
class Site:
    """What `publish` wrote.

    :param output: the folder.
    :param records: the number of records in the pack.
    :param configurations: the number of rows of the league.
    :param files: size and SHA-256 of each file, by name.
    :param bytes: the size of all files.
    :param replaced: whether there was a site before.
    :param disagreeing: records of which several sources hold the same step with other numbers.
    :param broken: a message for each record that could not be used.
    """

    output: str
    title: str = ""
    records: int = 0
    configurations: int = 0
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    bytes: int = 0
    replaced: bool = False
    disagreeing: list[Disagreement] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


class _Part(NamedTuple):
    """The records of a task, of which there is a report.

    :param command: what makes the report from the pack.
    """

    file: str
    title: str
    ids: list[str]
    asked: dict[str, Any]
    command: str


def publish(
    output: str | Path,
    *,
    results: str | Path | Sequence[str | Path] = "results",
    storage: str | None = None,
    title: str | None = None,
    curves: str | None = None,
    progress: Progress | None = None,
    **request: Any,
) -> Site:
    """Write what results folders and packs hold as a static site, which any web host serves.

    It has a front page with the league, a report of all records and one of each task, the league as CSV and JSON, and
    the records as a pack. Its links are relative, nothing is loaded from elsewhere, and equal records give equal bytes.
    Of several records of a cell the one that goes further is taken.

    >>> import bench, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = bench.run(encoder="onehot", learner="ridge", modulus=7, results=f"{folder}/results")
    ...     site = bench.publish(f"{folder}/site", results=f"{folder}/results")
    >>> [*site.files]
    ['.nojekyll', 'index.html', 'league.csv', 'league.json', 'records.pack', 'report.html', 'site.json']

    :param output: the folder: new, empty, or an earlier site, whose files are replaced while others stay.
    :param results: a results folder or a pack, or several. Studies in the folders are part of the report.
    :param storage: where the studies are; by default the journals in the results folders, if there are any.
    :param title: the heading, by default what is compared.
    :param curves: how much of each curve the pack has, "all" or "accuracy"; by default as much as all sources have.
    :param progress: is called with the number of records that are read and of all records.
    :param request: arguments of `bench.rank`: filters, what rows are ranked by.
    :raises RequestError: for a request that is wrong, a source that cannot be used, or a folder that holds other files;
        where there are no records, or a package is missing.
    :raises StoreError: where a record cannot be read, or the folder cannot be written.
    """
    folder, skip, show = SiteFolder(output), bool(request.get("skip_broken")), progress or silent
    _check(curves, request)
    sources = named_sources(results, output, "site")
    level = curves or min((source.curves for source in sources), key=LEVELS.index)
    for source in sources:
        source.check_curves(level if curves else "accuracy", "a site")
    selection = Selection(sources, wanted_of(request), show)
    ids = {record["id"] for _, record in selection.records()}
    selection.check(skip)
    studies = _studies(sources, storage)
    done = Site(str(output), replaced=bool(folder.files), broken=[str(fault) for fault in selection.faults])
    with folder.written() as place, _without(place):
        locations = [source.location for source in sources]
        packed = pack(locations, output=place / PACK, curves=level, only=ids, progress=show)
        done.records, done.disagreeing = packed.records, packed.disagreeing
        writing = _Writing(place, done, {name: request[name] for name in OF_QUESTION if name in request}, skip)
        writing.write(title, studies, level)
    done.files = {name: described(folder.path / name) for name in sorted([*done.files, MARK])}
    done.bytes = sum(one["bytes"] for one in done.files.values())
    return done


def _check(curves: str | None, request: Mapping[str, Any]) -> None:
    """Refuse what is wrong before anything is read."""
    unknown = [name for name in request if name not in signature(ranking.rank).parameters]
    if unknown:
        raise TypeError(f"publish() got an unexpected keyword argument {unknown[0]!r}")
    if request.get("records") is not None or request.get("watch") is not None:
        raise RequestError("A site is made of results folders and packs, not of records in memory.")
    if request.get("blocks"):
        raise RequestError("`blocks` does not apply to a site, whose reports compare rows over blocks in a picture.")
    if curves is not None and curves not in CURVES:
        raise RequestError(one_of("`curves`", curves, CURVES))
    named = {field.name for field in fields(ranking.Question)}
    ranking.Question(**{name: value for name, value in request.items() if name in named}).checked()
    reports.plotly_program()
    optional_package("pyarrow", "pack", "A site")


@contextmanager
def _without(place: Path) -> Iterator[None]:
    """A block in whose errors files have the names that they will have in the site.

    Of errors of several records, whose names would be cut, the first is raised.
    """
    try:
        yield
    except (StoreError, RequestError) as error:
        first = error.__cause__ if isinstance(error.__cause__, StoreError) else error
        kind = RequestError if isinstance(error, RequestError) else StoreError
        raise kind(str(first).replace(f"{place}{os.sep}", "")) from error


def _studies(sources: Sequence[RecordSource], storage: str | None) -> list[PicturedStudy]:
    """The studies of a storage, or of the journals in the results folders."""
    if storage is not None:
        return studies_of("", storage)
    return [one for source in sources if source.location.is_dir() for one in studies_of(source.location, None)]


class _Writing:
    """The files of a site but the pack, which they are made from.

    :param place: the folder, which has the pack.
    :param done: receives what is written.
    :param asked: the arguments of `bench.rank` that make the league from the pack.
    :param skip: leave out records that cannot be ranked.
    """

    def __init__(self, place: Path, done: Site, asked: Mapping[str, Any], skip: bool) -> None:
        self.place, self.done, self.asked, self.skip = place, done, asked, skip
        self.store = open_store(place / PACK)
        self.tasks: dict[tuple[str, int | None], list[str]] = {}

    def write(self, title: str | None, studies: Sequence[PicturedStudy], level: str) -> None:
        """Write all files.

        :param level: how much of each curve the pack has.
        """
        self._file(NO_JEKYLL, "")
        collected = Collected()

        def take(record: Record) -> None:
            collected.take(record)
            spec = record["spec"]
            self.tasks.setdefault((spec["task"], spec["modulus"]), []).append(record["id"])

        league = ranking.rank(results=str(self.place / PACK), watch=take, skip_broken=self.skip, **self.asked)
        league.caption[:] = [reports.with_options(line).replace(f"{self.place}{os.sep}", "") for line in league.caption]
        self.done.title = title or reports.title_of(league)
        again = {"results": PACK, **self.asked, **({"title": title} if title else {})}
        content = content_of(league, collected, studies, self.done.title, asked_command(again, "report"), PACK)
        of_all = self._report(REPORT, "all records", content)
        parts = list(self._parts(league))
        shown = [self._report(part.file, part.title, self._content(part, title)) for part in parts[:MOST_REPORTS]]
        self._file(CSV, reports.league_csv(league, reports.tables_of(league)))
        self._file(JSON, json.dumps({"schema": DOCUMENTS, **league.to_dict()}, indent=1, allow_nan=False) + "\n")
        self.done.configurations = len(league.rows)
        self._file(PACK)
        front = Front(
            content=content,
            ranking=league,
            reports=[of_all, *shown],
            remarks=list(self._remarks(len(parts), len(studies))),
            downloads=list(self._downloads(level)),
            commands=_commands(again),
            version=str(environment.versions()["mod97"] or "of no version"),
        )
        self._file(INDEX, reports.front_page(front))

    def _file(self, name: str, text: str | None = None) -> None:
        """Write a file, if there is a text, and note its size and digest."""
        if text is not None:
            (self.place / name).write_bytes(text.encode("utf-8", "replace"))
        self.done.files[name] = described(self.place / name)

    def _report(self, name: str, title: str, content: Content) -> Report:
        self._file(name, reports.report_page(replace(content, home=INDEX)))
        rows = [] if content.ranking is None else content.ranking.rows
        return Report(name, title, len(rows), sum(len(row.runs) for row in rows), self.done.files[name]["bytes"])

    def _parts(self, league: Ranking) -> Iterator[_Part]:
        """The tasks, where there are several, in the order of the league."""
        of_task: dict[tuple[str, int | None], list[Row]] = {}
        for row in league.rows:
            of_task.setdefault((str(row.task), row.modulus), []).append(row)
        taken: set[str] = set()
        for (task, modulus), rows in of_task.items() if len(of_task) > 1 else ():
            title = reports.task_of(rows[0])
            file = _free_name(title, taken)
            compared = any(
                row.label == league.baseline and row.against and row.against.value is not None for row in rows
            )
            asked = {name: value for name, value in self.asked.items() if name != "baseline" or compared}
            named = {"results": PACK, **asked, "task": task, "modulus": modulus}
            yield _Part(file, title, self.tasks[task, modulus], asked, asked_command(named, "report"))

    def _content(self, part: _Part, title: str | None) -> Content:
        """What the report of a task shows, as its command makes it from the pack."""
        collected = Collected()
        records = (record for id in part.ids if (record := self.store.read(id)) is not None)
        league = ranking.rank(records=records, watch=collected.take, **part.asked)
        heading = f"{title}: {part.title}" if title else reports.title_of(league)
        return content_of(league, collected, [], heading, part.command, PACK)

    def _remarks(self, n_parts: int, n_studies: int) -> Iterator[str]:
        if n_studies:
            yield f"Studies, in the report of all records: {n_studies:,}."
        if n_parts > MOST_REPORTS:
            yield f"The first {MOST_REPORTS} of {n_parts} tasks have a report of their own."
        if self.done.broken:
            yield f"Left out, since they could not be read: {many(len(self.done.broken), 'record')}."

    def _downloads(self, level: str) -> Iterator[Download]:
        curves = "whole curves" if level == "all" else "the accuracies of their curves"
        what = {
            PACK: f"{many(self.done.records, 'record')} with {curves}",
            CSV: "the league, a line for each configuration",
            JSON: "the same as JSON, with all that stands below it",
        }
        for name, words in what.items():
            yield Download(name, words, **self.done.files[name])


def _free_name(title: str, taken: set[str]) -> str:
    """The name of a report, of plain letters, that no other one has."""
    plain = re.sub(r"[^a-z0-9]+", "-", title.lower())[:LONGEST_NAME].strip("-")
    names = (f"report-{plain or 'task'}{f'-{number}' if number > 1 else ''}.html" for number in count(1))
    found = next(name for name in names if name not in taken)
    taken.add(found)
    return found


def _commands(again: Mapping[str, Any]) -> dict[str, list[str]]:
    """What reads the pack, by what it is of."""
    of_rank = {name: value for name, value in again.items() if name != "title"}
    return {
        "To read the pack": [
            asked_command(of_rank, "rank"),
            asked_command(again, "report"),
            f"python -m bench export --results {PACK} -o runs.csv",
        ],
        "From Python": ["import bench", "", f'runs, curves = bench.load("{PACK}")'],
    }
