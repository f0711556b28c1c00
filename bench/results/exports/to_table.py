"""Rows as a file of Parquet or CSV."""

from collections.abc import Callable
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from bench.results.exports.spool import Spool

FORMULA = r"^([=+\-@\t\r])"
"""How a text begins that a spreadsheet would take for a formula."""


def write_parquet(file: BinaryIO, spool: Spool) -> None:
    """Write all rows of a spool, a row group at a time."""
    # What Arrow notes of its own types would make categories of ids in pandas and polars.
    with pq.ParquetWriter(file, spool.schema(), compression="zstd", store_schema=False) as writer:
        for table in spool.tables():
            writer.write_table(table, row_group_size=len(table))


def write_csv(file: BinaryIO, spool: Spool) -> None:
    """Write a line for each row: texts in quotation marks, what is missing empty, formulas behind an apostrophe."""
    texts = pa.schema([(field.name, _plain(field.type)) for field in spool.schema()])
    with pyarrow.csv.CSVWriter(file, texts) as writer:
        for table in spool.tables():
            plain = table.cast(texts)
            for number, field in enumerate(texts):
                if pa.types.is_string(field.type):
                    plain = plain.set_column(number, field, _without_formulas(plain.column(number)))
            writer.write_table(plain)


WRITERS: dict[str, Callable[[BinaryIO, Spool], None]] = {"parquet": write_parquet, "csv": write_csv}
"""By the ending of a file's name."""


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _without_formulas(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(texts, FORMULA, r"'\1")
