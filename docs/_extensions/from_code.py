"""Directives that write pages from the code, so that no page repeats by hand what the code says.

``plugins`` documents all encoders, learners or parts of optimizers, ``tasks`` tabulates all tasks, ``names`` documents
the public names of a module, ``request-fields`` tabulates the fields of a request, ``measures`` what claims measure,
``columns`` the columns of an export, ``command-help`` shows the help of all commands.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import MISSING
from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective

from bench import specs
from bench.cli._commands import cli
from bench.recipes import described_measures
from bench.results import columns_of

PROGRAM = "python -m bench"
WIDTH = 88
"""Letters in a line of help."""
WHOLE = re.compile(r"(\([\d.,]+ ?(?:–|to) ?[\d.,]*\)|\d[\d.,]*–\d[\d.,]*|\d+ of \d+|n = \d+)")
"""What no line of a table breaks: "(0.6–5.0)", "20 of 20"."""


def _autodoc(cls: SphinxDirective, targets: Iterable[str], options: Sequence[str] = ()) -> list[nodes.Node]:
    """The documentation of classes and functions, each given as MODULE.NAME."""
    lines = []
    for target in targets:
        module, _, name = target.rpartition(".")
        value = getattr(import_module(module), name)
        kind = "function" if not isinstance(value, type) else "class"
        kind = "exception" if kind == "class" and issubclass(value, Exception) else kind
        chosen = options if kind == "class" else ()
        lines += [f".. auto{kind}:: {target}", *(f"   :{option}:" for option in chosen), ""]
    return cls.parse_text_to_nodes("\n".join(["````{eval-rst}", *lines, "````", ""]))


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _own(kind: Any) -> list[specs.registry.Listing]:
    """The plugins of a kind that this repository holds."""
    return [listing for listing in specs.listings(kind).values() if not listing.registered]


class Plugins(SphinxDirective):
    """``{plugins} encoder``: the class of every plugin of a kind, by name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Document them."""
        kind: Any = self.arguments[0]
        classes = [specs.registry.load(kind, listing.name) for listing in _own(kind)]
        return _autodoc(self, [f"{specs.registry.PACKAGES[kind]}.{cls.__name__}" for cls in classes])


class Names(SphinxDirective):
    """``{names} MODULE NAME …``: these names of a module, or else all that it hands out.

    ``:members:`` documents the public methods of classes, too, and ``:keys:`` the keys of typed dictionaries.
    """

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = {"members": lambda _: True, "keys": lambda _: True}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Document them."""
        module = self.arguments[0]
        names = self.arguments[1].split() if len(self.arguments) > 1 else import_module(module).__all__
        options = ["members"] * bool(self.options) + ["undoc-members"] * ("keys" in self.options)
        return _autodoc(self, [f"{module}.{name}" for name in names], options)


class Tasks(SphinxDirective):
    """``{tasks}``: a table of all tasks."""

    def run(self) -> list[nodes.Node]:
        """Tabulate their names, formulas and pairs."""
        tasks = [(listing, specs.registry.task(listing.name)()) for listing in _own("task")]
        rows = [
            (f"`{listing.name}`", listing.summary, f"{len(task.operands_NK):,}", "yes" if task.symmetric else "no")
            for listing, task in tasks
        ]
        return self.parse_text_to_nodes(_table(("task", "answer", "questions", "symmetric"), rows))


class RequestFields(SphinxDirective):
    """``{request-fields} bench.specs.Request``: a table of the fields from which options and arguments are made."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Tabulate them."""
        module, _, name = self.arguments[0].rpartition(".")
        rows = []
        for field, (option, default) in specs.options(getattr(import_module(module), name)).items():
            usual = "required" if default is MISSING else option.default_text or f"`{default!r}`"
            rows.append((f"`{field}`", option.help, usual))
        return self.parse_text_to_nodes(_table(("argument", "meaning", "default"), rows))


class Measures(SphinxDirective):
    """``{measures}``: a table of what the claims of recipes measure."""

    def run(self) -> list[nodes.Node]:
        """Tabulate them."""
        found = described_measures()
        rows = [(f"`{one['measure']}`", *list(one.values())[1:]) for one in found]
        return self.parse_text_to_nodes(_table(list(found[0]), rows))


class Columns(SphinxDirective):
    """``{columns} cells`` or ``{columns} evaluations``: a table of the columns that every such table has."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Tabulate them."""
        rows = [(f"`{name}`", *others) for name, *others in columns_of(self.arguments[0])]
        return self.parse_text_to_nodes(_table(("column", "type", "unit", "meaning"), rows))


class CommandHelp(SphinxDirective):
    """``{command-help}``: what ``--help`` prints, of the program and in a section of its own of every command."""

    def run(self) -> list[nodes.Node]:
        """Show the help."""
        settings: dict[str, Any] = {"resilient_parsing": True, "terminal_width": WIDTH}
        found: list[nodes.Node] = []
        with cli.make_context(PROGRAM, [], **settings) as program:
            found.append(_literal(program.get_help()))
            for name, command in sorted(cli.commands.items()):
                text = command.make_context(name, [], parent=program, **settings).get_help()
                found.append(nodes.section("", nodes.title("", name), _literal(text), ids=[name], names=[name]))
        return found


def _literal(text: str) -> nodes.literal_block:
    return nodes.literal_block(text, text, language="text")


def find_by_last_name(app: Any, env: Any, node: pending_xref, content: nodes.Node) -> nodes.Node | None:
    """Resolve a reference like ``RequestError`` where one documented object alone has this last name."""
    domain = env.get_domain("py")
    name = node.get("reftarget", "").rpartition(".")[2]
    found = {entry.docname: (full, entry) for full, entry in domain.objects.items() if full.endswith(f".{name}")}
    if node.get("refdomain") != "py" or len(found) != 1:
        return None
    [(full, entry)] = found.values()
    where = app.builder.get_relative_uri(node["refdoc"], entry.docname)
    return nodes.reference("", "", content, refuri=f"{where}#{entry.node_id}", reftitle=full, internal=True)


def keep_ranges_whole(app: Any, doctree: nodes.document) -> None:
    """Let no line of a table break within a range of numbers, but before the settings of a learner in its head."""
    for entry in doctree.findall(nodes.entry):
        in_head = isinstance(entry.parent.parent, nodes.thead)
        for text in list(entry.findall(nodes.Text)):
            shown = text.replace("(", "\u200b(") if in_head else text
            parts = enumerate(WHOLE.split(shown))  # every second one is a match
            pieces = [nodes.inline("", part, classes=["nobreak"]) if i % 2 else nodes.Text(part) for i, part in parts]
            text.parent.replace(text, [piece for piece in pieces if piece.astext()])


def trim_code(app: Any, doctree: nodes.document) -> None:
    """Remove the empty line at the end of an example, which doctest needs between an output and a fence."""
    for block in doctree.findall(nodes.literal_block):
        block.rawsource = block.astext().rstrip()
        block[:] = [nodes.Text(block.rawsource)]


def setup(app: Any) -> dict[str, bool]:
    """Register the directives with Sphinx."""
    for name, directive in (
        ("plugins", Plugins),
        ("names", Names),
        ("tasks", Tasks),
        ("request-fields", RequestFields),
        ("measures", Measures),
        ("columns", Columns),
        ("command-help", CommandHelp),
    ):
        app.add_directive(name, directive)
    app.connect("missing-reference", find_by_last_name)
    app.connect("doctree-read", keep_ranges_whole)
    app.connect("doctree-read", trim_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
