"""What the codes of each encoder look like, and what two simple readers can tell from them: ``make gallery``.

Every encoder writes the same 96 values x = 0 … 95, for example the hours of four days; those that take a period are
told 24. A picture for each shows the cosine similarity of the codes of all pairs of values, the codes themselves, and
how well ridge regression and the nearest neighbour do five tasks, each with its own random function for every seed:

- smooth: a sum of six bumps, y = Σⱼ cⱼ exp(−(x − mⱼ)²/2 · 12²), cⱼ ~ N(0, 1), mⱼ ~ U(0, 96); a third of the values is
  held out.
- periodic: y = Σₖ (aₖ cos 2πkx/24 + bₖ sin 2πkx/24)/k, k = 1 … 3, aₖ, bₖ ~ N(0, 1); the first two periods are trained
  on, the other two held out.
- steps: six levels ~ N(0, 1) with five borders at random between values; a third of the values is held out.
- lookup: a number ~ N(0, 1) for each value, nothing else; all values are trained on, twice each.
- sum: (a + b) mod 24 as a class, of the pairs 0 ≤ a ≤ b < 24; half of the pairs is held out. Codes of two operands are
  combined as `PairEncoder` does by default.

The first four are scaled to variance 1 over all values, trained on with noise ~ N(0, 0.1²), compared without, and
scored by R² of the values held out, those of ``lookup`` by R² of all values; R² below 0 counts as 0. ``sum`` is scored
by its share of correct answers; chance is 0.04.

    python gallery.py            measures, writes gallery.json, the tables of ../gallery.md and the pictures
    python gallery.py --tables   writes the tables of gallery.json anew
"""

import json
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from gallery_entries import PERIOD, Entry, entries
from numpy.typing import NDArray
from parts import DOCS, HERE, SPREAD, environment, table, write_parts, write_results
from scipy import sparse, stats
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

Numbers = NDArray[np.float64]

RESULTS = HERE / "gallery.json"
PAGE = DOCS / "gallery.md"
PICTURES = DOCS / "pictures" / "encoders"
PACKAGES = ("numpy", "scipy", "scikit-learn")
VALUES = 96
SEEDS = 20
NOISE = 0.1
ALPHAS = np.logspace(-4, 3, 15)


# Codes


def dense(codes: Any) -> Numbers:
    """Codes as a matrix of numpy."""
    return np.asarray(codes.toarray() if sparse.issparse(codes) else codes, dtype=np.float64)


def codes_of(entry: Entry, values: int = VALUES) -> Numbers:
    """The codes (N, F) of the values 0 … N − 1."""
    return dense(entry.single.fit_transform(np.arange(values)[:, np.newaxis]))


def similarities(codes_NF: Numbers) -> Numbers:
    """The cosine of the angle between all pairs of codes, (N, N); nan for a code of zeros."""
    norms = np.linalg.norm(codes_NF, axis=1, keepdims=True)
    unit = codes_NF / np.where(norms == 0, np.nan, norms)
    return unit @ unit.T


# Tasks


class Task(NamedTuple):
    """A number for each row of the table of codes, and which rows are trained on and which are told."""

    y_N: NDArray[Any]
    train: NDArray[np.intp]
    test: NDArray[np.intp]


def smooth(random: np.random.Generator) -> Task:
    """A sum of six bumps, a third of the values held out."""
    x, middles = np.arange(VALUES), random.uniform(0, VALUES, 6)
    bumps = np.exp(-0.5 * ((x[:, np.newaxis] - middles) / 12) ** 2)
    return Task(bumps @ random.standard_normal(6), *_third_held_out(random))


def periodic(random: np.random.Generator) -> Task:
    """Three harmonics of the period, the later half of the values held out."""
    angles = 2 * np.pi / PERIOD * np.outer(np.arange(VALUES), [1, 2, 3])
    waves = np.hstack([np.cos(angles), np.sin(angles)]) / [1, 2, 3, 1, 2, 3]
    x = np.arange(VALUES)
    return Task(waves @ random.standard_normal(6), x[: VALUES // 2], x[VALUES // 2 :])


def steps(random: np.random.Generator) -> Task:
    """Six levels with random borders, a third of the values held out."""
    borders = random.choice(np.arange(1, VALUES), 5, replace=False)
    level = (np.arange(VALUES)[:, np.newaxis] >= borders).sum(axis=1)
    return Task(random.standard_normal(6)[level], *_third_held_out(random))


def lookup(random: np.random.Generator) -> Task:
    """A number for each value, every value twice in training."""
    x = np.arange(VALUES)
    return Task(random.standard_normal(VALUES), np.tile(x, 2), x)


REGRESSIONS: Mapping[str, Callable[[np.random.Generator], Task]] = {
    one.__name__: one for one in (smooth, periodic, steps, lookup)
}
TASKS = (*REGRESSIONS, "sum")
READERS = ("ridge", "nearest")


def _third_held_out(random: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    order = random.permutation(VALUES)
    return order[VALUES // 3 :], order[: VALUES // 3]


def pairs_of_sum(random: np.random.Generator) -> tuple[NDArray[np.intp], Task]:
    """The pairs (N, 2) and their sums modulo the period, half of the pairs held out."""
    pairs = np.column_stack(np.triu_indices(PERIOD))
    order = random.permutation(len(pairs))
    return pairs, Task(pairs.sum(axis=1) % PERIOD, order[len(pairs) // 2 :], order[: len(pairs) // 2])


def regression_scores(codes_NF: Numbers, task: Task, random: np.random.Generator) -> dict[str, float]:
    """R² of both readers; 0 where it is lower."""
    y_N = (task.y_N - task.y_N.mean()) / task.y_N.std()
    told = y_N[task.train] + random.normal(0, NOISE, len(task.train))
    readers = RidgeCV(ALPHAS), KNeighborsRegressor(n_neighbors=1)
    return {
        name: max(0.0, float(reader.fit(codes_NF[task.train], told).score(codes_NF[task.test], y_N[task.test])))
        for name, reader in zip(READERS, readers, strict=True)
    }


def sum_scores(pair: Any, random: np.random.Generator) -> dict[str, float]:
    """The share of correct sums, of both readers."""
    pairs, task = pairs_of_sum(random)
    codes_NF = dense(pair.fit_transform(pairs))
    readers = RidgeClassifierCV(ALPHAS), KNeighborsClassifier(n_neighbors=1)
    return {
        name: float(
            reader.fit(codes_NF[task.train], task.y_N[task.train]).score(codes_NF[task.test], task.y_N[task.test])
        )
        for name, reader in zip(READERS, readers, strict=True)
    }


def measure(entry: Entry, seeds: int = SEEDS) -> dict[str, Any]:
    """The scores of each task and each reader, a number for each seed."""
    codes_NF = codes_of(entry)
    found = {task: {reader: list[float]() for reader in READERS} for task in TASKS}
    for seed in range(seeds):
        for number, task in enumerate(TASKS):
            random = np.random.default_rng((seed, number))
            made = REGRESSIONS.get(task)
            scores = regression_scores(codes_NF, made(random), random) if made else sum_scores(entry.pair, random)
            for reader, value in scores.items():
                found[task][reader].append(round(value, 4))
    return {"words": entry.words, "features": codes_NF.shape[1], "scores": found}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half the width of its 95 % interval by Student's t.

    >>> interval([0.5, 0.5, 0.5])
    (0.5, 0.0)
    """
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(half)


# The page


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """The text of each part of the page: tables, pictures, and how it was measured."""
    where, found = results["environment"], results["encoders"]
    parts: dict[str, str] = {
        reader: table(
            ["encoder", "features", *TASKS],
            [
                [f"`{name}`", str(one["features"]), *(cell(one["scores"][task][reader]) for task in TASKS)]
                for name, one in found.items()
            ],
        )
        for reader in READERS
    }
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    seeds = results["seeds"]
    parts["measured"] = (
        f"**Numbers.** Mean ± half the width of its 95 % interval (Student's t) over seeds 0 to {seeds - 1}, "
        f"n = {seeds}; R², `sum` the share of correct answers. CPU ({where['processor']}), one thread; {versions}."
    )
    parts["pictures"] = "\n\n".join(section(name, one) for name, one in entries().items() if name in found)
    return parts


def section(name: str, entry: Entry) -> str:
    """The heading of an encoder, how it is written, what there is to see, and its picture."""
    picture = f"![{entry.alt}](pictures/encoders/{name}.svg)"
    words = textwrap.fill(f"`{entry.words}`. {entry.about}", 120, break_long_words=False, break_on_hyphens=False)
    return f"### `{name}`\n\n{words}\n\n{picture}"


def cell(values: Sequence[float]) -> str:
    """A score with its interval.

    >>> cell([0.5, 0.5, 0.5]).split()
    ['0.50', '±', '0.00']
    """
    mean, half = interval(values)
    return f"{mean:.2f}{SPREAD}{half:.2f}"


def main() -> None:
    """Measure and draw unless the tables alone are asked for; write the page's tables."""
    if "--tables" not in sys.argv:
        chosen = entries()
        found = {name: measure(one) for name, one in chosen.items()}
        write_results(RESULTS, {"environment": environment(*PACKAGES), "seeds": SEEDS, "encoders": found})
        from gallery_pictures import draw

        PICTURES.mkdir(parents=True, exist_ok=True)
        for name, one in chosen.items():
            draw(PICTURES / f"{name}.svg", f"{name}: {one.words}", codes_of(one), found[name]["scores"])
    parts = tables(json.loads(RESULTS.read_text("utf-8")))
    write_parts(PAGE, parts)
    print("\n\n".join(parts.values()))


if __name__ == "__main__":
    main()
