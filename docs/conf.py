"""Sphinx builds the pages of this folder: ``make docs``. Nothing is read from the network."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]

project = "mod97"
author = copyright = "mod97 contributors"
release = version_of("mod97")

extensions = ["myst_parser", "sphinx.ext.autodoc", "from_code", "from_notebook"]
exclude_patterns = ["_build", "_extensions", "**/.venv", "**/.ipynb_checkpoints"]
nitpicky = True
default_role = "literal"

myst_heading_anchors = 3

autodoc_typehints = "none"  # ArrayLike and its like are written out over several lines
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {
    "exclude-members": "set_fit_request, set_partial_fit_request, set_transform_request, set_score_request"
}
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "mod97"
html_static_path = ["_static"]
html_css_files = ["mod97.css"]
html_copy_source = False
html_show_sphinx = False
