"""Runs as event files of TensorBoard: a folder for each."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.results.columns import as_text
from bench.results.curves import PARTS
from bench.results.exports.runs import evaluations_of, name_of, parameters_of
from bench.results.record import Record
from bench.results.source import RecordSource

FILE = "events.out.tfevents.0.mod97"
"""By "tfevents" TensorBoard knows its files. A record has no time of day, which stands where there is a 0."""
VERSION = "brain.Event:2"
"""Of the format, in the first event of a file."""


def write(folder: Path, place: Path, records: Iterable[tuple[RecordSource, Record]]) -> None:
    """Write a folder with an event file for each record.

    :param folder: where all are written.
    :param place: where they will be.
    """
    from tensorboard.summary.writer.record_writer import RecordWriter

    for _, record in records:
        run = folder / name_of(record)
        run.mkdir()
        with (run / FILE).open("wb") as file:
            writer = RecordWriter(file)
            for event in _events(record):
                writer.write(event.SerializeToString())


def tag_of(name: str) -> str:
    """The tag of a series: TensorBoard groups charts by what stands before the slash.

    >>> [tag_of(name) for name in ("train_accuracy", "test_loss", "weight_norm")]
    ['accuracy/train', 'loss/test', 'weight_norm']
    """
    return re.sub(rf"^({'|'.join(PARTS)})_(.+)$", r"\2/\1", name)


def _events(record: Record) -> Iterator[Any]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

    def about(tag: str, **info: Any) -> Any:
        """What the page of hyperparameters shows."""
        data = metadata.create_summary_metadata(HParamsPluginData(**info))
        return Event(summary=Summary(value=[Summary.Value(tag=tag, metadata=data)]))

    yield Event(file_version=VERSION)
    start = SessionStartInfo()
    for name, value in parameters_of(record).items():
        if isinstance(value, bool):
            start.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            start.hparams[name].number_value = value
        else:
            start.hparams[name].string_value = as_text(value)
    yield about(metadata.SESSION_START_INFO_TAG, session_start_info=start)
    for step, values in evaluations_of(record):
        numbers = [Summary.Value(tag=tag_of(name), simple_value=value) for name, value in values.items()]
        yield Event(step=step, summary=Summary(value=numbers))
    end = SessionEndInfo(status=STATUS_SUCCESS if record["status"] == "done" else STATUS_FAILURE)
    yield about(metadata.SESSION_END_INFO_TAG, session_end_info=end)
