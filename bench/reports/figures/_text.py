"""Text in pictures: shown letter by letter, whatever a label holds, and broken into lines."""

import html
import re
from collections.abc import Sequence
from textwrap import wrap
from typing import Any
from unicodedata import east_asian_width

BREAK = "<br>"
_MARKUP = re.compile(r"</?(?:b|i|sup)>")
_SPECIAL = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})
"""What plotly would take for HTML or, between two dollar signs, for TeX."""


def escaped(text: str, width: int = 0, most: int = 4) -> str:
    """A label as plotly shows it letter by letter. What cannot be printed becomes a space.

    :param width: break lines at so many characters; 0 breaks none.
    :param most: the number of lines after which the label ends with an ellipsis.

    >>> escaped("a<b> & $x$")
    'a&lt;b&gt; &amp; &#36;x&#36;'
    >>> escaped("one two three", width=8)
    'one two<br>three'
    """
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    wide = sum(east_asian_width(letter) in "WF" for letter in printable)
    width = width * len(printable) // (len(printable) + wide) if wide else width
    lines = wrap(printable, width, max_lines=most, placeholder=" …") if width else [printable]
    return BREAK.join(line.translate(_SPECIAL) for line in lines)


def named_ticks(names: Sequence[str]) -> dict[str, list[Any]]:
    """Ticks of an axis at 0, 1, … with names."""
    return {"tickvals": list(range(len(names))), "ticktext": [escaped(name) for name in names]}


def plain(text: str) -> str:
    r"""What a reader sees of a text of plotly: the inverse of `escaped`, without bold and raised letters.

    >>> plain("<b>a&lt;b</b><br>&#36;x&#36;")
    'a<b\n$x$'
    """
    return html.unescape(_MARKUP.sub("", text.replace(BREAK, "\n")))
