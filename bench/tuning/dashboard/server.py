"""The server of optuna-dashboard: it also keeps the figures of studies up to date."""

import errno
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import optuna

from bench.errors import RequestError, one_of, optional_package
from bench.tuning.dashboard.same_origin import guarded
from bench.tuning.dashboard.study_page import draw_figures
from bench.tuning.optuna_internals import study_id_of
from bench.tuning.storage.open import open_existing

REDRAW = 20.0
"""Seconds between two times that a server looks for finished trials."""


GROWTH = 20
"""Figures are drawn again once a twentieth more trials are finished: a journal keeps every drawing."""


LAST_DRAWING = 2.0
"""Seconds to wait, once the server has ended, for figures that are being drawn."""


NEAR_PORTS = 10


LARGEST_PORT = 65535


def serve(
    url: str,
    host: str = "127.0.0.1",
    port: int = 8080,
    artifacts: Path | None = None,
    study: str | None = None,
    quiet: bool = False,
) -> None:
    """Serve the studies of a storage to browsers until Ctrl-C; print the address as the first line on stdout.

    Meanwhile the figures of studies that tune made are kept up to date.

    :param host: the address to listen at; anyone who reaches this machine can use any other than the loopback one.
    :param port: the port to listen at, or another one if it is taken; 0 takes any free one.
    :param artifacts: the folder of artifacts, made if its parent exists.
    :param study: the study whose page to print the address of.
    :param quiet: print the bare address, and nothing else.
    :raises RequestError: if the storage cannot be opened, has no such study, or the address cannot be used.
    """
    dashboard = optional_package("optuna_dashboard", "dashboard", "The dashboard")
    if not 0 <= port <= LARGEST_PORT:
        raise RequestError(f"`port` must be an integer in [0, {LARGEST_PORT}], got {port}.")
    storage = open_existing(url)
    page = _page(storage, study)
    with _listen(host, port) as server, keep_figures_drawn(storage):
        server.set_app(guarded(dashboard.wsgi(storage, artifact_store=_artifact_store(artifacts)), host))
        _print_address(server, page, port, quiet)
        try:
            server.serve_forever()
        except KeyboardInterrupt:  # the usual way to end it
            return


def _page(storage: optuna.storages.BaseStorage, study: str | None) -> str:
    if study is None:
        return "/dashboard"
    ids = {found.study_name: study_id_of(found) for found in storage.get_all_studies()}
    if study not in ids:
        raise RequestError(one_of("study", study, ids))
    return f"/dashboard/studies/{ids[study]}"


def _artifact_store(artifacts: Path | None) -> optuna.artifacts.FileSystemArtifactStore | None:
    if artifacts is None or not artifacts.parent.is_dir():
        return None
    with suppress(OSError):  # the results folder may be read-only: artifacts can still be shown
        artifacts.mkdir(exist_ok=True)
    return optuna.artifacts.FileSystemArtifactStore(artifacts)


@contextmanager
def keep_figures_drawn(storage: optuna.storages.BaseStorage) -> Iterator[None]:
    """A block during which a thread keeps figures up to date."""
    over = threading.Event()
    thread = threading.Thread(target=_draw_until, args=(optuna.storages.get_storage(storage), over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(LAST_DRAWING)


def _draw_until(storage: optuna.storages.BaseStorage, over: threading.Event) -> None:
    drawn: dict[int, int] = {}
    while not over.is_set():
        with suppress(Exception):  # the database may be away for a moment
            for study in storage.get_all_studies():
                if "what" in study.user_attrs and not over.is_set():
                    with suppress(Exception):  # the study may be deleted meanwhile
                        redraw(optuna.load_study(study_name=study.study_name, storage=storage), drawn)
        over.wait(REDRAW)
    storage.remove_session()  # each thread has its own


def redraw(study: optuna.Study, drawn: dict[int, int]) -> None:
    """Draw a study's figures, if enough trials have finished since they were last drawn.

    :param drawn: how many trials were finished then, by the study's id.
    """
    finished = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
    id = study_id_of(study)
    before = drawn.get(id)
    if before is None or finished - before >= max(1, before / GROWTH):
        draw_figures(study, import_module("plotly.graph_objects"))
        drawn[id] = finished


class _Server(ThreadingMixIn, WSGIServer):
    """A WSGI server whose threads end with it."""

    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int]) -> None:
        self.address_family = family
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind, without the query for the name of this machine that HTTPServer makes."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore that a browser closed its connection before it had the whole answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(WSGIRequestHandler):
    """A handler that does not log requests."""

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def _listen(host: str, port: int) -> _Server:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise RequestError(f"`host` must be an address of this machine, got {host!r}: {_reason(error)}.") from error
    near = range(port, min(port + NEAR_PORTS, LARGEST_PORT) + 1) if port else ()
    for candidate in (*near, 0):  # 0 is any free port
        try:
            return _Server(family, (str(address[0]), candidate))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                message = f"`host` must be an address of this machine, got {host!r}: {_reason(error)}."
                raise RequestError(message) from error
            if error.errno != errno.EADDRINUSE:
                raise RequestError(f"`port` {port} cannot be used: {_reason(error)}.") from error
    raise RequestError(f"`host` {host} has no free port.")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _print_address(server: _Server, page: str, wanted: int, quiet: bool) -> None:
    host, port = server.server_name, server.server_port
    name = f"[{host}]" if server.address_family == socket.AF_INET6 else host
    address = f"http://{name}:{port}{page}"
    taken = f"; port {wanted} is taken" if wanted not in (0, port) else ""
    print(address if quiet else f"Dashboard: {address} (Ctrl-C ends it{taken})", flush=True)
