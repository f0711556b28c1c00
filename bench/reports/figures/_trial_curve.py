"""The learning curve of a trial, as a small SVG picture beside its note in optuna-dashboard."""

import math
from collections.abc import Mapping

WIDTH, HEIGHT = 480, 240
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 30, 40


def curve_picture(curve: Mapping[int, float], title: str) -> str:
    """Validation accuracy over steps, on a logarithmic axis, which step 0 is not on.

    >>> curve_picture({1: 0.0, 100: 1.0}, "trial 3").count("<polyline")
    1
    """
    points = sorted((step, value) for step, value in curve.items() if step > 0 and math.isfinite(value))
    last = max([step for step, _ in points], default=1)
    wide = math.log(max(2, last))

    def place(step: float, value: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * math.log(step) / wide
        return round(across, 1), round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value, 1)

    ticks = [10**power for power in range(int(math.log10(last)) + 1)]
    parts = [_text(LEFT, 18, title, "start")]
    for share in (0.0, 0.5, 1.0):
        x, y = place(1, share)
        parts += [
            f'<path d="M{x} {y}H{WIDTH - RIGHT}" stroke="#dddddd"/>',
            _text(LEFT - 6, y + 4, f"{share:.0%}", "end"),
        ]
    parts += [_text(place(tick, 0)[0], HEIGHT - BOTTOM + 16, f"{tick:,}", "middle") for tick in ticks]
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 6, f"step, to {last:,}", "middle"))
    line = " ".join(f"{x},{y}" for x, y in (place(step, value) for step, value in points))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#0072b2" stroke-width="2"/>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return f'{head} font-family="sans-serif" font-size="12">{paper}{"".join(parts)}</svg>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#333333">{words}</text>'
