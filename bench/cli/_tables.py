"""Results for people: tables on stdout."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from bench.cli._print import console, print_table
from bench.results import CONFIRMATION, confirmed, crossings, four_digits, many, percent, significant, source_digest
from bench.scheduling import Comparison, Plan
from bench.specs import Spec, differing, eligible, given_away, prepare, registry

ID_SHOWN = 8
FEW = 30
"""Test pairs below which accuracies are told to be coarse."""
PROTOCOL_PAIRS = {"ordered": "all", "grouped": "all, twins together", "unordered": "a ≤ b", "distinct": "a < b"}


def pipeline(spec: Spec, verbose: bool = False) -> str:
    """The resolved pipeline with the settings that differ from their defaults, or with all but the seeds.

    :param verbose: name all settings, with all digits.
    """
    sdr = "no SDR" if spec.sdr is None else f"SDR {spec.sdr}"
    told = {"random_state", *([] if verbose or not _is_told_modulus(spec) else ["modulus"])}
    encoder = _call(registry.encoder(spec.encoder["name"]), spec.encoder, told, verbose)
    learner = _call(registry.learner(spec.learner["name"]), spec.learner, {"random_state"}, verbose)
    return f"{encoder} → {spec.combine} → {sdr} → {learner}"


def _is_told_modulus(spec: Spec) -> bool:
    """Whether the encoder's modulus is the one that the task tells it."""
    return spec.encoder.get("modulus") in (spec.modulus, None if spec.modulus else spec.make_task().n_operands)


def _call(maker: Any, values: Mapping[str, Any], hidden: Collection[str], verbose: bool) -> str:
    shown = values if verbose else differing(maker, values)
    inside = ", ".join(f"{k}={_value(v, verbose)}" for k, v in shown.items() if k not in hidden and k != "name")
    return f"{values['name']}({inside})" if inside or verbose else values["name"]


def _value(value: Any, verbose: bool) -> str:
    if isinstance(value, list):
        return "(" + ", ".join(_value(one, verbose) for one in value) + ")"
    return four_digits(value) if isinstance(value, float) and not verbose else str(value)


def _question(spec: Spec) -> str:
    task = spec.make_task()
    n = len(eligible(task.pairs_N2, spec.protocol))  # type: ignore[arg-type]
    usual = {None, task.n_operands - 1} if spec.modulus == task.n_operands else {None}
    parameters = "".join(f", {k}={v}" for k, v in spec.task_parameters.items() if v not in usual)
    validation = f", {100 * spec.validation_fraction:g} % validate" if spec.validation_fraction else ""
    pairs = f"{n:,} {spec.protocol} pairs ({PROTOCOL_PAIRS[spec.protocol]})"
    vault = f", {100 * spec.vault['fraction']:g} % vault" if spec.vault else ""
    return f"{task.formula}{parameters} · {pairs} · {100 * spec.train_fraction:g} % train{validation}{vault}"


def _facts(spec: Spec) -> list[str]:
    """What a reader must know of the encoder and the split."""
    cell = prepare(spec)
    encoder = cell.encoder.encoder_
    facts = []
    if encoder.oracle and spec.task == "add":
        facts.append("An oracle: this code, multiplied, solves modular addition by construction.")
    if encoder.knows_modulus or spec.modulus in encoder.periods:
        facts.append("The encoder was told the modulus.")
    if leaked := given_away(cell.task, cell.split):
        share = percent(leaked / cell.split.test.size)
        facts.append(f"For {share} of the test pairs the mirrored twin, with the same answer, was in training.")
    if 0 < cell.split.test.size < FEW:
        n = cell.split.test.size
        facts.append(f"{many(n, 'pair')} to test: an accuracy moves in steps of {100 / n:.1f} %.")
    if cell.conflicts:
        n = sum(len(rows) for rows in cell.parts.values())
        facts.append(f"{cell.conflicts:,} of {n:,} pairs share their code with a pair of another answer: unsolvable.")
    return facts


def notes(records: Sequence[Mapping[str, Any]], planned: Plan) -> list[str]:
    """What is to be said of stored records that were shown instead of computed."""
    asked = {step.spec.id: step for step in planned.steps}
    longer = [r for r in records if r["final"]["step"] is not None and r["final"]["step"] > asked[r["id"]].budget.steps]
    stored = [step for step in planned.steps if step.action == "done" and step.record is not None]
    stale = [step for step in stored if step.record is not None and _is_stale(step.record)]
    said = []
    done = {step.spec.id for step in stored}
    said += sorted({f"Note: {notice}" for r in records if r["id"] not in done for notice in r.get("notices", ())})
    if stored:
        said.append(f"{len(stored)} of {len(planned.steps)} cells were stored already; --force computes them anew.")
    if longer:
        most = max(r["final"]["step"] for r in longer)
        said.append(f"Note: {len(longer)} of them were trained for longer than asked, up to {most:,} steps.")
    if stale:
        said.append("Note: a plugin's file has changed since, its version has not: these results may be stale.")
    return said


def _is_stale(record: Mapping[str, Any]) -> bool:
    spec, then = record["spec"], record["environment"].get("sources", {})
    now = {
        "encoder": source_digest(registry.encoder(spec["encoder"]["name"])),
        "learner": source_digest(registry.learner(spec["learner"]["name"])),
    }
    return any(then.get(kind, digest) != digest for kind, digest in now.items())


def _number(value: float | int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _duration(seconds: float) -> str:
    if seconds < 0.01:
        return f"{seconds:.3f}s"
    return f"{significant(seconds)}s" if seconds < 600 else f"{significant(seconds / 60)}min"


def print_plan(planned: Plan, verbose: bool = False) -> None:
    """What would run."""
    _print_head(planned.steps[0].spec, verbose)
    rows = [
        [
            str(s.spec.seed),
            s.action,
            f"{s.budget.steps:,}",
            _number(s.record["final"]["step"] if s.record else None),
            s.spec.id,
        ]
        for s in planned.steps
    ]
    print_table(None, ["seed", "would", "steps", "stored", "record"], rows)
    out = console()
    out.print(f"{len(planned.todo)} of {len(planned)} cells to run on {planned.entries[0].device}. Nothing has run.")


def _print_head(spec: Spec, verbose: bool = False) -> None:
    out = console()
    out.print(Text(_question(spec), style="bold"))
    out.print(Text(pipeline(spec, verbose)))
    for fact in _facts(spec):
        out.print(Text(f"! {fact}", style="yellow"))
    out.print()


def print_records(records: Sequence[Mapping[str, Any]], results: str | None, verbose: bool = False) -> None:
    """A row a seed, and their mean with its spread where there are several.

    :param verbose: name the settings that are at their defaults, too.
    """
    if not records:
        return
    spec = Spec.from_dict(records[0]["spec"])
    _print_head(spec, verbose)
    measured = ["seed", "status", "steps", "train", "test", "a=b", "≥99%", "held"]
    columns = [*measured, "ridge", "1-NN", "bilinear", "time", "record"]
    rows = [_row(record) for record in records]
    finished = [r for r in records if r["status"] == "done"]
    if len(finished) > 1:
        rows.append(_mean_row(finished))
    empty = {"a=b"} if all(r["test_accuracy_diagonal"] is None for r in records) else set()
    if all(r["final"]["step"] == 0 for r in records):
        empty |= {"≥99%", "held"}
    shown = [i for i, column in enumerate(columns) if column not in empty]
    footer = len(rows) - len(records)
    print_table(None, [columns[i] for i in shown], [[row[i] for i in shown] for row in rows], footer)
    out = console()
    out.print()
    for line in _footnotes(records, finished, results):
        out.print(Text(line, style="dim"))
    for record in records:
        if record["error"]:
            message = " ".join(f"{record['error']['type']}: {record['error']['message']}".split())
            out.print(Text(f"seed {record['spec']['seed']}: {message}"))


def _row(record: Mapping[str, Any]) -> list[str]:
    final, probes = record["final"], record["probes"]
    return [
        str(record["spec"]["seed"]),
        record["status"],
        _number(final["step"]),
        percent(final["train_accuracy"]),
        percent(final["test_accuracy"]),
        percent(record["test_accuracy_diagonal"]),
        _number(record["steps_to"]["test"]["0.99"]),
        _held(record),
        percent(probes["ridge"]),
        percent(probes["knn"]),
        percent(probes.get("bilinear")),  # records of earlier versions have none
        _duration(record["seconds"]["total"]),
        record["id"][:ID_SHOWN],
    ]


def _held(record: Mapping[str, Any]) -> str:
    """The step from which on 99 % of the test pairs stayed right, with a question mark where that is unconfirmed."""
    span = crossings(record["curve"], ["test"])["held"]["test"]["0.99"]  # records of earlier versions do not say it
    return "–" if span is None else f"{span[0]:,}{'' if confirmed(*span) else '?'}"


def _mean_row(records: Sequence[Mapping[str, Any]]) -> list[str]:
    def mean(values: Sequence[float | None]) -> str:
        known = [v for v in values if v is not None]
        return percent(float(np.mean(known))) if known else "–"

    tests = [r["final"]["test_accuracy"] for r in records]
    return [
        "mean",
        "",
        "",
        mean([r["final"]["train_accuracy"] for r in records]),
        mean(tests),
        mean([r["test_accuracy_diagonal"] for r in records]),
        "",
        "",
        mean([r["probes"]["ridge"] for r in records]),
        mean([r["probes"]["knn"] for r in records]),
        mean([r["probes"].get("bilinear") for r in records]),
        _duration(float(np.mean([r["seconds"]["total"] for r in records]))),
        "",
    ]


def _spread(accuracies: Sequence[float]) -> str:
    """As "n = 5 seeds, mean 99.3 %, standard deviation 0.36 points, range 98.8 to 99.7 %"."""
    ends = (float(np.mean(accuracies)), min(accuracies), max(accuracies))
    mean, low, high = (percent(accuracy).removesuffix("%") for accuracy in ends)
    deviation = significant(100 * float(np.std(accuracies, ddof=1)), digits=2)
    each = f"n = {len(accuracies)} seeds, mean {mean} %"
    return f"{each}, standard deviation {deviation} points, range {low} to {high} %"


def _footnotes(
    records: Sequence[Mapping[str, Any]], finished: Sequence[Mapping[str, Any]], results: str | None
) -> list[str]:
    lines = []
    tests = [r["final"]["test_accuracy"] for r in finished if r["final"]["test_accuracy"] is not None]
    if len(tests) > 1:
        lines.append(f"test: {_spread(tests)}.")
    elif len(records) == 1:
        more = "--fresh" if "tuning" in records[0] else "--seeds"
        lines.append(f"n = 1: one seed shows what can happen, not what usually does. {more} 5 shows more.")
    if any(r["final"]["step"] for r in records):
        lines.append(
            "≥99%: step of the first evaluation with 99 % of the test pairs right; held: step from which on it stayed "
            "so to the end."
        )
        if any(_held(r).endswith("?") for r in records):
            lines.append(f"?: unconfirmed, since the run ended before {CONFIRMATION:g} times that step.")
    if any(r["test_accuracy_diagonal"] is not None for r in records):
        lines.append("a=b: test accuracy on the pairs of equal operands.")
    lines.append(
        "ridge, 1-NN, bilinear: what the code gives away: test accuracy of a linear readout, of the nearest neighbour, "
        "and of a linear readout of products of the two operands' codes."
    )
    if any(r["replicas"] > 1 for r in records):
        lines.append("time: of a seed, its share of the fleet: all of it, compiling included.")
    made = records[0]["environment"]
    cell = f"{made['device']} ({made['processor']}), {made['threads']} thread{'s' if made['threads'] > 1 else ''}"
    size = records[0]["parameters"]
    lines.append(f"{cell}{'' if size is None else f' · {size:,} parameters'}")
    if results is not None:
        lines.append(f"Records: {results}/ID….json")
    return lines


def print_comparison(comparison: Comparison, verbose: bool = False) -> None:
    """Stored and anew, side by side."""
    rows = [_row(comparison.stored), _row(comparison.again)]
    columns = ["", "status", "steps", "train", "test", "99 % at", "time"]
    picked = [
        [name, row[1], row[2], row[3], row[4], row[6], row[11]]
        for name, row in zip(("stored", "anew"), rows, strict=True)
    ]
    _print_head(Spec.from_dict(comparison.stored["spec"]), verbose)
    print_table(None, columns, picked)
    if comparison.same:
        console().print("\nThe same: every number of the result agrees.")
        return
    gap = (
        "the curves share no point"
        if comparison.difference is None
        else f"accuracies differ by up to {percent(comparison.difference)}"
        if comparison.difference
        else "accuracies agree, and numbers beside them do not"
    )
    console().print(f"\nNot the same: {gap}.")
    together = comparison.stored["replicas"]
    if together > 1:
        console().print(f"  It was trained beside {together - 1} more: a fleet of another size rounds differently.")
    before, after = comparison.stored["environment"], comparison.again["environment"]
    for name in ("versions", "processor", "threads", "git_commit", "dirty"):
        if before[name] != after[name]:
            console().print(Text(f"  {name}: {before[name]} then, {after[name]} now"))
