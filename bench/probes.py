"""What an encoding alone gives away."""

import hashlib
import json
import tempfile
from contextlib import suppress
from pathlib import Path

from bench import metrics
from bench.cells import Cell
from learners import KNN, Ridge

__all__ = ["Probes", "probes", "remembered"]

Probes = dict[str, float | None]


def probes(cell: Cell) -> Probes:
    """Test accuracy of a linear readout and of the nearest neighbour; of validation where there are no test pairs."""
    rows = cell.parts.get("test", cell.split.validation)
    found: Probes = {}
    for name, probe in (("ridge", Ridge()), ("knn", KNN())):
        if not rows.size:
            found[name] = None
            continue
        training = type(probe).begin([probe], [cell.problem])
        training.advance(0, [0])
        [scores] = training.look([0], [rows]).scores
        found[name] = float(metrics.right(scores, cell.task.answers_N[rows]).mean())
    return found


def remembered(cell: Cell, folder: Path | None) -> Probes:
    """`probes`, once for all cells of one encoding and split.

    :param folder: where they are remembered, or None.
    """
    if folder is None:
        return probes(cell)
    identity = [cell.spec.data, cell.spec.versions["encoder"]]
    path = folder / f"{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]}.probes"
    with suppress(OSError, ValueError):
        known = json.loads(path.read_text())
        return {name: known[name] for name in ("ridge", "knn")}
    found = probes(cell)
    with suppress(OSError), tempfile.NamedTemporaryFile("w", dir=folder, suffix=".new", delete=False) as file:
        file.write(json.dumps(found))
        Path(file.name).replace(path)
    return found
