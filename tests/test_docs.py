"""README and pages: their length, links, commands and names, and that Sphinx builds them without a warning."""

import html
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pytest
import yaml

from bench.cli._commands import cli
from bench.errors import BenchError
from bench.recipes.measures import IN_POINTS, MEASURES
from bench.results import columns_of
from bench.specs import Request, options
from bench.tuning import Search
from learners import Quadratic
from learners.optim import Lion

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")), *DOCS.rglob("*.ipynb"))
    if not {"_build", ".venv", ".ipynb_checkpoints"} & {*path.parts}
}
MOST_LINES, MOST_WORDS = 120, 1200
PLANNED = {"run", "sweep", "tune"}
"""Commands with --dry-run, which checks plugins, parameters and grids, too."""
OF_MEASUREMENTS = {"--examples", "--repeats", "--kills", "--longest", "--threads"}
"""Options of `bench.recipes.measurements` that pages name."""
OF_DASK = {"--memory-limit", "--nthreads", "--nworkers"}
"""Options of workers of Dask that pages name."""
PLACEHOLDERS = ("my_", "my-lion", "NAME")

each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())


def text_of(page: Path) -> str:
    """The words of a page; of a notebook those between its cells of code."""
    text = page.read_text("utf-8")
    if page.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")


def without_fences(text: str) -> str:
    return re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert len(text.split()) <= MOST_WORDS


# Links


def anchors(page: Path) -> set[str]:
    """The anchors of a page: its labels, and its headings as GitHub and MyST write them."""
    text = without_fences(text_of(page))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    found = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return found | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def broken_links(page: Path) -> Iterator[str]:
    text = re.sub(r"`[^`\n]*`", "code", without_fences(text_of(page)))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        if not re.match(r"https?:", target) and not (path.exists() and (not anchor or anchor in anchors(path))):
            yield target


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `name`: two\n[a](#one-name-two) [b](#one) [c](none.md) `[d](none.md)` [e](page.md#no)\n")
    assert list(broken_links(page)) == ["#one", "none.md", "page.md#no"]


# Commands


class Command(NamedTuple):
    """A command of a page: the words behind ``python -m bench``."""

    page: str
    words: Sequence[str]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def commands() -> Iterator[Command]:
    """All commands that stand on a line of their own."""
    for name, page in PAGES.items():
        for line in text_of(page).replace("\\\n", " ").splitlines():
            if found := re.match(r" *(?:exec )?python -m bench (.*)", line):
                yield Command(name, tuple(shlex.split(found[1].replace("$SLURM_ARRAY_TASK_ID", "2"), comments=True)))


def parse(words: Sequence[str]) -> None:
    """Parse a command as the program does; raises where an option or a value is unknown."""
    name, *arguments = words
    with cli.make_context("bench", [], resilient_parsing=True, obj={"debug": False}) as context:
        cli.commands[name].make_context(name, arguments, parent=context)


def plan(words: Sequence[str], results: Path) -> None:
    """Plan a command, which runs nothing; raises where a plugin, a parameter or a grid is unknown."""
    chosen = [*words, "--dry-run", "--results", str(results)]
    assert not cli.main(chosen, standalone_mode=False, obj={"debug": False})


def test_commands_are_found() -> None:
    assert {command.words[0] for command in commands()} >= {"run", "sweep", "rank", "tune", "speed", "merge", "new"}


@pytest.mark.parametrize("command", dict.fromkeys(commands()), ids=str)
def test_commands_can_be_run(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = command.words[0]
    parse(command.words)
    named = any(mark in word for mark in PLACEHOLDERS for word in command.words)  # what a reader has written
    elsewhere = "--scheduler" in command.words  # which a plan asks for its workers
    if name in PLANNED and "million.yaml" not in command.words and not named and not elsewhere:
        monkeypatch.chdir(ROOT)
        plan(command.words, tmp_path / "results")


def test_a_renamed_option_is_found(tmp_path: Path) -> None:
    cell = ("run", "--encoder", "onehot", "--learner", "ridge")
    with pytest.raises(click.NoSuchOption):
        parse((*cell, "--epoch-count", "3"))
    with pytest.raises(BenchError):
        plan((*cell, "--set", "learner.gone=1"), tmp_path)


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_files_for_clusters_can_be_copied() -> None:
    """Shells, Python and YAML can read them, and the commands in them are commands of mod97 and of Dask."""
    page, found = DOCS / "machines.md", list[list[str]]()
    for script in blocks(page, "bash"):
        subprocess.run(["bash", "-n"], input=script.encode(), check=True)
        found += [
            shlex.split(line) for line in re.findall(r"\b(dask (?:scheduler|worker) .*) &$", script, re.MULTILINE)
        ]
    for program in blocks(page, "python"):
        compile(program, "machines.md", "exec")
    [manifests] = [list(yaml.safe_load_all(text)) for text in blocks(page, "yaml")]
    containers = [
        one for it in manifests for one in it["spec"].get("template", {}).get("spec", {}).get("containers", [])
    ]
    found += [[*one["command"], *one.get("args", [])] for one in containers]
    assert [it["kind"] for it in manifests] == ["Service", "Deployment", "Deployment", "Job"]
    assert len(found) == 6
    for words in found:
        if words[0] == "dask":
            main = pytest.importorskip(f"distributed.cli.dask_{words[1]}").main
            assert main.make_context(words[1], [str(word) for word in words[2:]])
        else:
            assert words[:3] == ["python", "-m", "bench"]
            parse(words[3:])


@each_page
def test_names_in_running_text_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    known = {name for command in cli.commands.values() for one in command.params for name in one.opts} | {"--help"}
    for code in re.findall(r"`([^`\n]+)`", without_fences(text)):
        assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", code)) <= known | OF_MEASUREMENTS | OF_DASK, code
        if found := re.match(r"(?:python -m )?bench (\w+)", code):
            assert found[1] in cli.commands, code
    for module in re.findall(r"bench\.recipes\.[\w.]*\w", text):
        assert any(word in module for word in PLACEHOLDERS) or find_spec(module), module
    for path in re.findall(r"\b(?:bench|encoders|learners|tests)/[\w/.-]+\.(?:py|pyi|yaml)\b", text):
        assert any(word in path for word in PLACEHOLDERS) or (ROOT / path).exists(), path


# Pages from the code


def test_every_page_is_listed() -> None:
    listed = " ".join(path.read_text("utf-8") for path in DOCS.rglob("index.md"))
    for name, page in PAGES.items():
        if page.is_relative_to(DOCS) and page.stem != "index":
            assert re.search(rf"\b{page.stem}(?:>|\n)", listed), name


BUILD = """
import sys
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.cmd.build import main

StandaloneHTMLBuilder.search = False  # nothing here searches
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages, built as by ``make docs``: in a process of its own, since Sphinx alters signatures."""
    for module in ("sphinx", "furo", "myst_parser"):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install 'mod97[docs]'")
    folder = tmp_path_factory.mktemp("pages")
    command = [sys.executable, "-c", BUILD, "--fail-on-warning", "--quiet", str(DOCS), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def shown(page: Path) -> str:
    """The text of a built page, without markup."""
    return re.sub(r"<(script|style).*?</\1>|<[^>]*>", "", page.read_text("utf-8"), flags=re.DOTALL)


def test_docstrings_become_pages(built: Path) -> None:
    pages = {path.stem: shown(path) for path in (built / "reference").glob("*.html")}
    assert "n – number of clocks, the features F of the code." in pages["encoders"]
    assert "A two-layer net with a quadratic activation" in pages["learners"]
    assert "a · b · a⁻¹ in S5" in pages["tasks"]
    assert {*options(Request), *options(Search)} <= set(pages["bench"].split())
    for name, text in pages.items():
        assert "``" not in text, name  # markup that was not understood
        assert ":param" not in text, name


def test_measures_become_a_table(built: Path) -> None:
    text = " ".join(shown(built / "reproduce.html").split())
    for name, measure in MEASURES.items():
        comparison = "difference" if name in IN_POINTS else "ratio"
        assert f"{name} {measure.meaning} {measure.unit} {comparison}" in text


def test_columns_of_exports_become_tables(built: Path) -> None:
    text = html.unescape(" ".join(shown(built / "export.html").split())).replace("’", "'")
    for rows in ("cells", "evaluations"):
        for column in columns_of(rows):
            assert " ".join(filter(None, column)) in text


def test_a_notebook_becomes_a_page_with_its_outputs(built: Path) -> None:
    text, markup = shown(built / "notebook.html"), (built / "notebook.html").read_text("utf-8")
    assert "bench.sweep(grid" in text
    assert "onehot+concat → quadratic" in text
    assert 'alt="Learning curves: add mod 31' in markup
    assert 'src="data:image/png;base64,iVBOR' in markup
    assert 'href="tuning.html"' in markup


def test_help_becomes_a_page(built: Path) -> None:
    text = shown(built / "commands.html")
    assert text.count("Usage: python -m bench ") == len(cli.commands) + 1
    assert "-h, --help" in text


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert cited["cff-version"] == "1.2.0"
    assert cited.keys() >= {"message", "title", "authors"}
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])


# The rule of a newcomer's


def test_the_rule_of_the_page_is_short_and_is_lion() -> None:
    """What `bench new optimizer` wrote, with its formula changed, trains as the part of this project does."""
    path = DOCS / "my_lion.py"
    assert len(path.read_text("utf-8").splitlines()) <= 40
    spec = spec_from_file_location("my_lion", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["my_lion"] = module  # where dataclasses look for the names of annotations
    try:
        spec.loader.exec_module(module)
        X, y = np.eye(7)[[[a, b] for a in range(7) for b in range(7)]].reshape(49, 14), np.arange(49) % 7
        own, known = (
            Quadratic(width=8, slots=2, steps=9, random_state=0, optimizer=rule).fit(X, y).scores(X)
            for rule in (module.MyLion(), Lion(lr=3e-4, betas=(0.9, 0.99)))
        )
    finally:
        del sys.modules["my_lion"]
    assert np.array_equal(own, known)
    plain = Quadratic(width=8, slots=2, steps=9, random_state=0).fit(X, y).scores(X)
    assert not np.allclose(own, plain)


# Records that pages name


def test_ids_of_records_are_those_that_commands_of_the_page_make(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who has run the page's commands finds the records that its other commands and tables name."""
    monkeypatch.chdir(tmp_path)
    found = 0
    for name, page in PAGES.items():
        text = text_of(page).replace("\\\n", " ")
        named = {word for word in re.findall(r"\b[0-9a-f]{8}\b", text) if re.search("[a-f]", word)}
        made: set[str] = set()
        for line in re.findall(r"python -m bench (run [^`\n]*)", text) if named else ():
            cli.main([*shlex.split(line), "--dry-run", "--json"], standalone_mode=False, obj={"debug": False})
            made |= {cell["id"][:8] for cell in json.loads(capsys.readouterr().out)["cells"]}
        assert named <= made, f"{name} names {', '.join(sorted(named - made))}"
        found += len(named)
    assert found > 5
