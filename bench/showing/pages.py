"""``bench.report``: what a results folder and its studies hold, as one page or as a Markdown document."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from inspect import signature
from pathlib import Path
from typing import Any

from bench import ranking, reports, tuning
from bench.errors import RequestError, one_of
from bench.ranking import Ranking
from bench.reports import Collected, Content, Kind, Picture, StudyPart
from bench.results import check_output, few_of, open_store
from bench.specs import command_of
from bench.tuning import PicturedStudy

FORMATS = ("html", "md")
FIRST = ("curves", "heatmap", "survival", "cost")
"""Kinds of pictures in the order in which a report has them; the others follow."""
MOST_BLOCKS = 4
"""A picture of one block alone is drawn for the first so many."""
MOST_STUDIES = 40
"""So many studies are in a report: each has up to five pictures."""


def report(
    output: str | Path | None = None,
    *,
    results: str | Path = "results",
    storage: str | None = None,
    title: str | None = None,
    format: str | None = None,
    **request: Any,
) -> Path:
    """Write what a results folder and its studies hold as one page, which works offline and without a server.

    >>> import bench, tempfile
    >>> records = bench.run(encoder="onehot", learner="ridge", modulus=7, results=None)
    >>> bench.report(f"{tempfile.mkdtemp()}/report.html", records=records).name
    'report.html'

    :param output: the file; by default "report.html" or "report.md". The pictures of a Markdown document are files in
        a folder beside it: "report_files".
    :param results: the results folder.
    :param storage: where the studies are; by default the journal in the results folder, if there is one.
    :param title: the heading, by default what is compared.
    :param format: "html", or "md" for Markdown; by default as the file's name ends.
    :param request: arguments of `bench.rank`: filters, what rows are ranked by.
    :raises RequestError: for a request that is wrong; where there are neither records nor studies, or a library is
        missing.
    :raises StoreError: where the folder or a record in it cannot be used.
    """
    path, form = _place(output, format)
    if form == "html":
        reports.plotly_program()
    if request.get("blocks"):
        raise RequestError("`blocks` does not apply to a report, which compares rows over blocks in a picture.")
    named = {"storage": storage, "output": str(path), "title": title, "format": format}
    content = _content({"results": str(results), **request}, named)
    try:
        if form == "html":
            path.write_text(reports.report_page(content), "utf-8", errors="replace")
        else:
            _write_markdown(content, path)
    except OSError as error:
        raise RequestError(f"`output` cannot be written to {str(path)!r}: {error.strerror or error}.") from error
    return path


def _place(output: str | Path | None, form: str | None) -> tuple[Path, str]:
    """The file and the form of a report, checked before anything is read."""
    known = str(Path(output or "").suffix).lower().removeprefix(".")
    form = form or (known if known in FORMATS else "html")
    if form not in FORMATS:
        raise RequestError(one_of("`format`", form, FORMATS))
    path = Path(output or f"report.{form}")
    if known in FORMATS and known != form:
        raise RequestError(f"`output` {str(path)!r} and `format` {form!r} exclude each other.")
    check_output(path)
    if form == "md":
        reports.check_picture(path.parent / "picture.png")
    return path, form


def _content(request: dict[str, Any], named: Mapping[str, Any]) -> Content:
    """What the report shows.

    :param request: arguments of `bench.rank`.
    :param named: the other arguments of `report`.
    """
    folder, in_memory = request["results"], request.get("records") is not None
    studies = [] if in_memory and named["storage"] is None else studies_of(folder, named["storage"])
    no_records = bool(studies) and not in_memory and not open_store(folder).ids()  # as after `tune` with `fresh` 0
    collected = Collected()
    league = None if no_records else ranking.rank(watch=collected.take, **request)
    title = named["title"] or _title(league, studies)
    command = "" if in_memory else asked_command({**request, **named}, "report")
    return content_of(league, collected, studies, title, command, None if in_memory else folder)


def content_of(
    league: Ranking | None,
    collected: Collected,
    studies: Sequence[PicturedStudy],
    title: str,
    command: str,
    folder: str | None,
) -> Content:
    """What a report shows of a league and of studies, with all pictures.

    :param collected: has received the records of the league.
    :param command: see `Content`, likewise of the folder.
    """
    pictures, undrawn = ([], []) if league is None else _pictures(league)
    if len(studies) > MOST_STUDIES:
        undrawn.append(f"{MOST_STUDIES} of {len(studies)} studies are shown, the first by their names.")
    return Content(
        title=title,
        command=command,
        folder=folder,
        ranking=league,
        collected=collected,
        pictures=pictures,
        undrawn=[reports.with_options(line) for line in undrawn],
        studies=[_study_part(one) for one in studies[:MOST_STUDIES]],
    )


def _title(league: Ranking | None, studies: Sequence[PicturedStudy]) -> str:
    if league is not None:
        return reports.title_of(league)
    names = [one.study.study_name for one in studies]
    return f"{'Study' if len(names) == 1 else 'Studies'} {few_of(names)}"


def asked_command(asked: Mapping[str, Any], command: str) -> str:
    """The command line of a request, without the password of its storage and what is at its default."""
    usual: dict[str, Any] = {name: p.default for name, p in signature(ranking.rank).parameters.items()}
    usual["output"] = "report.html"
    wanted = {name: value for name, value in asked.items() if name not in usual or value != usual[name]}
    if wanted.get("parameters"):
        wanted["parameters"] = "..".join("" if end is None else str(end) for end in wanted["parameters"])
    storage = asked.get("storage")
    return command_of(wanted | {"storage": storage and tuning.shown_url(storage)}, command)


# Pictures


def _pictures(league: Ranking) -> tuple[list[Picture], list[str]]:
    """All pictures that the runs of a league allow, and sentences on the others."""
    pictures, undrawn = list[Picture](), list[str]()
    titles = list(dict.fromkeys(row.title for row in league.rows))
    for kind in sorted(reports.picture_kinds().values(), key=_order):
        if kind.needs == "ranking":
            try:
                pictures += _drawn(kind, _asked(kind, league, len(titles)), titles, undrawn)
            except RequestError as error:
                undrawn.append(f"Not drawn, {kind.name}: {error}")
    return pictures, undrawn


def _order(kind: Kind) -> tuple[int, str]:
    """What is looked at first comes first, then the others by name."""
    return (FIRST.index(kind.name) if kind.name in FIRST else len(FIRST), kind.name)


def _asked(kind: Kind, league: Ranking, n_blocks: int) -> Ranking:
    """The league that a picture shows, of the same runs.

    :raises RequestError: where the runs do not answer what it asks.
    """
    by = kind.asks.get("by", "accuracy" if league.question.by == "fraction" else league.question.by)
    over_blocks = bool(kind.asks.get("blocks"))
    if over_blocks and n_blocks < ranking.FEWEST_BLOCKS:  # said before all runs are ranked anew
        raise RequestError(f"it compares configurations over {ranking.FEWEST_BLOCKS} tables or more, got {n_blocks}.")
    if by == "fraction" and len({run.fraction for row in league.rows for run in row.runs}) == 1:
        raise RequestError("one share of the pairs was tried.")
    same = by == league.question.by and not over_blocks
    return league if same else ranking.ranked_anew(league, by=by, blocks=over_blocks)


def _drawn(kind: Kind, league: Ranking, titles: Sequence[str], undrawn: list[str]) -> Iterator[Picture]:
    """The picture; where it is of one block alone and there are several, one for each of the first.

    :param undrawn: receives sentences on blocks that are left out.
    :raises RequestError: where there is nothing to draw.
    """
    if len(titles) == 1 or not kind.one_block:
        yield Picture(kind.name, reports.draw_picture(kind, league))
        return
    for place, title in enumerate(titles[:MOST_BLOCKS], 1):
        part = replace(league, rows=[row for row in league.rows if row.title == title])
        try:
            yield Picture(f"{kind.name}-{place}", reports.draw_picture(kind, part))
        except RequestError as error:
            undrawn.append(f"Not drawn, {kind.name} of {title}: {error}")
    if len(titles) > MOST_BLOCKS:
        undrawn.append(f"Of {len(titles)} tables the first {MOST_BLOCKS} have a picture {kind.name}.")


# Studies


def studies_of(results: str | Path, storage: str | None) -> list[PicturedStudy]:
    """The studies of a storage, or of the journal in the results folder, if there is one."""
    if storage is not None:
        return tuning.pictured_studies(storage)
    return tuning.pictured_studies(tuning.default_url(results), required=False)


def _study_part(found: PicturedStudy) -> StudyPart:
    """A study with all pictures that its trials allow."""
    pictures = []
    for kind in reports.picture_kinds().values():
        if kind.needs == "study":
            with suppress(RequestError):  # what is not drawn needs other trials or objectives
                drawn = reports.draw_picture(kind, found)
                pictures.append(Picture(f"{_file_name(found.study.study_name)}-{kind.name}", drawn))
    return StudyPart(*found, pictures)


def _file_name(name: str) -> str:
    """The name of a study as a part of the name of a file, different for different studies."""
    plain = "".join(letter if (letter.isalnum() and letter.isascii()) or letter in "-." else "_" for letter in name)
    return plain[:60] if plain == name and len(name) <= 60 else f"{plain[:60]}-{sha256(name.encode()).hexdigest()[:8]}"


def _write_markdown(content: Content, path: Path) -> None:
    """The document, and its pictures as files in a folder beside it."""
    folder = path.with_name(f"{path.stem}_files")
    folder.mkdir(exist_ok=True)
    for picture in [*content.pictures, *(one for part in content.studies for one in part.pictures)]:
        reports.write_picture(picture.figure, folder / f"{picture.name}.png")
    path.write_text(reports.report_markdown(content, folder.name), "utf-8", errors="replace")
