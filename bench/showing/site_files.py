"""The files of a site: its reports, the league as CSV and JSON, and the front page that leads to them."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from bench import ranking, reports
from bench.ranking import Ranking, Row
from bench.reports import Collected, Content, Download, Front, Report
from bench.results import DOCUMENTS, Disagreement, Record, environment, many, open_store
from bench.showing.pages import asked_command, content_of
from bench.showing.site_folder import described
from bench.tuning import PicturedStudy

INDEX, REPORT, PACK, CSV, JSON, NO_JEKYLL = (
    *("index.html", "report.html", "records.pack", "league.csv", "league.json"),
    ".nojekyll",
)
"""The files of every site. The last one is empty: GitHub Pages then serves all files as they are."""
MOST_REPORTS = 24
"""So many tasks have a report of their own: each is a file of 2 MB."""
LONGEST_NAME = 60


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


class SiteFiles:
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
