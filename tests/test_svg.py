"""SVG files in their short form: the same lines, marks and texts as matplotlib writes, in half the letters."""

import io
import re
from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure as Page

from bench.reports.figures import _matplotlib
from bench.reports.figures._svg import PER_POINT, compact, short_path

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
HALF = 0.5 / PER_POINT
"""What rounding may change."""


def points_of(data: str) -> list[complex]:
    """The points of a path of lines, given in either form."""
    at, start, points = 0j, 0j, list[complex]()
    for command, text in re.findall(r"([a-zA-Z])([^a-zA-Z]*)", data):
        numbers = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
        if command == "z":
            at = start
        elif command in "hv":
            for number in numbers:
                points.append(at := at + number * (1 if command == "h" else 1j))
        else:
            for x, y in zip(numbers[::2], numbers[1::2], strict=True):
                points.append(at := complex(x, y) + (at if command == "l" else 0))
            start = at if command == "M" else start
    return points


def distance(point: complex, line: list[complex]) -> float:
    """The distance of a point to the nearest part of a line."""
    starts, ends = np.array(line[:-1]), np.array(line[1:])
    along = ends - starts
    shares = ((point - starts) * along.conjugate()).real / np.maximum(abs(along) ** 2, 1e-12)
    return float(abs(point - starts - np.clip(shares, 0, 1) * along).min())


@pytest.mark.parametrize("rough", [0.01, 0.3, 20.0])
def test_a_line_stays_where_it_was(rough: float) -> None:
    random = np.random.default_rng(0)
    ys = 100 + np.cumsum(random.normal(0, rough, 300))
    line = [complex(x, y) for x, y in zip(np.linspace(50, 90, 300), ys, strict=True)]
    written = " \n".join(f"{'L' if i else 'M'} {one.real:.6f} {one.imag:.6f}" for i, one in enumerate(line))
    short = short_path(written)
    left = points_of(short)
    assert len(short) < len(written) / 2
    assert max(distance(point, left) for point in line) <= 0.05 + 2 * HALF
    assert max(min(abs(point - one) for one in line) for point in left) <= 2 * HALF
    assert abs(left[-1] - line[-1]) <= 2 * HALF  # errors of relative points do not add up


def test_there_and_back_is_kept() -> None:
    assert short_path("M 0 0 L 5 0 L 2 0 L 2 9 z M 1 1 L 1 1") == "M0 0h5-3v9zM1 1h0"


def test_curves_are_relative_to_their_start() -> None:
    assert short_path("M 1 1 Q 2 2 3 1 Q 4 0 5 1 C 5 2 6 3 7 3 z L 2 1") == "M1 1q1 1 2 0 1-1 2 0c0 1 1 2 2 2zh1"


@pytest.fixture(scope="module")
def both() -> tuple[str, str]:
    """A page with an image, a band, opaque and transparent marks, turned text: by matplotlib, and in short."""
    with _matplotlib.settings():
        page = Page(figsize=(5, 4))
        axes = page.add_subplot()
        axes.imshow(np.eye(9), extent=(0, 200, -1, 1), aspect="auto")
        x = np.arange(200)
        axes.fill_between(x, np.sin(x / 9), np.cos(x / 9), alpha=0.3)
        axes.plot(x, np.sin(x / 9), "o")
        axes.plot(x[::9], np.cos(x[::9]), "s", alpha=0.4, markeredgewidth=0)
        axes.set_ylabel(' d="M 1.234567 1" style="a: b">')
        page.text(0.2, 0.9, "a  b\nfi 漢", rotation=30)
        file, written = io.BytesIO(), io.BytesIO()
        page.savefig(file, format="svg", dpi=_matplotlib.SHARPNESS, metadata=dict.fromkeys(_matplotlib.UNSAID["svg"]))
        _matplotlib.write(page, written, "svg")
    return file.getvalue().decode(), written.getvalue().decode()


def styles(text: str) -> Iterator[tuple[str, ...]]:
    """Where each mark and letter stands, and its style, its own or that of the group around it."""
    root = ElementTree.fromstring(text)
    for group in root.iter(f"{SVG}g"):
        for use in group.findall(f"{SVG}use"):
            at = re.findall(r"translate\((\S+) (\S+)\)", use.get("transform", "")) or [
                (use.get("x", 0), use.get("y", 0))
            ]
            style = use.get("style", group.get("style", "")).replace(" ", "")
            yield (*(f"{float(number):.1f}" for number in at[0]), style)


def test_marks_and_letters_keep_their_places_and_styles(both: tuple[str, str]) -> None:
    before, after = (list(styles(text)) for text in both)
    assert len(before) > 200
    for (x, y, style), (x_, y_, style_) in zip(before, after, strict=True):
        assert style == style_
        assert abs(float(x) - float(x_)) < 0.11
        assert abs(float(y) - float(y_)) < 0.11


@pytest.mark.parametrize(
    ("style", "shared"),
    [("fill:red;fill-opacity:.4", True), ("fill:red;opacity:.4", False), ("opacity:.4;fill:red", False)],
)
def test_marks_share_a_style_unless_each_is_transparent_as_a_whole(style: str, shared: bool) -> None:
    text = f"""<g>\n <use x="1" style="{style}"/>\n <use x="2" style="{style}"/>\n</g>"""
    assert (compact(text) == f"""<g style="{style}">\n<use x="1"/><use x="2"/>\n</g>""") == shared
    assert compact(text).count("style=") == (1 if shared else 2)


def test_texts_images_and_links_are_kept(both: tuple[str, str]) -> None:
    before, after = both
    assert re.findall(r"<!--.*?-->", before, re.DOTALL) == re.findall(r"<!--.*?-->", after, re.DOTALL)
    images = [re.findall(r'"data:image/png[^"]*"', text) for text in both]
    assert images[0] == images[1] != []
    root = ElementTree.fromstring(after)
    ids = {one.get("id") for one in root.iter()}
    assert {str(one.get(LINK))[1:] for one in root.iter(f"{SVG}use")} <= ids
    assert not re.search("<use[^>]*transform", after)
    assert len(after) < 0.6 * len(before)
    assert compact(before) == after


@pytest.mark.parametrize("tag", ['<path d="M nan 1 L 2 3"/>', '<path d="M 1 2 H 3"/>', '<rect x="50%" y="1"/>'])
def test_what_matplotlib_does_not_write_stays_as_it_is(tag: str) -> None:
    assert compact(tag) == tag
