"""Studies in optuna-dashboard: what a study shows there, and the server."""

import errno
import hashlib
import json
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from types import SimpleNamespace
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, get_storage
from optuna.study import Study, load_study
from optuna.trial import FrozenTrial, TrialState, create_trial

from bench.errors import RequestError, StoreError, one_of
from bench.reports.figures.trial_curve import curve_picture
from bench.tuning.storage.open import together

__all__ = ["artifacts_folder", "decorate", "keep_picture", "serve"]

NOTE_SHOWN = "mod97:note"
CURVE = "validation accuracy"
"""What intermediate values are, where tune reports them."""
CRAMPED = ("mysql", "mariadb")
"""Databases of which a value holds 64 kB."""
PIECE = 2045
"""Characters of a figure that a value of theirs surely holds."""
REDRAW = 20.0
"""Seconds between two looks of a server for finished trials."""
GROWN = 20
"""A figure is drawn again once a twentieth more trials are finished: a journal keeps every drawing."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
LEAVE = 2.0
"""Seconds in which a drawing may still end once the server has."""
NEAR_PORTS = 10
LARGEST_PORT = 65535


def artifacts_folder(results: str | Path) -> Path:
    """Where artifacts of the studies of a results folder lie."""
    return Path(results) / "artifacts"


# What a study shows


def decorate(
    study: Study,
    *,
    note: str,
    winner: Path | None = None,
    artifacts: Path | None = None,
    metrics: Sequence[str] = (),
    curve: str = CURVE,
    figures: bool = False,
    of_trial: Callable[[FrozenTrial], str] | None = None,
) -> None:
    """Give a study names, a note, its winner's record and figures, as optuna-dashboard shows them.

    It may be called as often as wished: what is there already is replaced or left alone. Figures come from the values
    of the trials alone, so that nothing of a vault is shown before the winner's record is. Does nothing where
    optuna-dashboard or plotly is not installed (``mod97[dashboard]``).

    :param note: Markdown: what is tuned under which rules, and the command. One that was edited in the dashboard stays.
    :param winner: the record of the winner; an artifact of the study from then on.
    :param artifacts: the folder of artifacts; by default that of the winner's results folder.
    :param metrics: names of the study's values, where it has none yet.
    :param curve: what the trials' intermediate values are.
    :param of_trial: makes the note of a trial that is over, which gets it once.
    :param figures: whether they are drawn, which is worth its while at the end; a server draws them while it runs.
    :raises StoreError: where the winner's record cannot be copied to the artifacts.
    """
    try:
        dashboard, plotly = import_module("optuna_dashboard"), import_module("plotly.graph_objects")
    except ImportError:
        return
    _name(study, metrics)
    _note(study, note, dashboard)
    if of_trial is not None:
        _tell_of_trials(study, of_trial, dashboard)
    if figures:
        _draw(study, curve, plotly)
    if winner is not None:
        _keep(study, winner, artifacts or artifacts_folder(winner.parent))


def _attributes(study: Study) -> dict[str, Any]:
    return study._storage.get_study_system_attrs(study._study_id)


def _name(study: Study, metrics: Sequence[str]) -> None:
    if metrics and not study.metric_names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(metrics))


def _note(study: Study, note: str, dashboard: Any) -> None:
    """Write it, unless what is there is not what was written last: then somebody has edited it."""
    there, shown = dashboard.get_note(study), _attributes(study).get(NOTE_SHOWN)
    if there not in ("", note) and _digest(there) != shown:
        return
    if there != note:
        dashboard.save_note(study, note)
    if shown != _digest(note):
        study._storage.set_study_system_attr(study._study_id, NOTE_SHOWN, _digest(note))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def keep_picture(study: Study, trial_id: int, number: int, curve: Mapping[int, float], artifacts: Path) -> None:
    """Make a picture of a learning curve an artifact of a trial, which must not be over yet.

    Does nothing where optuna-dashboard is not installed, or nothing can be written: a trial is as good without.
    """
    if find_spec("optuna_dashboard") is None or not curve:
        return
    with suppress(OSError), tempfile.TemporaryDirectory() as folder:
        artifacts.mkdir(exist_ok=True)
        path = Path(folder) / f"trial-{number}.svg"
        path.write_text(curve_picture(curve, f"trial {number}: {CURVE}, the mean over its seeds"))
        store = FileSystemArtifactStore(artifacts)
        trial = create_trial(state=TrialState.RUNNING)
        trial._trial_id = trial_id
        upload_artifact(artifact_store=store, file_path=str(path), study_or_trial=trial, storage=study._storage)


def _tell_of_trials(study: Study, of_trial: Callable[[FrozenTrial], str], dashboard: Any) -> None:
    """Give trials that are over a note, where they have none."""
    known = _attributes(study)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if f"dashboard:{trial._trial_id}:note_ver" not in known:
            # A Trial of Optuna's would begin it once more.
            asked = SimpleNamespace(storage=study._storage, study=study, _trial_id=trial._trial_id)
            with together(study._storage):
                dashboard.save_note(asked, of_trial(trial))


def _draw(study: Study, curve: str, plotly: Any) -> None:
    from bench.reports.figures.study import figures

    names = study.metric_names or [f"value {i}" if i else "value" for i in range(len(study.directions))]
    for id, figure in figures(study, names, curve).items():
        layout = {"template": "none", **figure["layout"]}
        _save(study, id, plotly.Figure({**figure, "layout": layout}).to_json())


def _save(study: Study, id: str, drawn: str) -> None:
    """Store a figure, where optuna-dashboard joins numbered pieces of it, as one piece.

    A piece is written at once, so that nobody meets half of a figure. What is there already is not written again, since
    a journal only grows.
    """
    prefix, size = f"dashboard:plot_data:{id}:", PIECE if _dialect(study) in CRAMPED else len(drawn)
    there = {key: piece for key, piece in _attributes(study).items() if key.startswith(prefix)}
    pieces = [drawn[first : first + size] for first in range(0, len(drawn), size)]
    pieces += [""] * (len(there) - len(pieces))
    for key, piece in {f"{prefix}{i}": piece for i, piece in enumerate(pieces)}.items():
        if there.get(key) != piece:
            study._storage.set_study_system_attr(study._study_id, key, piece)


def _dialect(study: Study) -> str:
    """Of the database; empty for what is none."""
    engine = getattr(getattr(study._storage, "_backend", None), "engine", None)  # Optuna caches a database
    return "" if engine is None else str(engine.dialect.name)


def _keep(study: Study, winner: Path, artifacts: Path) -> None:
    """Make a file an artifact, or bring the artifact of its name up to date."""
    try:
        artifacts.mkdir(exist_ok=True)
        store, id = FileSystemArtifactStore(artifacts), _artifact(study, winner.name)
        if id is None:
            upload_artifact(artifact_store=store, file_path=str(winner), study_or_trial=study)
        elif not (artifacts / id).is_file() or (artifacts / id).read_bytes() != winner.read_bytes():
            with winner.open("rb") as file:
                store.write(id, file)
    except OSError as error:
        message = f"The winner's record {str(winner)!r} cannot be copied to {str(artifacts)!r}: {error.strerror}."
        raise StoreError(message) from error


def _artifact(study: Study, name: str) -> str | None:
    """The id of a study's artifact of that name. One that was deleted in the dashboard is null."""
    for key, text in _attributes(study).items():
        kept = json.loads(text) if key.startswith("artifacts:") else None
        if kept and kept["filename"] == name:
            return str(kept["artifact_id"])
    return None


# The server


def serve(
    url: str,
    host: str = "127.0.0.1",
    port: int = 8080,
    artifacts: Path | None = None,
    study: str | None = None,
    quiet: bool = False,
) -> None:
    """Serve the studies of a storage to browsers until Ctrl-C; the address is the first line on stdout.

    Meanwhile the figures of studies that tune made are kept up to date.

    :param host: the address to listen at; others than the loopback one are open to whoever reaches this machine.
    :param port: another free one takes its place where it is taken; 0 is any free one.
    :param artifacts: the folder of artifacts, made where the one above it exists.
    :param study: one whose page the address is of.
    :param quiet: print the bare address, and nothing else.
    :raises RequestError: where the storage cannot be opened, has no such study, or nobody can listen there.
    """
    library = _library()
    if not 0 <= port <= LARGEST_PORT:
        raise RequestError(f"--port must be an integer in [0, {LARGEST_PORT}], got {port}.")
    storage = _open(url)
    page = _page(storage, study)
    with _listen(host, port) as server, _drawing(storage):
        server.set_app(library.wsgi(storage, artifact_store=_artifact_store(artifacts)))
        _tell(server, page, port, quiet)
        try:
            server.serve_forever()
        except KeyboardInterrupt:  # the usual way to end it
            return


def _library() -> Any:
    try:
        return import_module("optuna_dashboard")
    except ImportError as error:
        raise RequestError(
            f"The dashboard needs optuna-dashboard: pip install 'mod97[dashboard]' ({error})."
        ) from error


def _open(url: str) -> BaseStorage:
    """A storage; a file that is not there is a wrong request rather than an empty storage."""
    from bench.tuning.storage.open import file_of, open_storage

    path = file_of(url)
    if path is not None and not path.exists():
        raise RequestError(f"--storage {url}: there is no file {str(path.absolute())!r}; bench tune makes one.")
    return open_storage(url)


def _page(storage: BaseStorage, study: str | None) -> str:
    if study is None:
        return "/dashboard"
    ids = {found.study_name: found._study_id for found in storage.get_all_studies()}
    if study not in ids:
        raise RequestError(one_of("study", study, ids))
    return f"/dashboard/studies/{ids[study]}"


def _artifact_store(artifacts: Path | None) -> FileSystemArtifactStore | None:
    if artifacts is None or not artifacts.parent.is_dir():
        return None
    with suppress(OSError):  # a results folder that others own: its artifacts can be read all the same
        artifacts.mkdir(exist_ok=True)
    return FileSystemArtifactStore(artifacts)


@contextmanager
def _drawing(storage: BaseStorage) -> Iterator[None]:
    """A block in which a thread keeps figures up to date."""
    over = threading.Event()
    thread = threading.Thread(target=_keep_drawn, args=(get_storage(storage), over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(LEAVE)


def _keep_drawn(storage: BaseStorage, over: threading.Event) -> None:
    drawn: dict[int, int] = {}
    while not over.is_set():
        with suppress(Exception):  # a server that is away for a moment
            for study in storage.get_all_studies():
                if "what" in study.user_attrs and not over.is_set():
                    with suppress(Exception):  # a study that was deleted meanwhile
                        _redraw(load_study(study_name=study.study_name, storage=storage), drawn)
        over.wait(REDRAW)
    storage.remove_session()  # each thread has its own


def _redraw(study: Study, drawn: dict[int, int]) -> None:
    """Draw a study's figures, unless hardly more trials are finished than when they were drawn last.

    :param drawn: how many those were, by the study's id.
    """
    finished = len(study.get_trials(deepcopy=False, states=FINISHED))
    before = drawn.get(study._study_id)
    if before is None or finished - before >= max(1, before / GROWN):
        _draw(study, CURVE, import_module("plotly.graph_objects"))
        drawn[study._study_id] = finished


class _Server(ThreadingMixIn, WSGIServer):
    """WSGI in threads that end with it."""

    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int]) -> None:
        self.address_family = family
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind, without asking a name server what this machine is called, as HTTPServer does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(WSGIRequestHandler):
    """Says nothing of each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def _listen(host: str, port: int) -> _Server:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise RequestError(f"--host must be an address of this machine, got {host!r}: {_reason(error)}.") from error
    for candidate in _candidates(port):
        try:
            return _Server(family, (str(address[0]), candidate))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                message = f"--host must be an address of this machine, got {host!r}: {_reason(error)}."
                raise RequestError(message) from error
            if error.errno != errno.EADDRINUSE:
                raise RequestError(f"--port {port} cannot be used: {_reason(error)}.") from error
    raise RequestError(f"--host {host} has no free port.")


def _candidates(port: int) -> Iterator[int]:
    """The port, those after it, then any free one."""
    yield from range(port, min(port + NEAR_PORTS, LARGEST_PORT) + 1) if port else ()
    yield 0


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _tell(server: _Server, page: str, wanted: int, quiet: bool) -> None:
    host, port = server.server_name, server.server_port
    name = f"[{host}]" if server.address_family == socket.AF_INET6 else host
    address = f"http://{name}:{port}{page}"
    taken = f"; port {wanted} is taken" if wanted not in (0, port) else ""
    print(address if quiet else f"Dashboard: {address} (Ctrl-C ends it{taken})", flush=True)
