"""How one learner embeds its operands: the spectrum of its embedding, or of its first layer."""

from bench.errors import RequestError
from bench.reports.figures._elements import Figure, figure
from bench.reports.figures._spectra import bars, frequency_axis, key_caption, key_entries, share_axis_of
from bench.reports.views.inside import Inside
from bench.results import percent

KIND = "embedding"
NEEDS = "inside"
PLOT = 240


def draw(inside: Inside) -> Figure:
    """Bars of the share of each frequency in the variance of the embedded operands; key frequencies are coloured.

    :raises RequestError: where the learner has no embedding of single operands.
    """
    shares_K = inside.end.embedding_K
    if shares_K is None:
        raise RequestError(
            "This learner has no embedding of single operands: that takes a linear first layer, and codes of a and b "
            "side by side (concat)."
        )
    keys = inside.key_frequencies
    axes = {
        "xaxis": frequency_axis("frequency k of the operand", len(shares_K)),
        "yaxis": share_axis_of(shares_K),
    }
    caption = [
        "Share in the variance of the embedded operands, over all units. "
        f"{percent(float(shares_K[[k - 1 for k in keys]].sum()))} is at the key frequencies of the scores. n = 1 run.",
        *key_caption(inside),
        *inside.told,
    ]
    data = [*bars(shares_K, keys, "the embedding"), *key_entries()]
    return figure(f"Spectrum of the embedding: {inside.title}", caption, data, PLOT, **axes)
