"""How long does the export of many records take, from a folder and from a pack, and how much memory?

    python -m bench.recipes.measurements.export [--records 100000]

A run of 3,000 steps, which was evaluated 134 times, is made, 64 variants of its curve are drawn, and each record is one
of these with an id of its own. Making the folder and the pack takes several times as long as what is measured. Each
export is a process of its own that finds the files in the system's cache. Prints its seconds, those of all processors
together, the most memory of that process and of the largest one that it starts, and what it wrote; at the end how many
times as fast as the folder the pack is read: of cells, whose table is written in a moment.
"""

import hashlib
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench.recipes.measurements._study import parser_of, timed
from bench.results import environment, size

VARIANTS = 64
REQUEST: dict[str, Any] = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "steps": 3000}
EXPORTS = (("cells", "parquet"), ("evaluations", "parquet"), ("cells", "csv"))


def fill(folder: Path, n: int) -> None:
    """Write so many records into a folder."""
    [record] = bench.run(**REQUEST, results=None)
    rng, texts = np.random.default_rng(0), []
    for _ in range(VARIANTS):
        curve: dict[str, Any] = dict(record["curve"])
        for name, values in curve.items():
            if name != "step":
                curve[name] = [None if one is None else one * rng.uniform(0.9, 1.0) for one in values]
        texts.append(json.dumps({**record, "curve": curve}, indent=1, ensure_ascii=False))
    for number in range(n):
        id = hashlib.sha256(str(number).encode()).hexdigest()[:16]
        (folder / f"{id}.json").write_text(texts[number % VARIANTS].replace(record["id"], id), "utf-8")


def exported(source: str, output: str, rows: str) -> dict[str, Any]:
    """What an export took, in a process that does nothing else."""
    from joblib.externals.loky import get_reusable_executor

    start = time.perf_counter()
    done = bench.export(source, output=output, rows=rows)
    seconds = time.perf_counter() - start
    get_reusable_executor().shutdown()  # of processes that have ended alone the system tells what they took
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    processor = sum(one.ru_utime + one.ru_stime for one in (own, others))
    memory = [environment.peak_memory_bytes("cpu") or 0, 1024 * others.ru_maxrss]
    return {"seconds": seconds, "processor": processor, "memory": memory, "rows": done.rows, "bytes": done.bytes}


def main(arguments: list[str] | None = None) -> int:
    """Print a table."""
    options = parser_of("export", __doc__, records=(100_000, "that are exported")).parse_args(arguments)
    say = timed()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="mod97-export-") as place:
        sources = {"folder": Path(place) / "results", "pack": Path(place) / "some.pack"}
        sources["folder"].mkdir()
        fill(sources["folder"], options.records)
        say(f"{options.records:,} records are made.")
        bench.pack(sources["folder"], output=sources["pack"])
        say("They are packed.")
        print("| from | rows | file | s | processor, s | memory, and of another process | lines | size |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        seconds = {}
        for rows, ending in EXPORTS:
            for name, source in sources.items():
                output = Path(place) / f"{name}.{ending}"
                with ProcessPoolExecutor(1, context) as pool:
                    found = pool.submit(exported, str(source), str(output), rows).result()
                output.unlink()
                seconds[rows, ending, name] = found["seconds"]
                memory = " + ".join(map(size, found["memory"]))
                cost = f"{found['seconds']:.1f} | {found['processor']:.1f} | {memory}"
                print(
                    f"| {name} | {rows} | {ending} | {cost} | {found['rows']:,} | {size(found['bytes'])} |", flush=True
                )
    ratio = seconds["cells", "parquet", "folder"] / seconds["cells", "parquet", "pack"]
    print(f"\nThe pack is read {ratio:.1f} times as fast as the folder.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
