"""A page of what came of recipes: published beside ours, with a verdict, a picture and the command of each."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.errors import RequestError, os_errors_as
from bench.recipes.comparison import Compared
from bench.recipes.reproduce import Reproduced
from bench.recipes.verdicts import more_needed
from bench.reports import markdown_table, write_picture
from bench.results import Record, duration, many
from bench.showing import picture

HEADER = ["claim", "of", "published", "ours", "n", "verdict"]
WORDS = ("agrees", "differs", "undecided", "not comparable", "not run", "not judged")
BEGIN = """# Claims

Every claim that this field and this project grew from, made again by one command each, beside its published number. A
recipe fixes what is compared and the rule of the verdict before it runs; [reproduce](reproduce.md) says how, and how
to write another one.

- **agrees**: the whole interval of ours lies where the rule says. **differs**: no part of it does. **undecided**: a
  part does, or there are too few runs, or too few that reach the target, for an interval. **not comparable**: the
  reason stands below the table. **not run**: some of the runs are still to be made.
- *of* names the arm, or the two that are compared: by their ratio, shares by their difference in points. *ours* is the
  median over the runs with its interval (of 95 % or more, unless it says its level), `>` stands before what was not
  reached within the budget. *n* counts runs; searches where the arms were tuned; fleets where time or memory is
  measured.
- Nearly all published numbers are of ordered pairs, where the mirrored twin of many a test pair trains, of the first
  crossing of 95 %, and of one to five seeds. So are ours where a recipe makes such a number again.
- Searches are scored by the steps until 99 % is held; where their winners first reach it is compared beside that. Times
  are of the work in all; several recipes shared a GPU, which makes each of them slower than it is alone.
"""


def write_page(found: Sequence[Reproduced], path: str | Path) -> None:
    """Write the page as markdown, and its pictures beside it into ``pictures/claims``.

    :raises RequestError: where it cannot be written.
    """
    file = Path(path)
    parts = [line for one in found for line in _part(one, file)]
    text = "\n".join([BEGIN, *_overview(found), *_quarrels(found), *parts])
    with os_errors_as(RequestError, f"The page {str(path)!r} cannot be written"):
        file.write_text(text, encoding="utf-8")


def _overview(found: Sequence[Reproduced]) -> Iterator[str]:
    yield "## All recipes\n"
    rows = []
    for one in found:
        words: Counter[str] = Counter(compared.verdict.word for compared in one.compared)
        rows.append(
            [f"[{one.recipe.name}](#{one.recipe.name})", one.recipe.title, *(str(words[w] or "") for w in WORDS)]
        )
    yield from markdown_table(["recipe", "what", *WORDS], rows)
    yield ""


def _quarrels(found: Sequence[Reproduced]) -> Iterator[str]:
    asked = [one for one in found if one.recipe.quarrel]
    if not asked:
        return
    yield "## Quarrels\n"
    rows = [
        [one.recipe.quarrel if not number else "", answer]
        for one in asked
        for number, answer in enumerate(answers(one))
    ]
    yield from markdown_table(["question", "answer"], rows)
    yield ""


def answers(one: Reproduced) -> list[str]:
    """Whether a quarrel is settled, which way, and by how much, or what would settle it; by each claim that does."""
    settling = [compared for compared in one.compared if compared.claim.settles]
    return [_answer(compared, one) for compared in settling] or ["Open: no claim of the recipe settles it."]


def _answer(compared: Compared, one: Reproduced) -> str:
    word, why = compared.verdict.word, compared.verdict.why
    size = f"{compared.of}: {compared.ours}, n = {compared.n}"
    if word in ("agrees", "differs"):
        return f"Settled. {compared.claim.settles[word]} ({size})."
    more = _what_settles(compared, one) if word == "undecided" else ""
    measured = "" if compared.found is None else f" ({size})"
    return f"Open: “{compared.claim.claim}” is {word}{measured}, since {why}.{more}"


def _what_settles(compared: Compared, one: Reproduced) -> str:
    """How many searches or runs would settle an undecided claim, as a sentence."""
    found, rule = compared.found, compared.claim.rule
    what = "searches" if any("search" in one.recipe.arms[arm] for arm in compared.claim.arms) else "runs"
    times = None if found is None or rule is None else more_needed(found.estimate, rule, compared.unit == "fold")
    if found is None or times is None:
        return f" More {what} would settle it, or larger budgets."
    enough = float(f"{max(found.n) * times:.1g}")
    return f" Some {enough:,.0f} {what} an arm would settle it, if they scatter as these do and the median stays."


def _part(one: Reproduced, path: Path) -> Iterator[str]:
    recipe = one.recipe
    yield f"({recipe.name})=\n## {recipe.title}\n"
    yield f"{recipe.setting}\n" if recipe.setting else ""
    yield f"Source: {recipe.source}.\n"
    yield f"```sh\n{one.command}\n```\n"
    yield from markdown_table(HEADER, [_cells(compared) for compared in one.compared])
    yield ""
    reasons = dict.fromkeys(
        f"{compared.of}, {compared.verdict.word}: {compared.verdict.why}."
        for compared in one.compared
        if compared.claim.why or compared.claim.not_comparable
    )
    yield from (f"- {reason}" for reason in reasons)
    runs, of = (sum(numbers) for numbers in zip(*one.arms.values(), strict=True))
    on = f" On {', '.join(one.devices)}: {duration(one.seconds)} of work in all." if one.devices else ""
    yield f"\nThe arms have {many(runs, 'run')} of {of:,}; one that two arms share counts in both.{on}\n"
    drawn = draw(one, path.parent / "pictures" / "claims" / f"{recipe.name}.svg")
    if drawn is not None:
        yield f"![{recipe.title}](pictures/claims/{drawn.name})\n"


def _cells(compared: Compared) -> list[str]:
    return [compared.claim.claim, compared.of, compared.published, compared.ours, compared.n, compared.verdict.word]


def draw(one: Reproduced, path: Path) -> Path | None:
    """Draw the picture of a recipe into a file; None where there is none, or nothing to draw yet.

    Runs are named by their arms, and by the number of their search.
    """
    options = dict(one.recipe.picture)
    if not options:
        return None
    kind, arms = options.pop("kind"), options.pop("arms", list(one.records))
    records = [{**record, "label": _label(arm, record)} for arm in arms for record in one.records.get(arm, ())]
    if not records:
        return None
    drawn = picture(kind, records=records, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(drawn, path)
    return path


def _label(arm: str, record: Record) -> str:
    """The name of an arm; of the winner of a search as "tuned adamw #2", as its study is named."""
    study = str((record.get("tuning") or {}).get("study", ""))
    found = re.search(r" (#\d+) ", study)
    return arm if found is None else f"{arm} {found[1]}"
