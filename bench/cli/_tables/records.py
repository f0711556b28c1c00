"""The plan and the results of a run, and the comparison of a rerun, as tables on stdout."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import results, specs
from bench.cli._messages import printable, with_options
from bench.cli._print import print_table, print_text
from bench.results import four_digits, known_mean, many, percent, significant
from bench.scheduling import Comparison, Plan
from bench.specs import Spec

Records = Sequence[Mapping[str, Any]]

ID_SHOWN = 8
FEW = 30
"""With fewer test pairs than this, a note says how coarse accuracies are."""
PROTOCOL_PAIRS = {"ordered": "all", "grouped": "all, twins together", "unordered": "a ≤ b", "distinct": "a < b"}


def _pipeline(spec: Spec, verbose: bool) -> str:
    """Encoder, combination, SDR and learner, with the settings that differ from their defaults.

    :param verbose: name all settings but the seeds, with all digits.
    """
    sdr = "no SDR" if spec.sdr is None else f"SDR {spec.sdr}"
    of_task = (spec.modulus, None if spec.modulus else spec.make_task().n_operands)
    hidden = {"modulus"} if spec.encoder.get("modulus") in of_task and not verbose else set()
    encoder = _call(specs.registry.encoder(spec.encoder["name"]), spec.encoder, hidden, verbose)
    learner = _call(specs.registry.learner(spec.learner["name"]), spec.learner, (), verbose)
    return f"{encoder} → {spec.combine} → {sdr} → {learner}{_optimizer(spec, verbose)}"


def _optimizer(spec: Spec, verbose: bool) -> str:
    """The parts of the optimizer, with the settings that are not as the learner has them."""
    if spec.optimizer is None:
        return ""
    shown = spec.optimizer_settings(changed=not verbose)
    return " · " + "+".join(_called(name, values, verbose) for name, values in shown.items())


def _call(cls: type, values: Mapping[str, Any], hidden: Collection[str], verbose: bool) -> str:
    """A plugin as one would call it: "mlp(alpha=0.1)"."""
    shown = values if verbose else specs.non_defaults(cls, values)
    hidden = {"name", "random_state", *hidden}
    return _called(values["name"], {k: v for k, v in shown.items() if k not in hidden}, verbose)


def _called(name: str, values: Mapping[str, Any], verbose: bool) -> str:
    inside = ", ".join(f"{k}={_value(v, verbose)}" for k, v in values.items())
    return f"{name}({inside})" if inside or verbose else name


def _value(value: Any, verbose: bool) -> str:
    if isinstance(value, list):
        return "(" + ", ".join(_value(one, verbose) for one in value) + ")"
    return four_digits(value) if isinstance(value, float) and not verbose else str(value)


def _question(spec: Spec) -> str:
    task = spec.make_task()
    n = len(specs.eligible(task, spec.protocol))  # type: ignore[arg-type]
    usual = specs.defaults_of(specs.registry.task(spec.task))
    if spec.modulus == task.n_operands:
        usual |= {"operand_max": task.n_operands - 1}
    parameters = "".join(f", {k}={v}" for k, v in spec.task_parameters.items() if v != usual.get(k))
    validation = f", {100 * spec.validation_fraction:g} % validate" if spec.validation_fraction else ""
    two = len(task.sizes) == 2
    pairs = f"{n:,} {spec.protocol} {'pairs' if two else 'questions'}{f' ({PROTOCOL_PAIRS[spec.protocol]})' * two}"
    vault = f", {100 * spec.vault['fraction']:g} % vault" if spec.vault else ""
    noise = f" · {100 * spec.label_noise:g} % label noise" if spec.label_noise else ""
    return f"{task.formula}{parameters} · {pairs} · {100 * spec.train_fraction:g} % train{validation}{vault}{noise}"


def _facts(spec: Spec) -> list[str]:
    """What a reader must know of the encoder and the split."""
    cell = specs.prepare(spec)
    encoder, n_test = cell.encoder.encoder_, cell.split.test.size
    facts = []
    if encoder.oracle and spec.task == "add":
        facts.append("An oracle: this code, multiplied, solves modular addition by construction.")
    if encoder.knows_modulus or spec.modulus in encoder.periods:
        facts.append("The encoder was told the modulus.")
    if spec.label_noise:
        replaced = f"{cell.n_noisy:,} of {many(cell.n_train, 'training answer')} were replaced by wrong ones"
        facts.append(f"{replaced}, which is what train accuracy counts as right.")
    if leaked := specs.given_away(cell.task, cell.split, cell.answers_N):
        share = percent(leaked / n_test)
        twin = "the mirrored twin" if len(cell.task.sizes) == 2 else "a twin, the same operands in another order"
        facts.append(f"For {share} of the test pairs {twin}, with the same answer, was in training.")
    if 0 < n_test < FEW:
        facts.append(f"{many(n_test, 'pair')} to test: an accuracy moves in steps of {100 / n_test:.1f} %.")
    if cell.conflicts:
        n = sum(len(rows) for rows in cell.parts.values())
        facts.append(f"{cell.conflicts:,} of {n:,} pairs share their code with a pair of another answer: unsolvable.")
    return facts


def notes(records: Records, planned: Plan) -> list[str]:
    """Notices of the records, and what one must know of records that were stored before."""
    budgets = {step.id: step.budget.steps for step in planned.steps}
    stored = {step.id: step.record for step in planned.steps if step.action == "done"}
    lines = sorted({f"Note: {notice}" for r in records if r["id"] not in stored for notice in r.get("notices", ())})
    if stored:
        kept = ", and keeps their states" if planned.keep_states else ""
        lines.append(
            f"{len(stored)} of {len(planned.steps)} cells were stored already; --force computes them anew{kept}."
        )
    reached = [r["final"]["step"] for r in records if (r["final"]["step"] or 0) > budgets[r["id"]]]
    if reached:
        lines.append(f"Note: {len(reached)} of them were trained for longer than asked, up to {max(reached):,} steps.")
    if any(record is not None and _is_stale(record) for record in stored.values()):
        lines.append("Note: a plugin's file has changed since, its version has not: these results may be stale.")
    return lines


def _is_stale(record: Mapping[str, Any]) -> bool:
    """Whether the source of a plugin has changed since the record was made."""
    then, spec = record["environment"].get("sources", {}), record["spec"]
    for owner, digest in then.items():
        kind, _, name = owner.partition(" ")
        plugin = getattr(specs.registry, kind)(name or spec[kind]["name"])
        if digest != results.source_digest(plugin):
            return True
    return False


def _number(value: float | int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _duration(seconds: float) -> str:
    if seconds < 0.01:
        return f"{seconds:.3f}s"
    return f"{significant(seconds)}s" if seconds < 600 else f"{significant(seconds / 60)}min"


def print_plan(planned: Plan, verbose: bool = False) -> None:
    """Print what would run."""
    _print_head(planned.steps[0].spec, verbose)
    rows = [
        [
            str(step.spec.seed),
            step.action,
            f"{step.budget.steps:,}",
            _number(step.record["final"]["step"] if step.record else None),
            step.id,
        ]
        for step in planned.steps
    ]
    print_table(None, ["seed", "would", "steps", "stored", "record"], rows)
    print_text(f"{len(planned.todo)} of {len(planned)} cells to run on {planned.entries[0].device}. Nothing has run.")


def _print_head(spec: Spec, verbose: bool) -> None:
    print_text(_question(spec), "bold")
    print_text(_pipeline(spec, verbose))
    for fact in _facts(spec):
        print_text(f"! {fact}", "yellow")
    print()


def print_records(records: Records, folder: str | None, verbose: bool = False) -> None:
    """Print a row for each seed, and the mean and the spread where there are several.

    :param folder: where the records are stored, or None.
    :param verbose: name the settings that are at their defaults, too.
    """
    if not records:
        return
    _print_head(specs.Spec.from_dict(records[0]["spec"]), verbose)
    rows = [_row(record) for record in records]
    finished = [r for r in records if r["status"] == "done"]
    if len(finished) > 1:
        rows.append(_mean_row(finished))
    hidden = {"a=b"} if all(r["test_accuracy_diagonal"] is None for r in records) else set()
    if all(r["final"]["step"] == 0 for r in records):
        hidden |= {"≥99%", "held"}
    columns = [column for column in rows[0] if column not in hidden]
    texts = [[row.get(column, "") for column in columns] for row in rows]
    print_table(None, columns, texts, footer=len(rows) - len(records))
    print()
    for line in _footnotes(records, finished, folder):
        print_text(line, "dim")
    for record in records:
        if record["error"]:
            message = " ".join(f"{record['error']['type']}: {record['error']['message']}".split())
            print_text(f"seed {record['spec']['seed']}: {with_options(message)}")


def _row(record: Mapping[str, Any]) -> dict[str, str]:
    """The cells of a table by column."""
    return {
        "seed": str(record["spec"]["seed"]),
        "status": record["status"],
        "steps": _number(record["final"]["step"]),
        "train": percent(record["final"]["train_accuracy"]),
        "test": percent(record["final"]["test_accuracy"]),
        "a=b": percent(record["test_accuracy_diagonal"]),
        "≥99%": _number(record["steps_to"]["test"]["0.99"]),
        "held": _held(record),
        "ridge": percent(record["probes"]["ridge"]),
        "1-NN": percent(record["probes"]["knn"]),
        "bilinear": percent(record["probes"].get("bilinear")),  # records of earlier versions have none
        "time": _duration(record["seconds"]["total"]),
        "record": record["id"][:ID_SHOWN],
    }


def _held(record: Mapping[str, Any]) -> str:
    """The step from which on 99 % of the test pairs stayed right, with a question mark where that is unconfirmed."""
    span = results.crossings(record["curve"], ["test"])["held"]["test"]["0.99"]  # earlier records do not have it
    return "–" if span is None else f"{span[0]:,}{'' if results.confirmed(*span) else '?'}"


def _mean_row(records: Records) -> dict[str, str]:
    accuracies = {
        "train": [r["final"]["train_accuracy"] for r in records],
        "test": [r["final"]["test_accuracy"] for r in records],
        "a=b": [r["test_accuracy_diagonal"] for r in records],
        "ridge": [r["probes"]["ridge"] for r in records],
        "1-NN": [r["probes"]["knn"] for r in records],
        "bilinear": [r["probes"].get("bilinear") for r in records],
    }
    seconds = known_mean([r["seconds"]["total"] for r in records]) or 0.0
    means = {column: percent(known_mean(values)) for column, values in accuracies.items()}
    return {"seed": "mean", **means, "time": _duration(seconds)}


def _spread(accuracies: Sequence[float]) -> str:
    """As "n = 5 seeds, mean 99.3 %, standard deviation 0.36 points, range 98.8 to 99.7 %"."""
    import numpy as np

    ends = (float(np.mean(accuracies)), min(accuracies), max(accuracies))
    mean, low, high = (percent(accuracy).removesuffix("%") for accuracy in ends)
    deviation = significant(100 * float(np.std(accuracies, ddof=1)), digits=2)
    each = f"n = {len(accuracies)} seeds, mean {mean} %"
    return f"{each}, standard deviation {deviation} points, range {low} to {high} %"


def _footnotes(records: Records, finished: Records, folder: str | None) -> list[str]:
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
            lines.append(f"?: unconfirmed, since the run ended before {results.CONFIRMATION:g} times that step.")
    if any(r["test_accuracy_diagonal"] is not None for r in records):
        lines.append("a=b: test accuracy on the pairs of equal operands.")
    lines.append(
        "ridge, 1-NN, bilinear: what the code gives away: test accuracy of a linear readout, of the nearest neighbour, "
        "and of a linear readout of products of the two operands' codes."
    )
    if any(r["replicas"] > 1 for r in records):
        lines.append("time: of a seed, its share of the fleet: all of it, compiling included.")
    made, size = records[0]["environment"], records[0]["parameters"]
    machine = f"{made['device']} ({made['processor']}), {many(made['threads'], 'thread')}"
    lines.append(machine if size is None else f"{machine} · {size:,} parameters")
    if folder is not None:
        shown = printable(str(folder))
        lines.append(f"Records: {shown}" if Path(folder).is_file() else f"Records: {shown}/ID….json")
    return lines


def print_comparison(comparison: Comparison, verbose: bool = False) -> None:
    """Print the stored record and the new one side by side, and how they differ."""
    _print_head(specs.Spec.from_dict(comparison.stored["spec"]), verbose)
    rows = {"stored": _row(comparison.stored), "anew": _row(comparison.again)}
    shown = ("status", "steps", "train", "test", "≥99%", "time")
    texts = [[name, *(row[column] for column in shown)] for name, row in rows.items()]
    print_table(None, ["", *(column.replace("≥99%", "99 % at") for column in shown)], texts)
    if comparison.same:
        print_text("\nThe same: every number of the result agrees.")
        return
    gap = "accuracies agree, and numbers beside them do not"
    if comparison.difference is None:
        gap = "the curves share no point"
    elif comparison.difference:
        gap = f"accuracies differ by up to {percent(comparison.difference)}"
    print_text(f"\nNot the same: {gap}.")
    others = comparison.stored["replicas"] - 1
    if others > 0:
        print_text(f"  It was trained beside {others} more: a fleet of another size rounds differently.")
    before, after = comparison.stored["environment"], comparison.again["environment"]
    for name in ("versions", "processor", "threads", "git_commit", "dirty"):
        if before[name] != after[name]:
            print_text(f"  {name}: {before[name]} then, {after[name]} now")
