"""What comes from outside: words of errors on the screen, and requests of other sites' pages to the dashboard."""

import io
import sys
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

import bench
from bench.cli._print import print_table
from bench.cli._progress import run as progress_of_run
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
