"""Private parts of PyTorch: all are there, and all are named in one file."""

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from learners import _torch_internals as internals

ROOT = Path(internals.__file__).parent.parent
PRIVATE = re.compile(r"\b_[a-z]\w*")


@pytest.mark.parametrize("path", internals.INTERNALS)
def test_this_pytorch_has_it(path: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch itself
        assert internals.internal(path) is not None


def test_what_is_missing_is_named_with_what_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(internals.INTERNALS, "torch._guards:gone", "tracing a program (learners._fleet.trace)")
    message = r"PyTorch \S+ has no torch\._guards\.gone: tracing a program \(learners\._fleet\.trace\) depends on it\."
    with pytest.raises(ImportError, match=message):
        internals.internal("torch._guards:gone")


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")
def test_products_on_a_cpu_are_onednns() -> None:
    lost = "PyTorch has no torch.ops.mkldnn._linear_pointwise: fast products on a CPU (learners._kernels) depend on it."
    assert internals.onednn_linear() is not None, lost


def test_a_traced_program_says_how_its_arguments_are_nested() -> None:
    from learners._fleet.trace import trace

    program = trace(lambda given: {"y": given["x"] + 1}, "nested", {"x": torch.ones(2)})
    lost = "PyTorch's traces have no _in_spec or _out_spec: learners._fleet.trace and program_cache depend on them."
    assert all(hasattr(program, name) for name in ("_in_spec", "_out_spec")), lost
    assert len(internals.structures(program)) == 2


def private_names(source: str) -> Iterator[str]:
    """Private names of PyTorch in a module: imported, or read from ``torch``."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        yield from (name for name in names if name.startswith(("torch.", "aten.")) and PRIVATE.search(name))


def test_no_other_file_names_a_private_part_of_pytorch() -> None:
    files = [file for package in ("encoders", "learners", "bench") for file in (ROOT / package).rglob("*.py")]
    found = {str(file.relative_to(ROOT)): sorted(set(private_names(file.read_text()))) for file in files}
    del found[str(Path(internals.__file__).relative_to(ROOT))]
    assert not {file: names for file, names in found.items() if names}
    assert list(private_names("from torch._guards import tracing")) == ["torch._guards.tracing"]
