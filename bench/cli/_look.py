"""``bench list`` and ``bench doctor``."""

import os
from dataclasses import asdict
from pathlib import Path

import click

from bench import executors, results, specs, tuning
from bench.cli._messages import with_options
from bench.cli._options import debug_option, json_option, results_option
from bench.cli._print import print_json, print_table
from bench.errors import RequestError, StoreError, doctor_command, os_errors_as

THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


@click.command("list")
@json_option
@debug_option
def list_names(as_json: bool) -> int:
    """All encoders, learners and tasks by name."""
    found = {f"{kind}s": specs.checked_listings(kind).values() for kind in specs.KINDS}
    if as_json:
        keys = ("name", "summary", "unavailable")
        print_json(**{kinds: [{key: getattr(item, key) for key in keys} for item in found[kinds]] for kinds in found})
        return 0
    for kinds, items in found.items():
        rows = [[i.name, f"unavailable: {i.unavailable}" if i.unavailable else i.summary] for i in items]
        print_table(kinds, ["", ""], rows, fold=True)
        click.echo()
    click.echo("More about one: python -m bench info NAME")
    return 0


@click.command()
@results_option
@click.option("--mend", is_flag=True, help="Put right what is wrong in the results folder.")
@json_option
@debug_option
def doctor(results: str, mend: bool, as_json: bool) -> int:
    """Check this installation and the results folder: versions, device, plugins, damaged files.

    --mend renames records, checkpoints and packs that are damaged, "NAME.aside-0", removes what dead processes have
    left, and writes a damaged journal without the lines that cannot be read, beside a copy. It touches no file that is
    not ours and none that a process works on. Exits with 1 where something is not as it should be.
    """
    contents = _contents(results, mend)
    checks = [*_installation(results), *contents]
    if as_json:
        keys = ("check", "found", "ok")
        files = [[asdict(file) for file in one.files] for one in checks]
        shown = [{key: getattr(one, key) for key in keys} for one in checks]
        print_json(checks=[{**one, "files": of_it} for one, of_it in zip(shown, files, strict=True)])
    else:
        rows = [["ok" if one.ok else "PROBLEM", one.check, one.found] for one in checks]
        print_table(None, ["", "check", "found"], rows, fold=True)
        if not mend and any(one.mendable for one in contents) and os.access(results, os.W_OK | os.X_OK):
            all_of_it = all(one.ok or one.mendable for one in contents)
            does = "puts this folder right" if all_of_it else "puts right what it can"
            click.echo(f"\n{doctor_command(results)} {does}, and deletes no result.")
    return 0 if all(one.ok for one in checks) else 1


def _contents(folder: str, mend: bool) -> "list[results.Finding]":
    """What lies in the results folder, if there is one."""
    if not os.path.isdir(folder):
        return []
    try:
        return [*results.check_contents(folder, mend), *tuning.check_storages(folder, mend)]
    except StoreError as error:
        return [results.Finding("files", with_options(str(error)), ok=False)]


def _installation(folder: str) -> "list[results.Finding]":
    return [results.Finding(*check) for check in _examine(folder)]


def _examine(folder: str) -> list[tuple[str, str, bool]]:
    """What is checked, what was found, and whether it is as it should be."""
    import joblib

    environment = results.environment
    commit, dirty = environment.source_state()
    limits = [f"{name}={os.environ[name]}" for name in THREAD_LIMITS if name in os.environ]
    items = [item for kind in specs.KINDS for item in specs.checked_listings(kind, every=True).values()]
    faults = [f"{item.kind} {item.name}: {item.unavailable}" for item in items if item.unavailable]
    return [
        *((package, found or "missing", bool(found)) for package, found in environment.versions().items()),
        ("processor", f"{environment.processor()}, {joblib.cpu_count()} cores", True),
        ("thread limits", ", ".join(limits) or "none set; one thread a cell, cells over the cores", True),
        *_variables(),
        (
            "source",
            "not in a repository" if commit is None else f"{commit[:12]}{', with changes' if dirty else ''}",
            True,
        ),
        ("plugins", "; ".join(faults) or "all available", not faults),
        ("worker processes", *_worker_processes()),
        *_folder(folder),
    ]


def _variables() -> list[tuple[str, str, bool]]:
    """Variables that libraries read; what PyTorch would do with wrong ones is not tried."""
    try:
        executors.check_variables()
    except RequestError as error:
        return [("environment variables", str(error), False)]
    told = ", ".join(executors.told_variables()) or "none set that matter"
    return [("environment variables", told, True), ("accelerator", *_accelerator()), *_cache()]


def _worker_processes() -> tuple[str, bool]:
    why = executors.why_none()
    return ("can be started", True) if why is None else (f"cannot be started, for want of shared memory: {why}", False)


def _cache() -> list[tuple[str, str, bool]]:
    """Where compiled programs are kept."""
    try:
        from learners.fleet import keep_programs
    except ImportError:  # without torch, which has a row of its own
        return []
    keep_programs()
    return [("compiled programs", f"kept in {os.environ['TORCHINDUCTOR_CACHE_DIR']!r}", True)]


def _folder(folder: str) -> list[tuple[str, str, bool]]:
    """Whether the results folder can be used, and how it is locked."""
    existed = os.path.isdir(folder)
    try:
        with os_errors_as(StoreError, f"The results folder {folder!r} cannot be used"):
            results.Store(folder, create=True)
            locks = results.kind_of_locks(Path(folder))
    except StoreError as error:
        return [("results folder", with_options(str(error)), False)]
    if not existed:
        os.rmdir(folder)
    return [("results folder", f"{folder!r} can be written to", True), ("locks", locks, True)]


def _accelerator() -> tuple[str, bool]:
    try:
        import torch
    except ImportError as error:
        return f"torch cannot be imported: {error}", False
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join(names) or "none: everything trains on the CPU", True
