"""A picture in a notebook: plotly's figure, and beside it a still for what shows no plotly, as GitHub."""

import io
from importlib import import_module
from typing import Any

from plotly import graph_objects
from plotly import io as plotly_io
from plotly.io.base_renderers import MimetypeRenderer

from bench.reports.figures import _elements

STILL = "image/png"
COLOURS = 64
"""So many are enough for lines and letters, and make a file a third as large."""


class Figure(graph_objects.Figure):
    """Plotly's figure, which a notebook also keeps as a still and as text."""

    _laid: _elements.Figure | None = None

    @classmethod
    def of(cls, laid: _elements.Figure) -> "Figure":
        """The figure of a picture that is laid out."""
        figure = cls(laid)
        figure._laid = laid
        return figure

    def _ipython_display_(self) -> None:
        """Show it by plotly alone where that opens a window or writes a page, as from a terminal.

        :raises NotImplementedError: elsewhere; IPython then asks for the bundle.
        """
        names = (plotly_io.renderers.default or "").split("+")
        if all(isinstance(plotly_io.renderers[name], MimetypeRenderer) for name in names if name):
            raise NotImplementedError
        super()._ipython_display_()

    def _repr_html_(self) -> str | None:
        """What plotly's renderer makes, if that is HTML."""
        html: str | None = super()._repr_mimebundle_().get("text/html")
        return html

    def _repr_mimebundle_(self, *arguments: Any, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What plotly's renderer makes, the still and the words, of which a notebook shows the best that it can."""
        bundle = super()._repr_mimebundle_(*arguments, **more)
        size = {"width": self.layout.width, "height": self.layout.height}
        still = self._still()
        if still is not None:
            bundle[STILL] = still
        meta = self.layout.meta or {}
        bundle["text/plain"] = "\n".join([meta.get("title", "A picture"), *meta.get("caption", ())])
        return bundle, {STILL: size} if still is not None else {}

    def _still(self) -> bytes | None:
        """The same picture as a PNG file; None where the figure has been changed since, or matplotlib is missing."""
        if self._laid is None or self != graph_objects.Figure(self._laid):
            return None
        try:
            print_ = import_module("bench.reports.figures._matplotlib")
        except ImportError:
            return None
        file, small = io.BytesIO(), io.BytesIO()
        print_.save(self._laid, file, "png")
        pillow = import_module("PIL.Image")  # which matplotlib brings
        pillow.open(file).convert("RGB").quantize(COLOURS).save(small, "png", optimize=True)
        return small.getvalue()
