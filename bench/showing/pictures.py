"""``bench.plot``: one picture of what a results folder or a study holds."""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from bench import ranking, reports, tuning
from bench.errors import RequestError, one_of
from bench.reports import Kind
from bench.showing.inside import inside_of
from bench.showing.predictions import predictions_of

OF_RUNS: dict[str, Callable[..., Any]] = {
    "record": predictions_of,
    "inside": inside_of,
    "states": partial(inside_of, along=True),
}
"""What makes the data of a picture of one run, by what its kind needs."""
SOURCES = {"ranking": (), "study": ("study", "storage"), **dict.fromkeys(OF_RUNS, ("id",))}
"""Arguments that name what a picture shows, by what its kind needs."""

OF_KINDS = ("most", "band", "cost")
"""Arguments that are options of a kind."""
OF_TABLES = ("baseline", "published")
"""Arguments of `bench.rank` that change its table and no picture."""


def plot(
    kind: str,
    *,
    output: str | Path | None = None,
    width: int = 800,
    theme: str = "light",
    **request: Any,
) -> Any:
    """One picture of what a results folder holds, as a figure of plotly: in a notebook it shows itself.

    >>> import bench
    >>> records = bench.run(encoder="onehot", learner="ridge", modulus=7, results=None)
    >>> bench.plot("heatmap", records=records).layout.xaxis.title.text
    'learner'

    :param kind: "curves", "survival", … : ``python -m bench plot --help`` lists them.
    :param output: a PNG, SVG, PDF or HTML file to which the picture is written as well.
    :param width: in pixels; a hundred are an inch on paper.
    :param theme: "light" or "dark".
    :param request: all other arguments of `picture`.
    :raises RequestError: for a request that is wrong, or that no record answers; where a library is missing.
    :raises StoreError: where the folder or a record in it cannot be used.
    """
    reports.check_layout(width, theme)
    if output is not None:
        reports.check_picture(output)
    drawn = picture(kind, **request)
    if output is not None:
        reports.write_picture(drawn, output, width, theme)
    return reports.as_plotly(drawn, width, theme)


def picture(
    kind: str,
    *,
    id: str | None = None,
    study: str | None = None,
    storage: str | None = None,
    results: str | Path = "results",
    most: int | None = None,
    band: str | None = None,
    cost: str | None = None,
    say: Callable[[str], None] | None = None,
    **request: Any,
) -> reports.Figure:
    """The picture as a plain dictionary without a layout, of which `bench.reports` makes files.

    :param id: of the record that a picture of one run shows.
    :param study: the name of the study that a picture of a study shows; may be left out where there is one only.
    :param storage: where it is; by default the journal in the results folder.
    :param results: the results folder.
    :param most: so many configurations are drawn.
    :param band: of curves: "quartiles" or "range".
    :param cost: "seconds", "flops" or "steps".
    :param say: receives a line ahead of work that takes time.
    :param request: arguments of `bench.rank`: filters, what rows are ranked by.
    """
    found = reports.kind_of(kind)
    _check_request(found, {"id": id, "study": study, "storage": storage}, request)
    options = {"most": most, "band": band, "cost": cost}
    reports.check_options(found, options)
    if found.needs in OF_RUNS:
        if id is None:
            raise RequestError(f"The picture {kind!r} shows one run: it needs the id of a record.")
        return reports.draw_picture(found, OF_RUNS[found.needs](id, results=results, say=say), **options)
    if found.needs == "study":
        url = tuning.default_url(results) if storage is None else storage
        return reports.draw_picture(found, tuning.pictured_study(url, study), **options)
    return reports.draw_picture(found, ranking.rank(**{"results": results, **request, **found.asks}), **options)


def check_picture_of_records(kind: str, options: Mapping[str, Any]) -> None:
    """Check options of `picture` as far as that can be done before there are records to draw.

    :raises RequestError: where one is wrong, or the kind is not drawn from records.
    """
    found = reports.kind_of(kind)
    if found.needs != "ranking":
        raise RequestError(f"The picture {kind!r} shows {'a study' if found.needs == 'study' else 'one run'} alone.")
    of_kind = {name: value for name, value in options.items() if name in OF_KINDS}
    request = {name: value for name, value in options.items() if name not in OF_KINDS}
    _check_request(found, {}, request)
    reports.check_options(found, of_kind)
    fields = {name: request[name] for name in ("by", "target", "crossing", "horizon") if name in request}
    ranking.Question(**fields).checked()


def _check_request(kind: Kind, sources: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    """Refuse what does not apply to a kind, so that nothing is dropped in silence."""
    needs, defaults = kind.needs, {name: p.default for name, p in signature(ranking.rank).parameters.items()}
    for name, value in sources.items():
        if value is not None and name not in SOURCES[needs]:
            raise RequestError(f"`{name}` does not apply to the picture {kind.name!r}.")
    for name, value in request.items():
        if name not in defaults:
            raise RequestError(one_of("argument", name, {*defaults, *kind.options, *SOURCES[needs]}))
        free = needs == "ranking" and name not in kind.asks and name not in OF_TABLES
        if not free and value is not None and value != defaults[name] and value != kind.asks.get(name):
            raise RequestError(f"`{name}` does not apply to the picture {kind.name!r}.")
