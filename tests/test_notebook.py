"""docs/notebook.ipynb, run as Jupyter does, says what it is saved with; how notebooks keep pictures and rankings."""

import base64
import copy
import io
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import notebooks
import pytest
from records import blocks, ending

import bench
from bench.reports.figures._layout import THEMES

PNG = b"\x89PNG\r\n"
LARGEST, LARGEST_PICTURE = 200_000, 60_000
"""Bytes of the notebook, and of a picture in it."""
SAVED: dict[str, Any] = json.loads(notebooks.NOTEBOOK.read_text("utf-8"))


def picture_of(notebook: dict[str, Any]) -> bytes:
    """The still of the picture that the notebook leads to."""
    [output] = next(cell for cell in notebook["cells"] if cell["id"] == "plot")["outputs"]
    assert output["metadata"]["image/png"]["width"] == 640
    assert output["data"]["application/vnd.plotly.v1+json"]["layout"]["title"]["text"].startswith("<b>Learning")
    return base64.b64decode(output["data"]["image/png"])


def test_its_cells_say_what_they_are_saved_with(tmp_path: Path) -> None:
    """It is run in a process of its own: warnings of Jupyter are none of ours, and those of a cell are its output."""
    for module in ("nbclient", "ipykernel", "pandas", "pyarrow", "matplotlib"):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install 'mod97[dev]'")
    path = tmp_path / "made.ipynb"
    command = [sys.executable, "-m", "tests.notebooks", str(path)]
    root = notebooks.NOTEBOOK.parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = json.loads(path.read_text("utf-8"))
    assert [cell["source"] for cell in made["cells"]] == [cell["source"] for cell in SAVED["cells"]]
    said = list(notebooks.differences(SAVED, made))
    assert not said, "\n".join([*said, notebooks.ANEW])
    assert picture_of(made).startswith(PNG)


def test_it_is_saved_with_its_picture() -> None:
    assert picture_of(SAVED).startswith(PNG)


def test_it_is_small_and_names_no_machine() -> None:
    assert notebooks.NOTEBOOK.stat().st_size <= LARGEST
    for cell in SAVED["cells"]:
        assert cell["metadata"] == {}
        for output in cell.get("outputs", ()):
            assert len(output.get("data", {}).get("image/png", "")) * 3 / 4 <= LARGEST_PICTURE
    words = "\n".join(said for cell in SAVED["cells"] for _, said in notebooks.said(cell))
    assert not re.search(r"/tmp|/home|0x[0-9a-f]{6}|\d\d:\d\d|\d\.\d+ ?s\b|cpu|[Ww]arning", words)
    assert SAVED["metadata"]["language_info"] == {"name": "python"}


def test_every_number_between_its_cells_stands_in_a_cell() -> None:
    code = [cell for cell in SAVED["cells"] if cell["cell_type"] == "code"]
    outputs = [said for cell in code for _, said in notebooks.said(cell)]
    known = set(notebooks.numbers("\n".join([*(notebooks.text(cell["source"]) for cell in code), *outputs])))
    words = "\n".join(notebooks.text(cell["source"]) for cell in SAVED["cells"] if cell["cell_type"] == "markdown")
    assert set(notebooks.numbers(re.sub(r"mod97|R²", "", words))) <= known


@pytest.mark.parametrize(
    ("cell", "old", "new"),
    [("rank", "5/5", "2/5"), ("rank", "phasor", "onehot"), ("sweep", "30", "31"), ("encoder", "0.94", "0.49")],
)
def test_a_stale_output_is_found(cell: str, old: str, new: str) -> None:
    stale = copy.deepcopy(SAVED)
    [output] = next(one for one in stale["cells"] if one["id"] == cell)["outputs"]
    kind = "text/plain"
    output["data"][kind] = notebooks.text(output["data"][kind]).replace(old, new)
    [said] = notebooks.differences(stale, SAVED)
    assert said.startswith(f"cell {cell}, {kind}: ")
    del output["data"][kind]
    [said] = notebooks.differences(stale, SAVED)
    assert "instead of" in said


def test_rounding_makes_no_output_stale() -> None:
    assert notebooks.same("99.7% of 1,024", "99.2% of 1,020")
    assert not notebooks.same("99.7% of 1,024", "99.7% of 924")
    assert not notebooks.same("0.97  0.5", "0.97  0.5  0.5")


# What a notebook keeps of a picture and of a ranking


def asked(results: Path) -> dict[str, Any]:
    """The arguments for one of the tables in a results folder."""
    return {"results": str(results), "task": "add", "train_fraction": 0.5}


def bundle_of(shown: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What IPython keeps of an object that a cell ends with."""
    formatter = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    found: tuple[dict[str, Any], dict[str, Any]] = formatter.format(shown)
    return found


@pytest.fixture
def in_jupyter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plotly takes this process for Jupyter's."""
    monkeypatch.setattr(pytest.importorskip("plotly.io").renderers, "_default_name", "plotly_mimetype")


def test_a_picture_is_kept_as_plotly_as_a_still_and_as_words(real: Path, in_jupyter: None) -> None:
    drawn = bench.plot("heatmap", **asked(real), width=500, theme="dark")
    bundle, metadata = bundle_of(drawn)
    assert bundle.keys() == {"application/vnd.plotly.v1+json", "image/png", "text/plain"}
    assert bundle["text/plain"].splitlines()[0] == drawn.layout.meta["title"]
    assert metadata == {"image/png": {"width": 500, "height": drawn.layout.height}}
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(bundle["image/png"])).convert("RGB")
    assert image.width == 2 * 500
    assert "#{:02x}{:02x}{:02x}".format(*image.getpixel((1, 1))) == THEMES["dark"].paper
    assert bundle_of(drawn)[0] == bundle


def test_a_picture_that_was_changed_has_no_still_of_what_it_was(real: Path, in_jupyter: None) -> None:
    drawn = bench.plot("heatmap", **asked(real))
    changed = copy.deepcopy(drawn).update_layout(title_text="Mine")
    assert "image/png" in bundle_of(drawn)[0]
    assert bundle_of(changed)[0].keys() == {"application/vnd.plotly.v1+json", "text/plain"}


def test_without_matplotlib_a_picture_has_no_still(
    real: Path, in_jupyter: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = bench.plot("heatmap", **asked(real))
    monkeypatch.setitem(sys.modules, "bench.reports.figures._matplotlib", None)
    assert bundle_of(drawn)[0].keys() == {"application/vnd.plotly.v1+json", "text/plain"}


def test_a_renderer_that_opens_a_window_still_does(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderers = pytest.importorskip("plotly.io").renderers
    opened: list[Any] = []
    monkeypatch.setattr("plotly.io.show", opened.append)
    monkeypatch.setattr(renderers, "_default_name", "browser")
    drawn = bench.plot("heatmap", **asked(real))
    assert bundle_of(drawn) == ({}, {})
    assert opened == [drawn]


def test_a_ranking_is_printed_as_its_table(real: Path) -> None:
    ranking = bench.rank(**asked(real))
    title, head, *lines = repr(ranking).splitlines()
    assert title == "add mod 7 · unordered pairs · 50 % train · up to step 40"
    assert head.split() == ["#", "n", "median", "solved"]
    for row, line in zip(ranking.rows, lines, strict=True):
        assert line.startswith(f"{row.rank}  {row.label} ")
        assert line.index(str(row.n), len(row.label) + 3) == head.index("n")
    over = bench.rank(records=blocks(("add", "cube", "quad"), a=(0.9,) * 3, b=(0.8,) * 3, c=(0.4,) * 3), blocks=True)
    assert repr(over).startswith("Mean rank over 3 blocks\n")
    many = [record for n in range(120) for record in ending(f"learner-{n}", n / 120)]
    assert repr(bench.rank(records=many)).splitlines()[-1] == "… and 20 more rows: to_frame() has all."
