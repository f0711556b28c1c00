"""``bench rank``: the league table."""

import csv
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from string import ascii_letters
from typing import Any

import click

from bench.cli._options import debug_option, json_option, name_completer, results_option, words

__all__ = ["rank"]

FORMATS = ("table", "markdown", "csv")
SHORTEST_LABEL = 20
"""A label is folded to so many columns before others give way to it."""
MOST_NEEDED = 8
"""Columns that are needed more are never left out."""
MANY = 8
"""So many ranks, and so many rows that fail sometimes, are named in footnotes."""
FEWEST = 5
"""Runs from which on there are intervals: `statistics.FEWEST` of `bench.ranking`, not imported for help alone."""


NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])")
MOST_DIGITS = 6
"""Numbers in labels with more significant digits are shortened."""


@click.command()
@results_option
@click.option(
    "--by",
    default="accuracy",
    show_default=True,
    metavar="accuracy|steps|seconds|flops|fraction",
    shell_complete=words("accuracy", "steps", "seconds", "flops", "fraction"),
    help="Test accuracy; or steps, seconds, FLOPs or the fraction of the pairs that it takes to the target.",
)
@click.option(
    "--target", type=float, default=0.99, show_default=True, metavar="0.95|0.99", help="Test accuracy to reach."
)
@click.option(
    "--crossing",
    default="sustained",
    show_default=True,
    metavar="first|sustained",
    shell_complete=words("first", "sustained"),
    help="Reached once, or reached and held.",
)
@click.option(
    "--horizon",
    type=float,
    metavar="H",
    help="Read all runs up to this step (seconds or FLOPs where rows are ranked by these), and nothing later.  "
    "[default: in each block the smallest budget of a row]",
)
@click.option("--encoder", metavar="NAME,…", shell_complete=name_completer("encoder"), help="Only these.")
@click.option("--learner", metavar="NAME,…", shell_complete=name_completer("learner"), help="Only these.")
@click.option("--task", metavar="NAME,…", shell_complete=name_completer("task"), help="Only these.")
@click.option("--pairs", metavar="PROTOCOL,…", help="Only these.")
@click.option("--train-fraction", metavar="FRACTION,…", help="Only these.")
@click.option("--modulus", metavar="P,…", help="Only these.")
@click.option(
    "--parameters", metavar="LOW..HIGH", help="Only rows of so many trainable numbers; either end may be left."
)
@click.option("--blocks", is_flag=True, help="Compare rows over all tasks, moduli, protocols and fractions: Friedman.")
@click.option("--diagram", metavar="PATH.svg|png", help="With --blocks: draw the critical-difference diagram.")
@click.option("--top", type=int, metavar="N", help="Show the best N rows of each block.")
@click.option(
    "--format",
    "form",
    default="table",
    show_default=True,
    metavar="table|markdown|csv",
    shell_complete=words(*FORMATS),
    help="How to print the rows.",
)
@click.option("--skip-broken", is_flag=True, help="Leave out records that cannot be read, instead of stopping at one.")
@json_option
@debug_option
def rank(
    encoder: str | None,
    learner: str | None,
    task: str | None,
    pairs: str | None,
    train_fraction: str | None,
    modulus: str | None,
    parameters: str | None,
    diagram: str | None,
    top: int | None,
    form: str,
    as_json: bool,
    **request: Any,
) -> int:
    """Rank what the results folder holds: a row is a configuration over its seeds.

    Tasks, moduli, protocols and fractions are ranked apart, unless --blocks compares the rows over all of them.
    """
    from bench.ranking.league import rank as ranked

    _check(request["blocks"], diagram, top, form, as_json)
    ranking = ranked(
        encoder=_several("--encoder", encoder),
        learner=_several("--learner", learner),
        task=_several("--task", task),
        pairs=_several("--pairs", pairs),
        train_fraction=_several("--train-fraction", train_fraction, float),
        modulus=_several("--modulus", modulus, int),
        parameters=_span(parameters),
        **request,
    )
    if diagram is not None and ranking.comparison is not None:
        from bench.reports.figures.critical_difference import draw

        draw([row.label for row in ranking.rows[: len(ranking.comparison.ranks)]], ranking.comparison, diagram)
    tables = _tables(ranking, top)
    if as_json:
        _print_json(ranking, tables)
    else:
        {"table": _print_tables, "markdown": _print_markdown, "csv": _print_csv}[form](ranking, tables)
    return 0


# Requests


def _check(blocks: bool, diagram: str | None, top: int | None, form: str, as_json: bool) -> None:
    """Refuse what would be refused after all records were read."""
    from bench.errors import RequestError, one_of
    from bench.reports.figures.critical_difference import check_diagram

    if form not in FORMATS:
        raise RequestError(one_of("--format", form, FORMATS))
    if as_json and form != "table":
        raise RequestError(f"--json and --format {form} exclude each other.")
    if top is not None and top < 1:
        raise RequestError(f"--top must be ≥ 1, got {top}.")
    if diagram is not None:
        if not blocks:
            raise RequestError("--diagram needs --blocks: it shows mean ranks over blocks.")
        check_diagram(diagram)


def _several(option: str, text: str | None, kind: Callable[[str], Any] = str) -> list[Any] | None:
    """Values with commas between them."""
    from bench.errors import RequestError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    try:
        values = [kind(part) for part in parts if part]
    except ValueError:
        values = []
    if len(values) < len(parts):
        what = {float: "numbers", int: "integers"}.get(kind, "names")  # type: ignore[call-overload]
        raise RequestError(f"{option} takes {what} with commas between them, got {text!r}.")
    return values


def _span(text: str | None) -> tuple[float | None, float | None]:
    """As "1000..1e6", "1000.." or "..1e6"."""
    from bench.errors import RequestError

    if text is None:
        return None, None
    low, dots, high = text.partition("..")
    try:
        ends = float(low) if low else None, float(high) if high else None
    except ValueError:
        ends = None, None
    known = [end for end in ends if end is not None]
    if not dots or not known or known != sorted(known):
        raise RequestError(f"--parameters takes LOW..HIGH, LOW.. or ..HIGH, got {text!r}.")
    return ends


# Tables


def _tables(ranking: Any, top: int | None) -> list[tuple[str, list[Any]]]:
    """Titles and rows, block by block, the best of each."""
    if ranking.comparison is not None:
        tables = [(f"Mean rank over {len(ranking.comparison.blocks)} blocks", list(ranking.rows))]
    else:
        from bench.ranking.captions import reading_of

        tables = [
            (title, list(rows))
            for title, rows in groupby(ranking.rows, key=lambda row: row.title + reading_of(row, ranking.question))
        ]
    return [(title, rows[:top]) for title, rows in tables]


@dataclass(frozen=True)
class Column:
    """A column for people.

    :param need: the least needed give way first where the terminal is narrow.
    """

    name: str
    cell: Callable[[Any], str]
    need: int = 9


def _short(label: str) -> str:
    """A label with four significant digits of its long numbers, whole ones as they are.

    >>> _short("onehot+concat → mlp(lr=0.020961900543150613, betas=[0.9, 0.98], seed=12345678)")
    'onehot+concat → mlp(lr=0.02096, betas=[0.9, 0.98], seed=12345678)'
    """
    from bench.cli._print import four_digits

    def shortened(found: re.Match[str]) -> str:
        mantissa = found[0].partition("e")[0].replace(".", "").lstrip("0")
        whole = found[0].isdigit()
        return found[0] if whole or len(mantissa) <= MOST_DIGITS else four_digits(float(found[0]))

    return NUMBER.sub(shortened, label)


def _short_labels(labels: Iterable[str]) -> dict[str, str]:
    """Short labels of one table by their labels, those whole that would look the same."""
    short = {label: _short(label) for label in labels}
    counts = Counter(short.values())
    return {label: shown if counts[shown] == 1 else label for label, shown in short.items()}


def _labels(tables: Sequence[tuple[str, Sequence[Any]]]) -> dict[int, str]:
    """How rows are named for people, by the row's identity."""
    names: dict[int, str] = {}
    for _, rows in tables:
        short = _short_labels(row.label for row in rows)
        names |= {id(row): short[row.label] for row in rows}
    return names


def _columns(ranking: Any, names: Mapping[int, str]) -> list[Column]:
    from bench.ranking.captions import estimate_name
    from bench.results.words import percent

    by, mean_rank = ranking.question.by, ranking.comparison is not None
    target = ranking.question.target
    score = _score(by, mean_rank)
    second = {"accuracy": percent}.get(by, score)
    return [
        Column("#", lambda row: _text(row.rank)),
        Column("ranks", lambda row: "–" if row.rank_low is None else _ends(str(row.rank_low), str(row.rank_high)), 8),
        Column("", lambda row: names[id(row)]),
        Column("group", _grouper(ranking)),
        Column("n", lambda row: f"{row.n}{'*' if row.incomplete else ''}"),
        Column(estimate_name(ranking.question, mean_rank), lambda row: _estimate(row, score, by)),
        Column("best–worst" if mean_rank else "interval", lambda row: _interval(row, score)),
        Column("conf.", lambda row: "–" if row.level is None else f"{100 * row.level:.1f}%", 8),
        Column("mean", lambda row: "–" if mean_rank else second(row.mean), 5),
        Column("beats next", lambda row: _text(row.improvement, ".2f"), 6),
        Column("solved", lambda row: _solved(row, mean_rank), 8),
        Column("P(solved)", _chance, 7),
        Column("tried", _tried, 7),
        Column("test", lambda row: "" if by == "accuracy" and not mean_rank else percent(row.test_accuracy), 4),
        Column("min–max", lambda row: "" if mean_rank or by != "accuracy" else _range(row), 4),
        Column("ridge", lambda row: _probe(row, "ridge", target), 7),
        Column("bilinear", lambda row: _probe(row, "bilinear", target), 7),
        Column("1-NN", lambda row: _probe(row, "knn", target), 7),
        Column("a=b", lambda row: percent(row.diagonal), 2),
        Column("params", lambda row: _text(row.parameters, ","), 3),
        Column("steps", lambda row: _steps(row), 4),
        Column("training", lambda row: _duration(row.seconds), 6),
        Column("FLOPs", lambda row: _flops(row.flops), 1),
    ]


def _estimate(row: Any, score: Callable[[float | None], str], by: str) -> str:
    """The score; where there is none, why."""
    if row.estimate is not None or row.rank is None:
        return score(row.estimate)
    if by == "fraction":
        return "none of them"
    maybe = round((row.solved or 0.0) * row.n) + row.unconfirmed
    if 2 * maybe > row.n:
        return "unconfirmed"
    return "unknown" if 2 * (maybe + row.stopped) > row.n else "not reached"


def _chance(row: Any) -> str:
    if row.solved_low is None:
        return "–"
    return f"{100 * row.solved_low:.0f}–{100 * row.solved_high:.0f}%"


def _range(row: Any) -> str:
    """The lowest and the highest run."""
    from bench.results.words import percent

    return "–" if row.lowest is None else _ends(percent(row.lowest).removesuffix("%"), percent(row.highest))


def _text(value: float | None, form: str = "") -> str:
    return "–" if value is None else format(value, form)


def _score(by: str, mean_rank: bool) -> Callable[[float | None], str]:
    from bench.results.words import percent

    if mean_rank:
        return lambda value: _text(value, ".2f")
    return {
        "accuracy": percent,
        "fraction": lambda value: "–" if value is None else f"{100 * value:g}%",
        "steps": lambda value: "–" if value is None else f"{value:,.1f}".removesuffix(".0"),
        "seconds": _duration,
        "flops": _flops,
    }[by]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.2g}s" if seconds < 10 else f"{seconds:.0f}s" if seconds < 600 else f"{seconds / 60:.0f}min"


def _flops(flops: float | None) -> str:
    """As 1.30e12."""
    from bench.cli._print import exponential

    return "–" if flops is None else exponential(flops)


def _ends(low: str, high: str) -> str:
    return low if low == high else f"{low}–{high}"


def _interval(row: Any, score: Callable[[float | None], str]) -> str:
    """As "98.1–99.2%", "400–∞"; "–" where there is none."""
    if row.low is None and row.high is None:
        return "–"
    if row.high is None and row.fractions:
        return f">{score(row.low)}"
    low, high = "0" if row.low is None else score(row.low), "∞" if row.high is None else score(row.high)
    shared = next((unit for unit in ("%", "min", "s") if low.endswith(unit) and high.endswith(unit)), "")
    return _ends(low.removesuffix(shared), high.removesuffix(shared)) + shared


def _solved(row: Any, mean_rank: bool) -> str:
    from bench.results.words import percent

    if mean_rank or row.solved is None:
        return percent(row.solved)
    more = f" +{row.unconfirmed}?" if row.unconfirmed else ""
    return f"{round(row.solved * row.n)}/{row.n}{more}"


def _tried(row: Any) -> str:
    fractions = [f"{100 * one['train_fraction']:g}" for one in row.fractions]
    return f"{_ends(fractions[0], fractions[-1])}% ({len(fractions)})" if fractions else ""


def _probe(row: Any, name: str, target: float) -> str:
    from bench.results.words import percent

    value = row.probes[name]
    return f"{percent(value)}{'†' if value is not None and value >= target else ''}"


def _steps(row: Any) -> str:
    return "–" if row.steps is None else _ends(*(f"{step:,}" for step in row.steps))


def _grouper(ranking: Any) -> Callable[[Any], str]:
    """Letters of the groups that a row is in: rows that share a letter cannot be told apart."""
    groups = {} if ranking.comparison is None else dict(zip(ascii_letters, ranking.comparison.groups, strict=False))
    places = {id(row): place for place, row in enumerate(ranking.rows)}
    return lambda row: "".join(letter for letter, members in groups.items() if places[id(row)] in members)


def _shown(ranking: Any, tables: Sequence[tuple[str, Sequence[Any]]]) -> list[Column]:
    """The columns that say something of any row."""
    rows = [row for _, rows in tables for row in rows]
    return [
        column
        for column in _columns(ranking, _labels(tables))
        if any(column.cell(row) not in ("", "–") for row in rows)
    ]


def _footnotes(rows: Sequence[Any]) -> list[str]:
    """What the marks stand for."""
    names = _short_labels(row.label for row in rows)
    reasons: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.incomplete:
            reasons["; ".join(row.incomplete)].append(names[row.label] if row.rank is None else f"#{row.rank}")
    lines = [f"* incomplete, {reason}: {', '.join(n[:MANY])}{' …' * (len(n) > MANY)}" for reason, n in reasons.items()]
    lines += [f"#{row.rank} {names[row.label]}: {'; '.join(row.remarks)}." for row in rows if row.remarks][:MANY]
    if any(row.gives_away for row in rows):
        lines.append("† the probe reaches the target by itself: the encoding gives the answer away.")
    if any(0 < row.n < FEWEST for row in rows):
        lines.append(f"n below {FEWEST}: too few runs for an interval of the median, or of the rank.")
    return lines


# Output


def _print_json(ranking: Any, tables: Sequence[tuple[str, Sequence[Any]]]) -> None:
    from bench.cli._print import print_json

    rows = [row.to_dict() for _, rows in tables for row in rows]
    comparison = None if ranking.comparison is None else ranking.comparison.to_dict()
    print_json(
        **vars(ranking.question), rows=rows, comparison=comparison, caption=ranking.caption, legend=ranking.legend
    )


def _print_tables(ranking: Any, tables: Sequence[tuple[str, Sequence[Any]]]) -> None:
    from rich.text import Text

    from bench.cli._print import console, print_table

    columns = _shown(ranking, tables)
    hidden = _give_way(columns, tables)
    shown = [column for column in columns if column not in hidden]
    for title, rows in tables:
        print_table(title, [c.name for c in shown], [[c.cell(row) for c in shown] for row in rows], fold=True)
        for line in _footnotes(rows):
            console().print(Text(line, style="dim"))
        click.echo()
    lines = [*ranking.caption, *_cut_short(ranking, tables)]
    alone = max(len(rows) for _, rows in tables) < 2
    lines += _explained(ranking, [c.name for c in shown if not (alone and c.name == "ranks")])
    if hidden:
        lines.append(f"Left out for want of room: {', '.join(c.name for c in hidden)}; --format csv has everything.")
    for line in lines:
        console().print(Text(line, style="dim"))


def _explained(ranking: Any, names: Sequence[str]) -> list[str]:
    """What these columns mean."""
    return [f"{name}: {ranking.legend[name]}" for name in names if name in ranking.legend]


def _cut_short(ranking: Any, tables: Sequence[tuple[str, Sequence[Any]]]) -> list[str]:
    """What --top leaves out."""
    shown = sum(len(rows) for _, rows in tables)
    if shown == len(ranking.rows):
        return []
    return [
        f"{shown} of {len(ranking.rows)} rows shown (--top); rows of equal median and mean stand in alphabetical order."
    ]


def _give_way(columns: Sequence[Column], tables: Sequence[tuple[str, Sequence[Any]]]) -> list[Column]:
    """Columns to leave out, the least needed first, until the others fit beside a folded label."""
    from bench.cli._print import WIDE, console

    rows, room = [row for _, rows in tables for row in rows], console().width
    gap = 1 if room < WIDE else 2
    widths = {c.name: max(len(c.name), *(len(c.cell(row)) for row in rows)) + gap for c in columns}
    widths[""] = min(widths[""], SHORTEST_LABEL + gap)
    hidden: list[Column] = []
    for column in sorted(columns, key=lambda column: column.need):
        if sum(widths.values()) <= room or column.need > MOST_NEEDED:
            break
        del widths[column.name]
        hidden.append(column)
    return hidden


def _print_markdown(ranking: Any, tables: Sequence[tuple[str, Sequence[Any]]]) -> None:
    columns = _shown(ranking, tables)
    for title, rows in tables:
        click.echo(f"### {title}\n")
        lines = [[c.name or "row" for c in columns], ["---"] * len(columns)]
        lines += [[c.cell(row).replace("|", "\\|") for c in columns] for row in rows]
        for line in lines:
            click.echo(f"| {' | '.join(line)} |")
        notes = _footnotes(rows)
        click.echo("".join(f"\n{note.replace('*', chr(92) + '*')}\n" for note in notes) or "")
    for line in [*ranking.caption, *_explained(ranking, [column.name for column in columns])]:
        click.echo(f"- {line}")


def _print_csv(ranking: Any, tables: Sequence[tuple[str, Sequence[Any]]]) -> None:
    """A line a row, nested values as JSON; the caption goes to stderr."""
    rows = [{"by": ranking.question.by, **_flat(row.to_dict())} for _, rows in tables for row in rows]
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for line in ranking.caption:
        click.echo(line, err=True)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    probes, steps = row.pop("probes"), row.pop("steps") or [None, None]
    row |= {**probes, "fewest_steps": steps[0], "most_steps": steps[1]}
    row |= {name: "; ".join(row[name]) for name in ("incomplete", "remarks")}
    nested = ("config", "task_parameters", "fractions", "tuning")
    return row | {name: json.dumps(row[name], ensure_ascii=False) for name in nested}
