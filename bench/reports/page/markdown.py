"""A report as a Markdown document, whose pictures are files beside it."""

from collections.abc import Iterator, Sequence

from bench.reports.league_table import tables_of
from bench.reports.markdown import league_markdown, markdown_table
from bench.reports.page.commands import with_options
from bench.reports.page.content import Content, Picture
from bench.reports.page.studies import study_facts


def report_markdown(content: Content, folder: str) -> str:
    """The document.

    :param folder: of the pictures, relative to the document: each is a PNG file of its name.
    """
    return "\n".join(line.rstrip(" ") for line in _lines(content, folder)) + "\n"


def _lines(content: Content, folder: str) -> Iterator[str]:
    yield f"# {_plain(content.title)}\n"
    yield from _facts(content.facts)
    yield f"\nMade by `{content.command}`.\n" if content.command else ""
    if content.ranking is not None:
        yield "## League\n"
        yield from (_plain(with_options(line)) for line in league_markdown(content.ranking, tables_of(content.ranking)))
    if content.pictures:
        yield "\n## Pictures\n"
        yield from _pictures(content.pictures, folder)
    yield from (f"- {_plain(line)}" for line in content.undrawn)
    for part in content.studies:
        yield f"\n## Study {_plain(part.study.study_name)}\n"
        yield from _facts(study_facts(part))
        yield ""
        yield from _pictures(part.pictures, folder)


def _facts(facts: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from map(_plain, markdown_table(["", ""], [[" ".join(text.split()) for text in fact] for fact in facts]))


def _pictures(pictures: Sequence[Picture], folder: str) -> Iterator[str]:
    """Each picture, of which the file has its title and caption."""
    for picture in pictures:
        title = picture.figure["layout"]["meta"]["title"]
        yield f"![{_plain(title).translate(BRACKETS)}]({folder}/{picture.name}.png)\n"


BRACKETS = str.maketrans({"[": "(", "]": ")"})


def _plain(text: str) -> str:
    """Text that Markdown does not take for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
