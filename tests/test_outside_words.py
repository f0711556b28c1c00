"""What comes from outside: words of errors on the screen, and requests of other sites' pages to the dashboard."""

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from conftest import Finished

import bench
from bench.cli._print import print_table
from bench.cli._progress import run as progress_of_run
from bench.errors import RequestError, shell_words
from bench.executors import Channel
from bench.tuning.dashboard.same_origin import guarded

MARKUP = "[/nonsense] [bold red] \\[x] [link=http://a]b"


def test_markup_in_the_message_of_a_cell_is_shown_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "200")
    [step] = bench.plan(encoder="onehot", learner="ridge", results=None).steps
    error = {"type": "ValueError", "message": MARKUP, "traceback": ""}
    record: Any = {"id": step.id, "status": "failed", "error": error, "final": {"step": 0}, "spec": step.spec.to_dict()}
    with progress_of_run._bars([step], Channel(tmp_path)) as finished:
        finished(record)
    assert MARKUP in screen.getvalue()


def test_a_command_for_copying_names_any_folder() -> None:
    plain = ["plain", "two words", "it's", 'a "b" $HOME \\ `c`', "é → 🦊", ""]
    words = [*plain, "line\nbreak", "\x1b[31m\x07\t1", "tab\\\t'", "byte\udcff"]
    line = shell_words("printf", "%s\\n--", *words)
    assert all(letter.isprintable() for letter in line)
    shell = shutil.which("bash") or pytest.skip("there is no bash")
    done = subprocess.run([shell, "-c", line], capture_output=True, check=True)
    assert done.stdout.decode("utf-8", "surrogateescape") == "".join(f"{word}\n--" for word in words)


def test_names_with_letters_that_a_terminal_obeys_are_shown_as_escapes(
    command: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, pack = "a\x1b[31m b\n\x07", "two\twords.pack"
    cell = ("run", "--encoder", "phasor", "--learner", "ridge", "--modulus", "7", "--quiet", "--results")
    assert "Records: a\\x1b[31m b\\n\\x07/ID….json\n" in command(*cell, folder).out
    said = command("pack", folder, "-o", pack).out.splitlines()[-1]
    assert said == "Ranked like a folder: python -m bench rank --results $'two\\x09words.pack'"
    assert command("rank", "--results", pack).code == 0
    for wrong in ((*cell, pack), ("sweep", "--encoder", "\x07", "--learner", "ridge"), ("list", "\x1b[31m")):
        done = command(*wrong)
        assert done.code == 2
        assert all(letter.isprintable() for letter in done.error)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: bench.plot("curves", records=[], output="a\0.svg"), "`output` must be a path, got 'a\\x00.svg'."),
        (lambda: bench.report(output="a\0.html"), "`output` must be a path, got 'a\\x00.html'."),
        (lambda: bench.export(output="a\0.csv"), "`output` must be a path, got 'a\\x00.csv'."),
        (lambda: bench.pack(output="a\0.pack"), "`output` must be a path, got 'a\\x00.pack'."),
        (lambda: bench.export(tensorboard="a\0"), "`tensorboard` must be in a folder that exists, got 'a\\x00'."),
        (
            lambda: bench.run(encoder="onehot", learner="ridge", results=None, save_model="a\0"),
            "`save_model` must name a file in a folder that can be written to, got 'a\\x00'.",
        ),
    ],
)
def test_a_path_with_a_nul_is_a_wrong_request(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(RequestError) as refused:
        call()
    assert str(refused.value) == said


def test_markup_in_tables_is_shown_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    print_table(None, [MARKUP], [[MARKUP]])
    assert capsys.readouterr().out.count(MARKUP) == 2


def request(host: str, served: str = "127.0.0.1", method: str = "GET", origin: str | None = None) -> str:
    """The status of a request to a guarded application."""
    environ: dict[str, Any] = {"HTTP_HOST": host, "REQUEST_METHOD": method}
    environ |= {} if origin is None else {"HTTP_ORIGIN": origin}
    setup_testing_defaults(environ)
    found: list[str] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("204 No Content", [])
        return [b""]

    body = guarded(application, served)(environ, lambda status, headers: found.append(status))
    assert all(line.endswith(b"\n") or not line for line in body)
    return found[0][:3]


@pytest.mark.parametrize(
    ("host", "served", "status"),
    [
        ("127.0.0.1:8080", "127.0.0.1", "204"),
        ("localhost:8080", "127.0.0.1", "204"),
        ("[::1]:8080", "::1", "204"),
        ("LOCALHOST", "localhost", "204"),
        ("evil.example:8080", "127.0.0.1", "403"),
        ("127.0.0.1.evil.example", "127.0.0.1", "403"),
        ("localhost.evil.example", "localhost", "403"),
        ("192.168.0.7:8080", "127.0.0.1", "403"),
        ("192.168.0.7:8080", "0.0.0.0", "204"),
        ("evil.example:8080", "0.0.0.0", "403"),
        ("evil.example:8080", "::", "403"),
        ("192.168.0.7", "192.168.0.7", "204"),
        ("192.168.0.8", "192.168.0.7", "403"),
        ("lab.example:8080", "lab.example", "204"),
        ("", "127.0.0.1", "403"),
        ("[oops", "127.0.0.1", "403"),
    ],
)
def test_a_host_that_is_not_served_is_refused(host: str, served: str, status: str) -> None:
    """As with DNS rebinding: the browser asks the address of this machine, and names another site as the host."""
    assert request(host, served) == status
    assert request(host, served, "DELETE") == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_pages_of_other_sites_write_nothing(method: str) -> None:
    own = "127.0.0.1:8080"
    assert request(own, method=method, origin=f"http://{own}") == "204"
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8080"):
        assert request(own, method=method, origin=origin) == "403"
        assert request(own, method="GET", origin=origin) == "204"
