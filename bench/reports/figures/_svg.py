"""Makes the SVG text that matplotlib writes smaller: the same picture to six hundredths of a point.

The comments, which hold the texts of the picture, links and the data of images stay as they are, and so does what is
not written as matplotlib writes it.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise

PER_POINT = 100
"""Coordinates are rounded to this part of a point."""
NEAR = 5
"""A point of a line is left out where the line without it is as near as this, in parts of a point."""
MOST = 50
"""No more points in a row are left out, so that the time grows with the number of points alone."""
LETTERS = re.compile(r'(?<=[#"])DejaVuSans-')
SHIFT = re.compile(r' transform="translate\(([^ ()]+) ([^ ()]+)\)"')
PLACES = re.compile(r'(?<= [xy]=")[^"]+|(?<=translate\()[^)]+')
MARKS = re.compile(
    r'<g( clip-path="[^"]*")?>\n(<use [^<>]*( style="(?!(?:[^"]*;)?opacity)[^"]*")/>(?:<use [^<>]*\3/>)*)\n</g>'
)
"""Marks of one style, which their group can have, unless each of them is transparent as a whole."""

NUMBERS = re.compile(r"[-+\d.e ]+")
COMMANDS = re.compile(r"[-+\d.e\sMLQCz]+")

Point = tuple[int, ...]
Step = tuple[str, Point]


def compact(text: str) -> str:
    """The same picture in fewer letters.

    :param text: what matplotlib writes: paths of absolute commands M, L, Q, C and z, and letters as paths.
    """
    text = re.sub(r"\n *<", "\n<", text).replace("/>\n<use", "/><use")
    text = re.sub(r"<[a-z][^<>]*>", _tag, text)
    return MARKS.sub(lambda found: f"<g{found[1] or ''}{found[3]}>\n{found[2].replace(found[3], '')}\n</g>", text)


def _tag(found: re.Match[str]) -> str:
    """A tag with shorter attributes; a letter is shifted by ``x`` and ``y`` rather than by an equal transform."""
    tag = LETTERS.sub("D", found[0])
    if tag.startswith("<use"):
        tag = SHIFT.sub(r' x="\1" y="\2"', tag).replace(' y="0"', "")
    tag = re.sub(r'(?<= style=")[^"]*', lambda style: re.sub(r"(?<=[:;]) ", "", style[0]), tag)
    tag = re.sub(r'(?<= d=")[^"]*', lambda data: short_path(data[0]) if COMMANDS.fullmatch(data[0]) else data[0], tag)
    return PLACES.sub(lambda places: _written(_rounded(places[0])) if NUMBERS.fullmatch(places[0]) else places[0], tag)


def short_path(data: str) -> str:
    """The data of a path with each point relative to the one before, without points that lie on a line anyway.

    Points are rounded before they are subtracted, so that errors do not add up.

    >>> short_path("M 1 2.004 L 3 2.001 L 4.5 2 L 4 1 z")
    'M1 2h3.5l-.5-1z'
    """
    parts = []
    for command, steps in groupby(_steps(data), key=lambda step: step[0]):
        if command in "Mz":
            parts += [command + _written(numbers) for _, numbers in steps]
        else:
            parts.append(command + _written(number for _, numbers in steps for number in numbers))
    return "".join(parts)


def _steps(data: str) -> Iterator[Step]:
    """The commands of a path with their numbers, all but M relative to the point before."""
    at: Point = (0, 0)
    start = at
    found = ((command, _rounded(text)) for command, text in re.findall(r"([MLQCz])([^MLQCz]*)", data))
    for command, group in groupby(found, key=lambda step: step[0]):
        steps = [numbers for _, numbers in group]
        for numbers in _needed([at, *steps])[1:] if command == "L" else steps:
            if command == "M":
                start = numbers
                yield command, numbers
            else:
                yield _relative(command, numbers, at)
            at = numbers[-2:] or start


def _relative(command: str, numbers: Point, at: Point) -> Step:
    """A command relative to a point, and of one number where it goes across or up."""
    relative = tuple(number - at[place % 2] for place, number in enumerate(numbers))
    if command == "L" and 0 in relative:
        return ("h", relative[:1]) if relative[1] == 0 else ("v", relative[1:])
    return command.lower(), relative


def _needed(points: list[Point]) -> list[Point]:
    """The points of a line without those that it stays near to without them; the first and the last are kept."""
    kept, since = points[:1], list[Point]()
    for point, following in pairwise(points[1:]):
        since.append(point)
        if len(since) > MOST or any(_distance(one, kept[-1], following) > NEAR for one in since):
            kept.append(point)
            since.clear()
    return kept + points[1:][-1:]


def _distance(point: Point, start: Point, end: Point) -> float:
    """The distance of a point to the line from a start to an end."""
    at, start_, end_ = complex(*point), complex(*start), complex(*end)
    along = end_ - start_
    share = ((at - start_) * along.conjugate()).real / abs(along) ** 2 if along else 0.0
    return abs(at - start_ - min(1.0, max(0.0, share)) * along)


def _rounded(text: str) -> Point:
    return tuple(round(float(number) * PER_POINT) for number in text.split())


def _written(numbers: Iterable[int]) -> str:
    """Numbers without needless zeros, and without spaces before signs.

    >>> _written([0, 50, -50, 1000, -12345])
    '0 .5-.5 10-123.45'
    """
    texts = (f"{number / PER_POINT:.2f}".rstrip("0").rstrip(".") for number in numbers)
    return re.sub(r"(?<!\d)0\.", ".", " ".join(texts)).replace(" -", "-")
