"""``bench new``: write the file of a new plugin from a template, which is a small working example of its kind."""

import ast
import keyword
import re
import sys
from pathlib import Path
from string import Template

import click

from bench import specs
from bench.cli._options import debug_option, words
from bench.errors import RequestError, one_of, os_errors_as

ENCODER = Template('''\
"""$title: say here what the idea is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders import Encoder, require_number


@dataclass(eq=False, repr=False)
class $class_name(Encoder):
    """The value itself, divided by a scale: say here in a sentence what the code is.

    z(x) = x / s.

    Source: say here where the idea comes from.

    :param scale: s > 0, in the unit of x.
    :raises ValueError: for a scale that is not positive.

    >>> $class_name(scale=2.0).fit_transform([[1.0], [4.0]]).tolist()
    [[0.5], [2.0]]
    """

    version = 1
    domain = "real"
    example: ClassVar = {"scale": 10.0}

    scale: float = 1.0

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """The scale."""
        return {"scale": trial.suggest_float("scale", 1.0, 1000.0, log=True)}

    def check(self) -> None:
        """s > 0."""
        require_number(self, "scale", above=0)

    def _fit(self, values: NDArray[np.float64]) -> Sequence[str]:
        return ["scaled"]

    def _encode(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        return (values[:, np.newaxis] / self.scale).astype(np.float32)
''')

LEARNER = Template('''\
"""$title: say here what the idea is."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders import require_number
from learners import ClosedForm


class $class_name(ClosedForm):
    """The class whose mean is nearest: say here in a sentence what is learned.

    score_c(x) = −‖x − μ_c‖², μ_c = Σ x / (n_c + s) over the rows of class c.

    Source: say here where the idea comes from.

    :param shrinkage: s ≥ 0, pulls the means of small classes to the origin.
    :raises ValueError: for a negative shrinkage.

    >>> $class_name().fit([[0.0], [1.0], [5.0]], ["a", "a", "b"]).predict([[4.0]]).tolist()
    ['b']
    """

    version = 1
    example: ClassVar = {"shrinkage": 0.0}

    model_: NDArray[np.float64]

    def __init__(self, shrinkage: float = 0.0) -> None:
        self.shrinkage = shrinkage

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """The shrinkage."""
        return {"shrinkage": trial.suggest_float("shrinkage", 0.0, 10.0)}

    def check(self) -> None:
        """s ≥ 0."""
        require_number(self, "shrinkage", at_least=0)

    def _solve(self, X: NDArray[np.float32], targets_NC: NDArray[np.float32]) -> Any:
        counts = targets_NC.sum(axis=0)[:, np.newaxis] + self.shrinkage
        return targets_NC.T @ X.astype(np.float64) / np.maximum(counts, 1.0)

    def _scores(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        x = X.astype(np.float64)
        squares = (x**2).sum(axis=1)[:, np.newaxis] + (self.model_**2).sum(axis=1)
        return 2 * x @ self.model_.T - squares

    def _parameters(self) -> int:
        return self.model_.size
''')

OPTIMIZER = Template('''\
"""$title: say here what the idea is."""

from dataclasses import dataclass

import torch

from learners.optim import Context, Descent, Gradients, State, Transformation, hyperparameter, per_replica, zeros_like


@dataclass(kw_only=True, eq=False, repr=False)
class $class_name(Descent):
    """Follows the running mean of the gradient: say here in a sentence what it does.

    m ← β m + (1 − β) g; w ← w − η (m + λ w).

    Source: say here where the idea comes from.

    :param beta: β in [0, 1).
    """

    lr: float = 0.1
    weight_decay: float = 0.0
    beta: float = hyperparameter(0.9, at_least=0, below=1, role="replica")

    def direction(self) -> Transformation:
        """The running mean of the gradient."""

        def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
            beta = context.hyper["beta"]
            means = {name: torch.lerp(g, state[name], per_replica(beta, g)) for name, g in grads.items()}
            return means, means

        return Transformation(lambda params: zeros_like(params, ""), update)
''')

TASK = Template('''\
"""$title: say here what is asked."""

from bench.tasks import Maker, Task, complete

FORMULA = "(a − b)²"


def $function(modulus: int = 97) -> Task:
    """The squared difference of two operands 0 … p − 1: say here in a sentence what is asked.

    a ∘ b = (a − b)² mod p.

    Source: say here where the idea comes from.

    :param modulus: p, an integer ≥ 2.
    :raises ValueError: for a modulus below 2.

    >>> task = $function(modulus=5)
    >>> task.operands_NK[1:4].tolist(), task.answers_N[1:4].tolist()
    ([[0, 1], [0, 2], [0, 3]], [1, 4, 4])
    >>> task.symmetric
    True
    """
    if modulus < 2:
        raise ValueError(f"The modulus must be an integer ≥ 2, got {modulus}.")
    formula, sizes = f"{FORMULA} mod {modulus}", (modulus, modulus)
    # Of three operands sizes are (p, p, p) and exchange ((0, 1, 2),); sampled(…) draws a part of a table too large.
    operands_NK = complete(*sizes)
    a, b = operands_NK.T
    answers_N = (a - b) ** 2 % modulus
    # Places 0 and 1 may be exchanged: (a, b) and (b, a) are twins. () says that no questions are.
    exchange = ((0, 1),)
    return Task("$name", formula, operands_NK, answers_N, modulus, sizes, modulus, exchange)


TASKS = {"$name": Maker(FORMULA, $function)}
''')

TEMPLATES = {"encoder": ENCODER, "learner": LEARNER, "optimizer": OPTIMIZER, "task": TASK}
FOLDERS = {"encoder": "encoders", "learner": "learners", "optimizer": "learners/optim", "task": "bench/tasks"}


@click.command()
@click.argument("kind", metavar="|".join(TEMPLATES), shell_complete=words(*TEMPLATES))
@click.argument("name")
@click.option("--output", metavar="DIR", type=click.Path(file_okay=False), help="Folder to write to.")
@debug_option
def new(kind: str, name: str, output: str | None) -> int:
    """Write the file of a new encoder, learner, optimizer or task that passes its contract as it is.

    Where mod97 runs from its checkout, it goes there, where it is found at once; where mod97 is an installed package,
    it goes into the current folder, with the lines that register it from a package of your own.
    """
    if kind not in TEMPLATES:
        raise RequestError(one_of("kind of plugin", kind, TEMPLATES))
    for line in _write_plugin(kind, name, output):
        click.echo(line)
    return 0


def _write_plugin(kind: str, name: str, output: str | None) -> list[str]:
    """Write the file of a plugin; lines that name it and the next steps.

    :raises RequestError: for a name that is not valid or is taken, or a file that exists.
    """
    module = specs.registry.canonical(name).replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", module) or keyword.iskeyword(module):
        rule = "letters, digits and dashes, beginning with a letter, and no word of Python's own"
        raise RequestError(f"NAME must be {rule}, got {name!r}.")
    if kind == "optimizer" and (fault := specs.registry.fault_of_name(specs.registry.canonical(module))):
        raise RequestError(f"NAME {module!r} cannot be used: {fault}.")
    for other in specs.registry.KINDS:
        if specs.registry.canonical(module) in specs.registry.listings(other):
            raise RequestError(f"The {other} {specs.registry.canonical(module)!r} exists already.")
    class_name = "".join(part.capitalize() for part in module.split("_"))
    defined = module if kind == "task" else class_name
    named = {"class_name": class_name, "function": module, "name": specs.registry.canonical(module)}
    text = TEMPLATES[kind].substitute(named, title=class_name)
    if defined in _imported_names(text):
        raise RequestError(f"NAME must not be {name!r}: a new {kind} imports {defined!r}.")
    checkout = _checkout()
    folder = Path(output) if output else checkout / FOLDERS[kind] if checkout else Path.cwd()
    path = folder / f"{module}.py"
    with os_errors_as(RequestError, f"{str(path)!r} cannot be written"), path.open("x", encoding="utf-8") as file:
        file.write(text)
    specs.registry.listings.cache_clear()
    if checkout and folder.resolve() == (checkout / FOLDERS[kind]).resolve():
        return _written_to_checkout(kind, module, class_name, path, checkout)
    return [
        f"Wrote {path}.",
        "Register it in the pyproject.toml of your package:",
        "",
        f'[project.entry-points."mod97.{kind}s"]',
        f'{module} = "your_package.{module}:{defined}"',
    ]


def _imported_names(text: str) -> set[str]:
    """The names that a module imports."""
    imports = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom))
    return {alias.asname or alias.name for node in imports for alias in node.names}


def _checkout() -> Path | None:
    """The source checkout that this module is part of, None where mod97 is installed."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "tests").is_dir() else None


def _written_to_checkout(kind: str, module: str, class_name: str, path: Path, checkout: Path) -> list[str]:
    """Write what else a plugin of this checkout has, which is nothing for tasks; lines with the next steps."""
    name = specs.registry.canonical(module)
    lines = [f"Wrote {path}: {kind} {name!r} can be used at once."]
    python = Path(sys.executable).name
    if kind == "task":
        tested = "name it in OTHERS of tests/test_tasks.py, beside a test of its answers"
        return [*lines, f"Next: {python} -m bench info {name}, edit, {tested}, make test."]
    if tell_type_checkers(path.parent / "__init__.py", f"{FOLDERS[kind].replace('/', '.')}.{module}", class_name):
        lines.append(f"Wrote a line into {path.parent / '__init__.py'}: type checkers know it by that.")
    goldens = checkout / "tests" / "golden"
    if goldens.is_dir():
        from bench.recipes.golden import write

        lines.append(f"Wrote {write(kind, name, goldens)}: its first results.")
    picture = ", make gallery" if kind == "encoder" else ""
    return [*lines, f"Next: {python} -m bench info {name}, edit, make golden NAMES={name}{picture}, make test."]


def tell_type_checkers(package: Path, module: str, class_name: str) -> bool:
    """Add the line by which type checkers know a class that a package loads on first use; False where it is there."""
    lines = package.read_text(encoding="utf-8").splitlines(keepends=True)
    line = f"    from {module} import {class_name} as {class_name}\n"
    known = [i for i, other in enumerate(lines) if other.startswith("    from ") and " as " in other]
    if known and line not in lines:
        place = next((i for i in known if lines[i] > line), known[-1] + 1)
        package.write_text("".join([*lines[:place], line, *lines[place:]]), encoding="utf-8")
        return True
    return False
