"""Programs: traced, compiled, in other arithmetic; and when which of them."""

import gc
import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from itertools import product as product_of
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_fleet import begin, close, configured, every_learner, problem, weights
from torch import nn
from torch._dynamo.utils import counters

import bench
from learners import Quadratic, Setting, Transformer
from learners._fleet import capture, program_cache
from learners._fleet import compiler as compiling
from learners._fleet import program as programs
from learners._fleet import trace as tracing
from learners._fleet.capture import recorded
from learners._fleet.compiler import Compiler, worth_shrinking, worthwhile
from learners._fleet.feed import BLOCK
from learners._fleet.look import WHOLE_GROUP
from learners._fleet.out_of_memory import out_of_memory
from learners._fleet.program import StepProgram
from learners._fleet.trace import Work, aligned, trace
from learners._fleet.training import FleetTraining
from learners._kernels import noise
from learners._kernels import products as kernels
from learners._kernels.products import matmul, product
from learners._nets.decoder import _sinusoids
from learners._torch_internals import INTERNALS, internal
from learners.optim import Muon

MANY = 10**9


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Compiled programs of a test stay its own."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(Compiler, "broken", None)
    monkeypatch.setattr(Compiler, "known", {})
    monkeypatch.setattr(Compiler, "loaded", {})


@pytest.fixture
def eager(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch captures each program as it does to compile it, but no C++ is written, which takes seconds a program."""
    capture_only = partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", lambda program, options, **how: capture_only(program, **how))


@every_learner
def test_a_traced_step_has_the_bits_of_the_plain_one(name: str) -> None:
    training = begin(name, range(3))
    [group] = training.groups
    training.advance(3, range(3))
    feed = group.program.feed
    plain_params, plain_state = training.rule.update(group.tensors, feed.rows[3].long(), True)
    new = group.program.traced(group.tensors | {"feed": feed.tensors})
    assert new["feed"]["place"].tolist() == [4]
    assert new["clock"]["step"].tolist() == [4] * 3
    for plain, traced in ((plain_params, new["params"]), (plain_state, new["state"])):
        assert plain.keys() == traced.keys()
        assert all(torch.equal(plain[k], traced[k]) for k in plain)


@every_learner
def test_operators_of_many_replicas_go_the_same_way_at_the_same_cost(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = begin(name, range(3))
    few.advance(12, range(3))
    monkeypatch.setattr(tracing, "_traces", {})
    monkeypatch.setitem(kernels.MANY, "cpu", 3)
    many = begin(name, range(3))
    many.advance(12, range(3))
    assert all(close(weights(few, r), weights(many, r)) for r in range(3))
    assert few.flops(0, 12) == many.flops(0, 12)


@pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler here")
@pytest.mark.usefixtures("fresh")
def test_a_compiled_fleet_follows_the_plain_one() -> None:
    learners = [configured("mlp", s, hidden_layer_sizes=(10,)) for s in range(2)]  # a deeper one is more C++ to compile
    problems = [problem(s) for s in range(2)]
    words: list[str] = []
    setting = Setting(steps=MANY, looks=MANY, announce=words.append)
    compiled = FleetTraining(learners, problems, setting, torch.float64)
    plain = FleetTraining(learners, problems, dtype=torch.float64)
    for training in (compiled, plain):
        training.advance(9, range(2))
    rows = [np.arange(20)] * 2
    looks = [training.look(range(2), rows) for training in (compiled, plain)]
    graphs = counters["stats"]["unique_graphs"]
    compiled.advance(12, range(2))
    compiled.look(range(2), rows)
    assert counters["stats"]["unique_graphs"] == graphs  # nothing is compiled a second time, unannounced
    plain.advance(12, range(2))
    assert compiled.compiled, compiled.notices
    assert not plain.compiled
    assert compiled.compile_seconds > 0
    assert words == ["compiling", ""] * 2
    assert all(close(weights(compiled, r), weights(plain, r)) for r in range(2))
    assert torch.allclose(looks[0].scores, looks[1].scores, atol=1e-9)


@pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler here")
@pytest.mark.usefixtures("fresh")
def test_a_program_is_compiled_once_for_all_rounds_and_for_whoever_leaves() -> None:
    def train() -> tuple[FleetTraining, list[str]]:
        words: list[str] = []
        setting = Setting(steps=MANY, leaving=True, announce=words.append)
        learners, problems = [configured("quadratic", s) for s in range(3)], [problem(s) for s in range(3)]
        training = FleetTraining(learners, problems, setting, torch.float64)
        training.advance(5, range(3))
        training.advance(9, [0, 2])
        training.advance(9, range(3))
        return training, words

    first, words = train()
    assert first.compiled, first.notices
    assert words == ["compiling", ""]  # one program, whoever moves
    second, words = train()
    assert second.compiled
    assert not words
    plain = begin("quadratic", range(3))
    plain.advance(9, range(3))
    for training in (first, second):
        assert all(close(weights(training, r), weights(plain, r)) for r in range(3))


@pytest.mark.usefixtures("fresh")
def test_what_cannot_be_compiled_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def failing(*arguments: Any, **options: Any) -> Any:
        tried.append(arguments)
        raise RuntimeError("too much for me")

    monkeypatch.setattr(torch, "compile", failing)
    monkeypatch.setattr(torch._inductor, "standalone_compile", unknown)
    for _ in range(2):
        learners, problems = [configured("mlp", s) for s in range(3)], [problem(s) for s in range(3)]
        training = FleetTraining(learners, problems, Setting(steps=MANY, leaving=True), torch.float64)
        programs = set()
        for step in range(1, 5):
            training.advance(step, range(3))
            programs.add(id(training.groups[0].program))
        assert len(programs) == 1
        assert training.notices == ["Nothing is compiled here, which costs time alone: RuntimeError: too much for me"]
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("too much for me\nin detail", "RuntimeError: too much for me"),
        (
            "at 11:11:\n  a = b + c\nValueError('out of range')\n\nSet TORCH_LOGS=1",
            "RuntimeError: ValueError('out of range')",
        ),
        ("Set TORCH_LOGS=1", "RuntimeError"),
    ],
)
def test_a_reason_is_the_line_that_says_it(said: str, reason: str) -> None:
    assert compiling._reason(RuntimeError(said)) == reason


def lowbias32(x: int) -> int:
    """The published function, in integers."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


@pytest.mark.parametrize("plus", [0, 1, 2 * 0x9E3779B9])
def test_hashes_are_the_published_ones(plus: int) -> None:
    numbers = [0, 1, 12_345, 2**31, 2**32 - 1]
    x = torch.tensor(numbers)
    assert noise.mix(x, plus).tolist() == [lowbias32((one + plus) % 2**32) for one in numbers]
    assert torch.equal(torch.vmap(lambda one: noise.mix(one, plus))(x.reshape(5, 1)), noise.mix(x, plus).reshape(5, 1))


def test_a_hash_costs_what_its_operators_cost() -> None:
    program = trace(lambda k: (noise.mix(k, 3),), "a hash", torch.arange(50))
    assert Work.of(program) == Work(operators=10, bytes=10 * 2 * 8 * 50, flops=0)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.usefixtures("fresh")
def test_another_pytorch_calls_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*arguments: Any) -> None:
        raise ImportError("no make_pointwise")

    monkeypatch.setattr(noise, "lower", gone)
    noise.fuse_mix.cache_clear()
    noise.fuse_mix()
    noise.fuse_mix.cache_clear()


def test_an_error_with_words_of_its_own_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INTERNALS, "torch._guards:gone", "tracing")
    with pytest.raises(ImportError) as raised:
        internal("torch._guards:gone")
    assert compiling._reason(raised.value).endswith("has no torch._guards.gone: tracing depends on it.")


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.usefixtures("fresh")
def test_noise_is_computed_inside_of_compiled_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers bit by bit, without a call of the operator."""
    noise.fuse_mix()
    compiled = torch.compile(lambda k: noise.uniform(k, (3, 50), 1), fullgraph=True)
    k = noise.key(torch.arange(3), torch.tensor(7), "site")
    wanted = noise.uniform(k, (3, 50), 1)
    compiled(k)
    monkeypatch.setattr(noise, "_formula", None)
    with pytest.raises(TypeError):
        noise.uniform(k, (3, 50), 1)
    assert torch.equal(compiled(k), wanted)


@pytest.mark.parametrize("changes", [{}, {"optimizer": Muon()}])
@pytest.mark.parametrize("name", ["quadratic", "mlp"])
def test_flops_are_a_replicas_own_in_a_fleet_of_several_sizes(name: str, changes: dict[str, Any]) -> None:
    learners = [configured(name, s, batch_size=0, **changes) for s in range(3)]
    problems = [problem(s, n) for s, n in enumerate((25, 9, 15))]
    fleet = FleetTraining(learners, problems)
    fleet.advance(2, range(3))
    for r in range(3):
        lone = FleetTraining(learners[r : r + 1], problems[r : r + 1])
        lone.advance(2, [0])
        assert fleet.flops(r, 2) == lone.flops(0, 2)


def test_a_look_follows_who_leaves_and_comes_back() -> None:
    training, whole = begin("mlp", range(4)), begin("mlp", range(4))
    rows = [np.arange(20)]
    training.advance(2, [0, 1])
    training.look([2], rows)
    training.advance(3, range(4))
    training.advance(4, [0, 1])
    whole.advance(3, range(4))
    assert torch.allclose(training.look([2], rows).scores, whole.look([2], rows).scores, atol=1e-9)


def test_a_look_at_a_whole_group_answers_for_those_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, whole = (begin("mlp", range(6)) for _ in range(2))
    rows = [np.arange(20 - r) for r in range(6)]
    left: list[list[int]] = [[0, 1, 2, 3, 4, 5], [4, 0, 2], [3, 5, 1, 0], [2], [2, 1]]
    for turn, some in enumerate(left):
        seen = []
        for training, crowd in ((plain, 1.0), (whole, 0.0)):
            monkeypatch.setitem(WHOLE_GROUP, "cpu", crowd)
            training.advance(3 * turn + 3, sorted(some))
            seen.append(training.look(some, [rows[r] for r in some]))
        mine, other = seen
        for place, r in enumerate(some):
            assert torch.equal(mine.scores[place, : len(rows[r])], other.scores[place, : len(rows[r])])
        assert mine.vitals.keys() == other.vitals.keys()
        assert all(np.array_equal(mine.vitals[name], other.vitals[name]) for name in mine.vitals)


def test_a_look_asks_no_group_that_nobody_asks_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WHOLE_GROUP, "cpu", 0.0)
    training, rows = begin("mlp", range(4)), [np.arange(9) for _ in range(4)]
    training.occupancy.halve(training.groups[0])
    asked = []
    for some in (range(4), [1, 3], [3, 2], [2]):
        training.look(some, [rows[r] for r in some])
        asked.append(sorted(r for _, mine, _, _ in training.occupancy.prepared.parts for r in mine))
    assert asked == [[0, 1, 2, 3], [0, 1, 2, 3], [2, 3], [2, 3]]


def test_a_compiled_group_gives_way_as_counting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, int]] = []

    def answer(work: Work, share: float, steps: int, *rest: Any) -> bool:
        asked.append((share, steps))
        return steps > 90

    monkeypatch.setattr(compiling, "worth_shrinking", answer)
    for compiled, first, sizes in ((True, 10, [2]), (True, 40, [8]), (False, 40, [2])):
        training = begin("mlp", range(8), Setting(steps=120, leaving=True))
        training.advance(5, range(8))
        program = training.groups[0].program
        if compiled:
            program.compiled, program.all_move = program.writing, False
        training.advance(first, range(5))
        training.advance(first + 10, [0, 1])
        assert [len(group.ids) for group in training.groups] == sizes
    assert asked == [(0.25, 110), (0.25, 80)]  # whoever is done counts for nothing


def test_a_program_that_cannot_go_on_is_no_reason_to_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "worth_shrinking", lambda *arguments: False)
    training = begin("mlp", range(8), Setting(steps=120))
    training.advance(5, range(8))
    program = training.groups[0].program
    program.compiled = program.writing
    assert program.all_move
    training.advance(10, [5, 6])
    assert [len(group.ids) for group in training.groups] == [2]


def missing(*arguments: Any, **options: Any) -> Any:
    raise RuntimeError("no C++ compiler found\nwith a long story")


def unknown(*arguments: Any, **options: Any) -> Any:
    raise TypeError("unexpected argument")


@pytest.mark.usefixtures("fresh")
def test_what_cannot_be_compiled_trains_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", missing)
    monkeypatch.setattr(torch._inductor, "standalone_compile", missing)
    monkeypatch.setattr(compiling, "worthwhile", lambda *arguments: True)
    [record] = bench.run(encoder="onehot", learner="quadratic", modulus=7, steps=20, device="cpu", results=None)
    assert record["status"] == "done"
    assert not record["compiled"]
    [notice] = record["notices"]
    assert notice == "Nothing is compiled here, which costs time alone: RuntimeError: no C++ compiler found"


def _trained(name: str = "quadratic", steps: int = 5) -> tuple[FleetTraining, list[Any]]:
    """A compiled fleet, and all that it has come to, with what a look says."""
    learners, problems = [configured(name, s) for s in range(2)], [problem(s) for s in range(2)]
    training = FleetTraining(learners, problems, Setting(steps=MANY, looks=MANY))
    training.advance(steps, range(2))
    scores = training.look(range(2), [np.arange(25)] * 2).scores
    return training, [training.state(r)[k] for r in range(2) for k in sorted(training.state(r))] + [scores.numpy()]


def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a new process does not know."""
    monkeypatch.setattr(Compiler, "known", {})
    monkeypatch.setattr(Compiler, "loaded", {})
    monkeypatch.setattr(tracing, "_traces", {})


def _same(a: list[Any], b: list[Any]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler here")
@pytest.mark.usefixtures("fresh")
def test_a_program_that_is_kept_is_neither_traced_nor_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made, first = _trained()
    assert made.compiled
    files = sorted((tmp_path / "kept").iterdir())
    assert [file.suffix for file in files] == [".bin", ".json"] * 2  # a step and a look
    with monkeypatch.context() as new:
        _forget(new)
        for place, name in ((torch, "compile"), (torch._inductor, "standalone_compile"), (programs, "trace")):
            new.setattr(place, name, missing)
        found, again = _trained()
        assert found.compiled
        assert not found.notices
        assert _same(first, again)
        assert found.flops(0, 1) == made.flops(0, 1)
    with monkeypatch.context() as new:  # half a file is as good as none
        _forget(new)
        for file in files:
            file.write_bytes(file.read_bytes()[:100])
        mended, again = _trained()
        assert mended.compiled
        assert _same(first, again)
    assert all(len(file.read_bytes()) > 100 or file.suffix == ".json" for file in files)


@pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler here")
@pytest.mark.usefixtures("fresh")
def test_where_nothing_can_be_kept_all_is_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch._inductor, "standalone_compile", unknown)
    training, _ = _trained()
    assert training.compiled
    assert not (tmp_path / "kept").exists()


def test_programs_are_kept_by_all_that_decides_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def name(key: Any = ("update", True, (Quadratic, "full")), width: int = 3) -> str:
        return program_cache.name_of(key, ({"w": torch.zeros(2, width)},))

    assert name() == name()
    others = [
        name(("update", False, (Quadratic, "full"))),
        name(width=4),
        name(("update", True, (Transformer, "full"))),
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    others.append(name())
    torch.set_num_threads(threads)
    monkeypatch.setattr(program_cache, "_sources", lambda: "another version")
    others.append(name())
    assert len({name(), *others}) == 5
    assert name() not in others[:-1]


def test_programs_lie_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that it is put back
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    bench.run(encoder="onehot", learner="quadratic", modulus=5, steps=2, device="cpu", results=None, jobs=1)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "mod97" / "programs")


class Own(Quadratic):
    """Somebody else's: what it imports cannot be known."""


@pytest.mark.usefixtures("eager")
def test_programs_of_other_peoples_learners_are_not_kept(tmp_path: Path) -> None:
    training = FleetTraining([Own()], [problem(0)], Setting(steps=MANY, looks=MANY))
    training.advance(2, range(1))
    assert training.compiled
    assert not (tmp_path / "kept").exists()
    assert program_cache.sources_known(Quadratic(), nn.Sequential(training.network))

    class Layer(nn.Linear):
        pass

    assert not program_cache.sources_known(Quadratic(), nn.Sequential(Layer(2, 2)))


@pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler here")
@pytest.mark.usefixtures("fresh")
def test_programs_that_nobody_asked_for_are_removed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("old.bin", "old.json", "young.bin", "young.json"):
        (kept / name).touch()
    for name in ("old.bin", "old.json"):
        os.utime(kept / name, (0, 0))
    learners, problems = [configured("quadratic", s) for s in range(2)], [problem(s) for s in range(2)]
    FleetTraining(learners, problems, Setting(steps=MANY)).advance(1, range(2))
    left = {file.name for file in kept.iterdir()}
    assert {"young.bin", "young.json"} < left
    assert not {"old.bin", "old.json"} & left


def test_compiling_must_repay_itself() -> None:
    work = Work(operators=500, bytes=2 * 10**8, flops=2 * 10**9)
    assert not worthwhile(work, 100, "cpu", 2)
    assert worthwhile(work, 100_000, "cpu", 2)
    assert not worthwhile(work, 1_000, "cuda")
    assert worthwhile(work, 10**6, "cuda")
    large = Work(operators=500, bytes=64 * 2 * 10**8, flops=64 * 2 * 10**9)
    assert worthwhile(large, 20_000, "cuda")
    assert not worthwhile(large, 2_000, "cuda")
    assert worthwhile(large, 2_000, "cuda", repeats=20)
    assert not worthwhile(work, 100, "cpu", 2, repeats=10**6)  # reading it from the cache takes longer than it saves


def test_a_compiled_program_gives_way_where_that_repays_itself() -> None:
    fleet = Work(operators=1_000, bytes=18 * 10**9, flops=23 * 10**10)  # about 128 transformers
    assert not worth_shrinking(
        fleet, 1 / 2, 1_500, "cuda", precision="bfloat16"
    )  # uncompiled, half of them take longer than all of them
    assert not worth_shrinking(fleet, 1 / 2, 1_500, "cuda", repeats=4)
    assert worth_shrinking(fleet, 1 / 2, 100_000, "cuda")  # another program repays itself
    assert worth_shrinking(fleet, 1 / 2, 1_500, "cuda", repeats=1_000)
    small = Work(operators=1_000, bytes=10**9, flops=10**10)
    assert worth_shrinking(small, 1 / 2, 1_000, "cpu", 2)  # a CPU's time goes to products
    assert not worth_shrinking(small, 1 / 2, 10, "cpu", 2)


def test_nor_does_one_that_is_not_compiled_give_way_for_little() -> None:
    fleet = Work(operators=1_000, bytes=2 * 10**9, flops=6 * 10**10)  # about 32 transformers, launches above all
    assert not worth_shrinking(fleet, 1 / 2, 1_500, "cuda", compiled=False)
    assert not worth_shrinking(fleet, 1 / 2, 1_500, "cuda", repeats=4, precision="bfloat16", compiled=False)
    assert worth_shrinking(fleet, 1 / 2, 1_500, "cuda", repeats=100, compiled=False)
    assert worth_shrinking(fleet, 1 / 2, 100_000, "cuda", compiled=False)


class Graph:
    """As much of a captured graph as recording asks for."""

    def __init__(self, memory: int = -1) -> None:
        self.memory = memory

    def pool(self) -> int:
        return self.memory


def recording(monkeypatch: pytest.MonkeyPatch, errors: list[Exception]) -> list[tuple[int, bool]]:
    """Let recordings break off with these errors, one each; the memory of each, and whether garbage is collected."""
    numbers, seen = count(), list[tuple[int, bool]]()

    @contextmanager
    def graph(made: Graph, pool: int, stream: str, capture_error_mode: str) -> Iterator[None]:
        assert (stream, capture_error_mode) == ("stream", "thread_local")
        yield
        seen.append((pool, gc.isenabled()))
        if errors:
            raise errors.pop(0)

    keepers: dict[Any, Any] = {}
    monkeypatch.setattr(capture, "_keepers", keepers)
    monkeypatch.setattr(capture, "keeper", lambda device: keepers.setdefault(device, (Graph(next(numbers)), "stream")))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    return seen


def test_a_recording_that_breaks_off_is_made_anew_in_other_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = recording(monkeypatch, [RuntimeError("capture was invalidated")])
    device = torch.device("cuda:0")
    assert recorded(device, lambda: 3)[1] == 3
    assert recorded(device, lambda: 4)[1] == 4
    assert seen == [(0, False), (1, False), (1, False)]
    assert gc.isenabled()


def test_one_that_does_so_again_or_for_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = recording(monkeypatch, [RuntimeError("invalidated"), RuntimeError("again"), torch.OutOfMemoryError("full")])
    for words, attempts in (("again", 2), ("full", 3)):
        with pytest.raises(RuntimeError, match=words):
            recorded(torch.device("cuda:0"), lambda: None)
        assert len(seen) == attempts
        assert gc.isenabled()
    assert [memory for memory, _ in seen] == [0, 1, 2]  # what was broken off is not written to again
    assert list(capture._keepers) == [torch.device("cuda:0")]  # memory that was only too small is


def test_memory_that_ran_out_while_recording_is_known_behind_what_came_of_it() -> None:
    error = RuntimeError("capture was invalidated")
    error.__context__ = torch.OutOfMemoryError("full")
    assert out_of_memory(error)
    assert not out_of_memory(RuntimeError("capture was invalidated"))


@pytest.mark.parametrize("shape", [(3, 5, 97, 7), (1, 97, 96, 16), (2, 128, 64, 32), (2, 9, 10, 11)], ids=str)
@pytest.mark.parametrize(("first", "second"), list(product_of((False, True), repeat=2)))
def test_aligned_products_are_the_same(shape: tuple[int, ...], first: bool, second: bool) -> None:
    replicas, rows, inner, columns = shape
    numbers = partial(torch.randn, dtype=torch.float64)  # two of them are 16 bytes
    a = numbers(replicas, inner, rows).mT if first else numbers(replicas, rows, inner)
    b = numbers(replicas, columns, inner).mT if second else numbers(replicas, inner, columns)

    def products(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        c = torch.bmm(a, b)
        return c, torch.bmm(c.mT, c), torch.bmm(torch.bmm(c, c.mT), c)

    plain = trace(products, "products", a, b)
    made = aligned(plain)
    for one, other in zip(made(a, b), plain(a, b), strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))
    padded = any("constant_pad_nd" in str(node.target) for node in made.graph.nodes)
    assert padded == any(size % 2 for size in shape[1:])


def test_onehot_codes_are_looked_up_to_the_same_end(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for looks_up in (True, False):
        monkeypatch.setattr("learners._nets.decoder.Decoder.looks_up", looks_up)
        monkeypatch.setattr(tracing, "_traces", {})
        training = begin("transformer", range(3))
        training.advance(12, range(3))
        found.append((weights(training, 1), training.flops(1, 1)))
    (looked_up, count), (multiplied, other) = found
    assert close(looked_up, multiplied)
    assert count is not None
    assert count == other > 0


def test_numbers_that_are_settled_are_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = begin("transformer", range(3))
    plain.advance(9, range(3))
    monkeypatch.setitem(kernels.MANY, "cpu", 2)
    monkeypatch.setattr(tracing, "_traces", {})
    settled = begin("transformer", range(3))
    settled.advance(9, range(3))
    [group] = settled.groups
    assert str(group.program.traced.graph).count("mod97.settled") == 2  # the step size, and Adam's two
    assert close(weights(plain, 2), weights(settled, 2))


def test_work_is_counted_from_shapes() -> None:
    a, b = torch.randn(3, 4, 5), torch.randn(3, 5, 6)
    work = Work.of(trace(lambda x, y: torch.relu(torch.bmm(x, y)).mT, "work", a, b))
    assert work == Work(operators=2, bytes=2 * 4 * 3 * 4 * 6, flops=2 * 3 * 4 * 5 * 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_beside_plain_ones(dtype: torch.dtype) -> None:
    x, w = torch.randn(4, 9, 5, dtype=dtype, requires_grad=True), torch.randn(4, 7, 5, dtype=dtype, requires_grad=True)
    weight = torch.randn(4, 9, 7, dtype=dtype)
    found = []
    for stacked in (torch.vmap(product), lambda x, w: x @ w.mT):
        y = stacked(x, w)
        found.append([y, *torch.autograd.grad((y * weight).sum(), [x, w])])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*found, strict=True))
    shared = torch.vmap(product, in_dims=(None, 0))(x[0], w)
    assert torch.allclose(shared, x[0] @ w.mT, atol=1e-5)
    assert torch.allclose(matmul(x, w.mT), x @ w.mT, atol=1e-5)
    assert torch.allclose(product(x[:, :3], w[0]), x[:, :3] @ w[0].T, atol=1e-5)


@pytest.mark.parametrize("name", ["transformer", "mlp", "quadratic"])
def test_bfloat16_follows_float32_at_a_distance(name: str) -> None:
    """The same start, products that differ by about 2⁻⁸, and weights that stay in float32."""
    learners, problems = [configured(name, s) for s in range(2)], [problem(s) for s in range(2)]
    trainings = [FleetTraining(learners, problems, Setting(precision=p)) for p in ("float32", "bfloat16")]
    rows = [np.arange(30)] * 2
    before = [training.look(range(2), rows).scores for training in trainings]
    assert not torch.equal(*before)
    assert torch.allclose(*before, rtol=0.05, atol=0.05)
    start = weights(trainings[0], 0)
    for training in trainings:
        training.advance(5, range(2))
    exact, rounded = (weights(training, 0) for training in trainings)
    assert all(x.dtype == np.float32 for x in rounded.values())
    for key in exact:
        moved, apart = np.abs(exact[key] - start[key]).mean(), np.abs(exact[key] - rounded[key]).mean()
        assert apart < 0.3 * moved + 1e-7


def test_precision_is_part_of_what_a_cell_is() -> None:
    request: dict[str, Any] = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "steps": 30, "device": "cpu"}
    [exact] = bench.run(**request, results=None)
    [rounded] = bench.run(**request, precision="bfloat16", results=None)
    assert exact["id"] != rounded["id"]
    assert exact["curve"]["train_loss"] != rounded["curve"]["train_loss"]


def test_batches_go_on_across_blocks_and_advances() -> None:
    """However the steps are cut, each has the batch that its number says."""
    whole, cut = begin("mlp", range(2)), begin("mlp", range(2))
    whole.advance(2 * BLOCK + 5, range(2))
    for step in (1, 2, BLOCK - 1, BLOCK, BLOCK + 7, 2 * BLOCK + 5):
        cut.advance(step, range(2))
    assert all(np.array_equal(weights(whole, r)[k], weights(cut, r)[k]) for r in range(2) for k in weights(whole, r))


def test_writing_back_is_the_same_update() -> None:
    training = begin("mlp", range(2))
    training.advance(1, range(2))
    [group] = training.groups
    tensors = group.tensors | {"feed": group.program.feed.tensors}
    new = group.program.traced(tensors)
    group.program.writing(tensors)
    assert all(torch.equal(tensors[kind][k], x) for kind, own in new.items() for k, x in own.items())
    assert {kind: len(own) for kind, own in new.items()} == {
        "params": len(group.params),
        "state": len(group.state),
        "clock": 1,
        "feed": 1,
    }


@pytest.mark.usefixtures("eager")
def test_many_compiled_fleets_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch gives up on a function that is compiled again and again: every fleet's is one of its own."""
    monkeypatch.setattr(torch._inductor, "standalone_compile", unknown)  # which knows no such limit
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 2)
    for replicas in range(1, 4):
        learners, problems = (
            [configured("quadratic", s) for s in range(replicas)],
            [problem(s) for s in range(replicas)],
        )
        training = FleetTraining(learners, problems, Setting(steps=MANY))
        training.advance(2, range(replicas))
        assert training.compiled, training.notices


@pytest.mark.parametrize(
    "error",
    [MemoryError("none left"), RuntimeError("CUDA error: out of memory"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")],
)
def test_running_out_of_memory_has_many_forms(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    original, alive = StepProgram._step, []

    class Scratch:
        """What an attempt holds on to while it lasts."""

    def small(self: StepProgram) -> None:
        if len(self.group.ids) > 2:
            scratch = Scratch()
            assert not any(ref() for ref in alive), "an attempt that failed still holds memory"
            alive.append(weakref.ref(scratch))
            raise type(error)(str(error))
        original(self)

    whole = begin("mlp", range(8))
    whole.advance(5, range(8))
    monkeypatch.setattr(StepProgram, "_step", small)
    halved = begin("mlp", range(8))
    halved.advance(5, range(8))
    assert len(alive) == 3
    assert all(close(weights(whole, r), weights(halved, r)) for r in range(8))


@pytest.mark.usefixtures("fresh")
def test_a_missing_compiler_is_one_thing_and_no_memory_another(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler("cpu", lambda words: None)

    def failing(error: Exception, function: Any = torch.relu) -> Any:
        def compile(*arguments: Any, **options: Any) -> Any:
            raise error

        monkeypatch.setattr(torch, "compile", compile)
        return compiler(function, torch.ones(2))

    with pytest.raises(RuntimeError, match="not enough memory"):
        failing(RuntimeError("DefaultCPUAllocator: not enough memory"))
    assert failing(RuntimeError("too much for a program")) is None
    assert Compiler.broken is None
    assert failing(RuntimeError("Cannot find a working triton installation"), torch.exp) is None
    assert Compiler.broken == compiler.notice


def test_sinusoids_do_not_round_their_own_arguments() -> None:
    exact, rounded = (_sinusoids(5, torch.empty(512, dtype=dtype)) for dtype in (torch.float64, torch.bfloat16))
    assert torch.allclose(rounded.double(), exact, atol=0.005)
