"""Pictures of a study, for `plot` and for its page in optuna-dashboard. Each public module of this folder is one.

To add a picture, add a module with a function ``draw(study, names, curve)``, which returns None where there is nothing
to draw. With a name ``KIND`` and the words ``WANTS`` for what it needs, `plot` draws it; with an ``ID``, under which it
is stored, it is on the study's page. It is found by its presence.
"""

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

from optuna.study import Study

from bench.reports.figures._elements import Figure
from bench.reports.figures.study._common import on_page


def study_figures(study: Study, names: Sequence[str], curve: str) -> dict[str, Figure]:
    """The pictures that can be drawn of a study as it is now, by their ids.

    :param names: of the study's values.
    :param curve: the name of its intermediate values.
    """
    pictures = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__) if found.name[0] != "_"]
    drawn = {picture.ID: picture.draw(study, names, curve) for picture in pictures if hasattr(picture, "ID")}
    return {id: on_page(figure) for id, figure in drawn.items() if figure is not None}
