"""What a report shows, whatever its form: a page or a Markdown document."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bench.ranking import Ranking
from bench.reports.figures._elements import Figure
from bench.reports.page.league import facts_of
from bench.reports.page.runs import Collected
from bench.results import SUFFIX

if TYPE_CHECKING:
    import optuna


class Picture(NamedTuple):
    """A picture without a layout.

    :param name: of its file, in a document whose pictures are files.
    """

    name: str
    figure: Figure


class StudyPart(NamedTuple):
    """A study with its pictures.

    :param names: of its values.
    :param curve: the name of its intermediate values.
    """

    study: "optuna.Study"
    names: Sequence[str]
    curve: str
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Content:
    """What a report shows.

    :param title: a line.
    :param command: the command line that makes it; "" where none does.
    :param folder: of the records, or a pack; None where they are in memory.
    :param ranking: None where there are no records.
    :param collected: what the ranking does not keep of them.
    :param pictures: of the records.
    :param undrawn: sentences on pictures that the records do not allow.
    :param home: the page beside this one that leads to it; "" where there is none.
    """

    title: str
    command: str
    folder: str | None
    ranking: Ranking | None
    collected: Collected
    pictures: Sequence[Picture] = ()
    undrawn: Sequence[str] = ()
    studies: Sequence[StudyPart] = field(default=())
    home: str = ""

    @property
    def facts(self) -> list[list[str]]:
        """What was compared: names and values of a list of definitions."""
        kind = "pack" if str(self.folder).endswith(SUFFIX) else "folder"
        where = "memory" if self.folder is None else f"the {kind} {self.folder!r}"
        if self.ranking is None:
            return [["records", f"none in {where}"]]
        runs = [run for row in self.ranking.rows for run in row.runs]
        return [*facts_of(self.ranking, where), *self.collected.machine_facts(runs)]
