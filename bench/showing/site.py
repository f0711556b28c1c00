"""``bench.publish``: what results folders hold as a static site, which any web host serves."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

from bench import ranking, reports
from bench.errors import RequestError, StoreError, one_of, optional_package
from bench.results import CURVES as LEVELS
from bench.results import Progress, RecordSource, Selection, named_sources, pack, silent, wanted_of
from bench.showing.pages import studies_of
from bench.showing.site_files import PACK, Site, SiteFiles
from bench.showing.site_folder import MARK, SiteFolder, described
from bench.tuning import PicturedStudy

CURVES = ("all", "accuracy")
OF_QUESTION = ("by", "target", "crossing", "horizon", "parameters", "baseline", "published")
"""Arguments of `bench.rank` that are asked again of the pack, which holds only what the filters left."""


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
    the records as a pack. Its links are relative, and nothing is loaded from elsewhere. One commit of mod97 makes equal
    bytes of equal records.
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
        asked = {name: request[name] for name in OF_QUESTION if name in request}
        SiteFiles(place, done, asked, skip).write(title, studies, level)
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
