"""Tables for the app as Parquet bytes, with the version of their schema inside."""

from typing import TYPE_CHECKING

from segnets.errors import Corrupt

if TYPE_CHECKING:
    import pyarrow as pa

VERSION_KEY = b"segnets"
"""The key of the schema's metadata that holds the version, as decimal digits."""


def to_parquet(table: "pa.Table", version: int) -> bytes:
    """A table as one Parquet file, zstd, with `version` in its schema's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = {**(table.schema.metadata or {}), VERSION_KEY: str(version).encode()}
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def from_parquet(data: bytes) -> "pa.Table":
    """The table of such bytes; Corrupt if they are none of ours.

    Read in this thread alone: with Arrow's pools, a process that ends right afterwards is now and then
    aborted by them (apache/arrow issue 34314), whatever its exit code was to be.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise Corrupt("a table cannot be read", str(error), "Make it again.") from error
    table_version(table)
    return table


def table_version(table: "pa.Table") -> int:
    """The version that `to_parquet` was given; Corrupt if the table has none."""
    try:
        return int((table.schema.metadata or {})[VERSION_KEY])
    except (KeyError, ValueError):
        raise Corrupt("a table has no version", "its schema", "Make it again.") from None
