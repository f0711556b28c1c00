"""All kinds of pictures by name, and what becomes of one: a file, or plotly's figure."""

import ast
import inspect
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from html import escape
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from bench.errors import RequestError, one_of, optional_package
from bench.reports.figures._elements import Figure
from bench.reports.figures._layout import THEMES, laid_out
from bench.results import check_output

FOLDER = Path(__file__).parent / "figures"
FORMATS = ("png", "svg", "pdf", "html")


class Kind(NamedTuple):
    """A kind of picture: a module of `bench.reports.figures`, found by its file.

    :param name: the constant ``KIND`` of the module.
    :param summary: its first sentence.
    :param place: its name.
    """

    name: str
    summary: str
    place: str

    @property
    def module(self) -> ModuleType:
        """The module, imported where a picture is drawn: ``draw`` and perhaps ``NEEDS``, ``ASKS``, ``ONE_BLOCK``."""
        return import_module(self.place)

    @property
    def needs(self) -> str:
        """What it is drawn from: "ranking", "study", or of one run "record", "inside" or "states"."""
        return "study" if ".study." in self.place else getattr(self.module, "NEEDS", "ranking")

    @property
    def asks(self) -> Mapping[str, Any]:
        """What the ranking must be asked, whatever the user asks for."""
        return getattr(self.module, "ASKS", {})

    @property
    def one_block(self) -> bool:
        """Whether it shows one task, modulus, protocol, fraction and label noise alone."""
        return getattr(self.module, "ONE_BLOCK", False)

    @property
    def words(self) -> Mapping[str, Collection[str]]:
        """The values that an option may have, where it is a word."""
        return getattr(self.module, "WORDS", {})

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of its ``draw``, with their defaults."""
        parameters = inspect.signature(self.module.draw).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


@cache
def picture_kinds() -> dict[str, Kind]:
    """All kinds by name, those of studies last. No module is imported for it, so that completion and help are quick."""
    paths = [*sorted(FOLDER.glob("[!_]*.py")), *sorted((FOLDER / "study").glob("[!_]*.py"))]
    return {kind.name: kind for path in paths for kind in _read(path)}


def _read(path: Path) -> Iterator[Kind]:
    """The kind that a module is, if it has a name."""
    tree = ast.parse(path.read_text("utf-8"))
    place = ".".join(("bench", *path.relative_to(FOLDER.parent.parent).with_suffix("").parts))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "KIND":
            yield Kind(ast.literal_eval(node.value), (ast.get_docstring(tree) or "").partition("\n")[0], place)


def kind_of(name: str) -> Kind:
    """The kind of this name.

    :raises RequestError: where there is none.
    """
    known = picture_kinds()
    if name not in known:
        raise RequestError(one_of("picture", name, known))
    return known[name]


def check_options(kind: Kind, options: Mapping[str, Any]) -> None:
    """Raise RequestError for an option that is given and that the kind does not take, or an unknown word."""
    for name, value in options.items():
        if value is not None and name not in kind.options:
            known = ", ".join(kind.options) or "none"
            raise RequestError(f"`{name}` does not apply to the picture {kind.name!r}, whose options are: {known}.")
        if value is not None and name in kind.words and value not in kind.words[name]:
            raise RequestError(one_of(f"`{name}`", value, kind.words[name]))


def draw_picture(kind: Kind, data: Any, **options: Any) -> Figure:
    """The picture of this kind, without a layout: see `bench.reports.figures._elements`.

    :param data: what the kind needs: a ranking, the predictions of a record, a look inside it, or a study with the
        names of its values and of its intermediate values.
    :param options: arguments of its ``draw``; those that are None take their defaults.
    :raises RequestError: for an option that the kind does not take, or where there is nothing to draw.
    """
    given = {name: value for name, value in options.items() if value is not None}
    check_options(kind, given)
    several = kind.needs == "study"
    drawn: Figure | None = kind.module.draw(*(data if several else [data]), **given)
    if drawn is None:
        raise RequestError(f"The picture {kind.name!r} cannot be drawn: it needs {kind.module.WANTS}.")
    return drawn


# What becomes of a picture


def as_plotly(figure: Figure, width: int = 800, theme: str = "light") -> Any:
    """The picture as plotly's figure, which a notebook shows and keeps as a still, too.

    :raises RequestError: where plotly is missing.
    """
    _plotly()
    return import_module("bench.reports.notebook").Figure.of(laid_out(figure, width, theme))


def check_picture(path: str | Path, option: str = "`output`") -> str:
    """The format of a file that can be written.

    :param option: what errors call the path.
    :raises RequestError: where it is no format of ours, what draws it is missing, or the folder cannot be written to.
    """
    form = Path(path).suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise RequestError(f"{option} must end in {', '.join(f'.{f}' for f in FORMATS)}, got {str(path)!r}.")
    check_output(path, option)
    _plotly() if form == "html" else _matplotlib()
    return form


def write_picture(figure: Figure, path: str | Path, width: int = 800, theme: str = "light") -> None:
    """Write a picture to a PNG, SVG, PDF or HTML file: the same bytes each time.

    :param width: in pixels, of a hundred in an inch on paper.
    :raises RequestError: where that is not possible.
    """
    form = check_picture(path)
    try:
        if form == "html":
            Path(path).write_text(_page(figure, width, theme), "utf-8")
        else:
            _matplotlib().save(laid_out(figure, width, theme), str(path), form)
    except OSError as error:
        raise RequestError(f"`output` cannot be written to {str(path)!r}: {error.strerror or error}.") from error


def _page(figure: Figure, width: int, theme: str) -> str:
    """A page that works offline: the picture as wide as the window, and its caption as text below it."""
    drawn = laid_out(figure, width, theme, words=False)
    meta = figure["layout"]["meta"]
    del drawn["layout"]["width"]
    body = import_module("plotly.io").to_html(
        _plotly().Figure(drawn),
        full_html=False,
        include_plotlyjs=True,
        include_mathjax=False,
        div_id="picture",
        config={"displaylogo": False, "responsive": True},
    )
    caption = "".join(f"<p>{escape(line)}</p>" for line in meta["caption"])
    colours, title = THEMES[theme], escape(meta["title"])
    page = f"margin:0 auto;max-width:1100px;background:{colours.paper};color:{colours.ink};font:13px/1.4 sans-serif"
    style = f"body{{{page}}} h1{{font-size:18px;margin:14px}} p{{margin:2px 14px}}"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        f"<body><h1>{title}</h1>{body}{caption}</body></html>\n"
    )


def _plotly() -> Any:
    return optional_package("plotly.graph_objects", "plot", "This picture")


def _matplotlib() -> Any:
    optional_package("matplotlib", "plot", "This picture")
    return import_module("bench.reports.figures._matplotlib")
