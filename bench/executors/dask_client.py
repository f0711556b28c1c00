"""The client of a Dask cluster: its connection, and which workers there are."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from bench.errors import BenchError, RequestError

CONNECT = 5.0
"""Seconds after which a scheduler that does not answer is not there."""


def workers_of(client: Any, address: str) -> Mapping[str, Any]:
    """The workers that there are, by address."""
    try:
        found: Mapping[str, Any] = client.sync(client.scheduler.identity, n_workers=-1)
    except OSError as error:
        raise gone(address) from error
    return found["workers"]


def gone(address: str) -> BenchError:
    """What is said of a scheduler that was there before."""
    return BenchError(f"The scheduler {address} is gone. What came back is kept; the same command goes on with it.")


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of a scheduler.

    :raises RequestError: where there is none.
    """
    import dask
    import distributed

    class Client(distributed.Client):
        def __del__(self) -> None:
            """Do nothing, where one that never was connected would wait for ten seconds: others are closed below."""

    with _silent(), dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
        try:
            with warnings.catch_warnings():  # of versions, which are compared here
                warnings.simplefilter("ignore")
                client = Client(address, timeout=CONNECT, set_as_default=False, name="mod97")
        except (OSError, ValueError, TypeError) as error:
            raise RequestError(f"`scheduler` {address}: there is no scheduler of Dask.") from error
        try:
            yield client
        finally:
            with suppress(Exception):
                client.close(timeout=CONNECT)


@contextmanager
def _silent() -> Iterator[None]:
    """A block in which Dask logs nothing: what a user should know is said here, in one line."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "distributed"]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
