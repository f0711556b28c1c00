"""Environment variables that the libraries of mod97 read: values that they do not take are refused at the door.

They would end a command half-way with an error that names no variable, or print warnings in the middle of its output.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.errors import RequestError


class Rule(NamedTuple):
    """What the value of a variable must be, in words and as a test."""

    words: str
    holds: Callable[[str], bool]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _matching(words: str, pattern: str) -> Rule:
    return Rule(words, lambda text: re.fullmatch(pattern, text.strip(), re.IGNORECASE) is not None)


POSITIVE = r"0*[1-9]\d{0,8}"
CORES = r"\d{1,6}(-\d{1,6}(:\d{1,6})?)?"
BOOLEAN = _matching("true or false", "true|false")
NATURAL = _matching("an integer ≥ 0", r"\d{1,9}")
COUNT = _matching("an integer ≥ 1", r"\+?0*[1-9]\d{0,8}")
INTEGER = _matching("an integer", r"[-+]?\d{1,18}")
NUMBER = Rule("a number", _is_number)
PAIRS = _matching("NAME:VALUE, or several with commas", r"\w+:(\[[^\]]*\]|[^,\[\]]+)(,\w+:(\[[^\]]*\]|[^,\[\]]+))*")
BINDING = r"(master|primary|close|spread)(,(master|primary|close|spread))*"

RULES = {
    "GOMP_CPU_AFFINITY": _matching("numbers of cores, as 0 2-7 8-14:2", rf"{CORES}([\s,]+{CORES})*"),
    "OMP_CANCELLATION": BOOLEAN,
    "OMP_DEFAULT_DEVICE": NATURAL,
    "OMP_MAX_ACTIVE_LEVELS": NATURAL,
    "OMP_NESTED": BOOLEAN,
    "OMP_NUM_THREADS": _matching("an integer ≥ 1, or several with commas", rf"{POSITIVE}(\s*,\s*{POSITIVE})*"),
    "OMP_PLACES": _matching(
        "threads, cores, sockets, or a list in braces",
        r"(threads|cores|sockets|ll_caches|numa_domains)(\s*\(\d+\))?|!?\{[-\d\s,:!{}]*",
    ),
    "OMP_SCHEDULE": _matching(
        "static, dynamic, guided or auto", r"((non)?monotonic\s*:\s*)?(static|dynamic|guided|auto)(\s*,\s*\d{1,9})?"
    ),
    "OMP_STACKSIZE": _matching("a size, as 4M", r"\d{1,9}\s*[bkmg]?"),
    "OMP_THREAD_LIMIT": COUNT,
    "OMP_WAIT_POLICY": _matching("active or passive", "active|passive"),
    "OMP_PROC_BIND": _matching(
        "true, false, or master, primary, close and spread with commas", f"true|false|{BINDING}"
    ),
    "OMP_DYNAMIC": _matching("false, as another number of threads is another result", "false"),
    "GOMP_SPINCOUNT": _matching("an integer or infinity", r"\d+\s*[kmgt]?|infinit(y|e)"),
    "LOKY_MAX_CPU_COUNT": COUNT,
    "LOKY_MAX_DEPTH": INTEGER,
    "LOKY_MAX_MEMORY_LEAK_SIZE": NUMBER,
    "JOBLIB_MULTIPROCESSING": INTEGER,
    "JOBLIB_START_METHOD": _matching("fork, forkserver or spawn", "fork|forkserver|spawn"),
    "PYTORCH_ALLOC_CONF": PAIRS,
    "PYTORCH_CUDA_ALLOC_CONF": PAIRS,
    "SKLEARN_WORKING_MEMORY": INTEGER,
    "SOURCE_DATE_EPOCH": INTEGER,
    "TORCHDYNAMO_REPRO_LEVEL": INTEGER,
    "TORCHINDUCTOR_COMPILE_THREADS": COUNT,
    "TORCHINDUCTOR_CPP_GEMM_MAX_K_SLICES": INTEGER,
    "TORCHINDUCTOR_CPP_MIN_CHUNK_SIZE": INTEGER,
    "TORCHINDUCTOR_FILE_LOCK_TIMEOUT": INTEGER,
    "TORCHINDUCTOR_MIN_NUM_SPLIT": INTEGER,
}
"""The variables that are checked. Values that their libraries ignore, as of MKL_NUM_THREADS, harm nothing."""
OF_TORCH = "TORCH_LOGS"
"""The variable that PyTorch itself checks when it is imported."""
TOLD = re.compile(
    r"(OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|VECLIB|NUMEXPR|LOKY|JOBLIB|SKLEARN|CUBLAS|PYTORCH|TORCH|TRITON|MOD97)_\w*"
    r"|(TORCH|MPL|PYTHON)[A-Z]+\w*|(CUDA|NVIDIA)_VISIBLE_DEVICES|TMPDIR|SOURCE_DATE_EPOCH|XDG_CACHE_HOME"
)
"""Names of the variables that `bench doctor` shows."""
NO_WINDOWS = "agg"
"""The backend of matplotlib that writes files alone."""
OWN = {
    "GOMP_SPINCOUNT": "10000",
    "KMP_DUPLICATE_LIB_OK": "True",
    "KMP_INIT_AT_FORK": "FALSE",
    "MPLBACKEND": NO_WINDOWS,
}
"""What mod97, and libraries that it imports, set themselves."""


def settle_variables() -> None:
    """Take the checked variables whose value is empty for ones that are not set, as shells do; open no windows."""
    os.environ["MPLBACKEND"] = NO_WINDOWS  # matplotlib cannot be imported with a name that it does not know
    for name in (*RULES, OF_TORCH):
        if not os.environ.get(name, "x").strip():
            del os.environ[name]


def check_variables() -> None:
    """Raise RequestError where an environment variable has a value that its library does not take."""
    for name, rule in RULES.items():
        value = os.environ.get(name)
        if value is not None and not rule.holds(value):
            raise RequestError(f"The environment variable {name} must be {rule.words}, got {value!r}.")
    if os.environ.get(OF_TORCH) and "torch" not in sys.modules:
        try:
            import torch  # noqa: F401, whose second import would end the process
        except ValueError as error:
            known, given = "one that PyTorch knows, as +dynamo,guards", os.environ[OF_TORCH]
            raise RequestError(f"The environment variable {OF_TORCH} must be {known}, got {given!r}.") from error


def told_variables() -> Iterator[str]:
    """The variables that matter and are set, each as NAME=value, but those that mod97 sets itself."""
    for name, value in sorted(os.environ.items()):
        if TOLD.fullmatch(name) and OWN.get(name) != value:
            yield f"{name}={value}"
