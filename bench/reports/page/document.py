"""The page itself: the template with its style, its program and its data, in one file that needs nothing else."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from bench.errors import optional_package
from bench.reports.page.content import Content
from bench.reports.page.curves import curve_data
from bench.reports.page.league import league_data
from bench.reports.page.packing import packed, packed_text
from bench.reports.page.pictures import chosen_curves, picture_data, themes
from bench.reports.page.runs import run_data, runs_of
from bench.reports.page.studies import study_data

HERE = Path(__file__).parent
PROGRAM = ("basics.js", "league.js", "report.js")
"""The parts of the program in the order in which they are joined to one script."""
_SLOT = re.compile(r"\{\{(\w+)\}\}")


def report_page(content: Content) -> str:
    """The page.

    Data are in it as compressed text in letters that mean nothing in HTML, from which the program builds the page by
    text nodes alone. A policy in the page allows its own program, plotly and nothing else: no request, and no script
    that a name of a record could bring along.

    :raises RequestError: where plotly is missing.
    """
    program = "\n".join((HERE / name).read_text("utf-8") for name in PROGRAM)
    blobs = {**{name: packed(value) for name, value in _parts(content).items()}, "plotly": _packed_plotly()}
    return filled(
        (HERE / "template.html").read_text("utf-8"),
        title=escape(content.title),
        home=f'<p><a href="{escape(content.home)}">All reports and files</a></p>' if content.home else "",
        policy=escape(policy_of([program, plotly_program()])),
        style=style(),
        program=program,
        data="\n".join(f'<script type="application/gzip" id="data-{name}">{it}</script>' for name, it in blobs.items()),
    )


def _parts(content: Content) -> dict[str, Any]:
    """The data by name; the program unpacks each when it needs it, the first at once."""
    ranking = content.ranking
    rows = [] if ranking is None else ranking.rows
    return {
        "league": {
            "title": content.title,
            "command": content.command,
            "facts": content.facts,
            "undrawn": content.undrawn,
            "league": None if ranking is None else league_data(ranking),
        },
        "runs": run_data(rows, content.collected, content.folder or "results"),
        "curves": {**curve_data(runs_of(rows)), "picture": chosen_curves()},
        "pictures": [picture_data(picture.figure) for picture in content.pictures],
        "studies": [study_data(part) for part in content.studies],
    }


def filled(template: str, **values: str) -> str:
    """The template with values in its slots; what looks like a slot inside a value is left alone."""
    return _SLOT.sub(lambda found: values[found[1]], template)


def style() -> str:
    """The style of all pages, with the colours of both themes."""
    return filled((HERE / "report.css").read_text("utf-8"), **{name: _colours(of) for name, of in themes()})


def _colours(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def policy_of(scripts: Sequence[str]) -> str:
    """What a browser may do with the page: run these scripts, show pictures made in it, and nothing else."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def plotly_program() -> str:
    """The program of plotly for browsers, of which the Python package has the whole alone, without smaller bundles.

    :raises RequestError: where plotly is missing.
    """
    return str(optional_package("plotly.offline", "plot", "A report").get_plotlyjs())


@cache
def _packed_plotly() -> str:
    return packed_text(plotly_program())
