"""The shard format. This docstring is its specification, version 1.

A shard is an ordinary Parquet file that any Parquet tool reads, written so that its pixels can also be
read straight from known offsets:

- `frames-NNNNN.parquet`: one row a frame; `pixels` FixedSizeBinary(H*W*3) not null, RGB, row-major.
- `labels-NNNNN.parquet`: one row a labelled frame; `pixels` FixedSizeBinary(H*W) not null, trainIds
  (255 = ignored), and `original_png` Binary not null, the untouched labelIds PNG.
- Rows in the order of (split, city, sequence, frame); each frame once, however many clips show it.
- Uncompressed, PLAIN, no dictionary, no statistics, no ARROW:schema, data page version 1.0, page CRC
  on, and one page a row group (32 rows, fewer where those pass 1 GiB). So the pixels of a group are one
  gapless array: row i of a group starts at `offset + i * row_bytes`. A value of `original_png` is four
  bytes of little-endian length, then the bytes.
- Key "segnets" of the file's metadata: the version.

`manifest.json` holds the offsets and CRCs of all groups; `read_layout` derives them again from the
file's own footer and page headers, and a difference is refused. The same rows give the same bytes, per
version of pyarrow (its name stands in the footer); `content` in the manifest is the same across
versions. A page's CRC guards against accident; the SHA-256 of the whole file stands in the store's entry.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnets.errors import Corrupt

VERSION = 1
GROUP_ROWS = 32
MAX_GROUP_BYTES = 2**30
"""A page is limited to 2 GiB by a 32-bit field."""
SHARD_BYTES = 64 * 2**20
"""Pixels in a shard, about: the unit of restart, held in memory while it is made."""

_MAGIC = b"PAR1"
_MAX_FOOTER = 16 * 2**20
_MAX_PAGE_HEADER = 128
_FIXED, _BINARY = 7, 6  # parquet's physical types FIXED_LEN_BYTE_ARRAY and BYTE_ARRAY

ReadRange = Callable[[int, int], bytes]
"""(offset, size) -> exactly these bytes of a file."""


@dataclass(frozen=True, slots=True)
class Page:
    """The payload of one page: `size` bytes at `offset`, with CRC-32 `crc`."""

    offset: int
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class Group:
    """A row group: its rows, the page of pixels, and of a labels shard the page of PNG files."""

    rows: int
    pixels: Page
    originals: Page | None


def rows_per_group(row_bytes: int) -> int:
    """32, or the largest power of two below it whose page stays under 1 GiB."""
    rows = GROUP_ROWS
    while rows > 1 and rows * row_bytes > MAX_GROUP_BYTES:
        rows //= 2
    return rows


def rows_per_shard(row_bytes: int) -> int:
    """Whole groups of about 64 MiB together, at least one."""
    rows = rows_per_group(row_bytes)
    return rows * max(1, SHARD_BYTES // (rows * row_bytes))


def write_shard(pixels: NDArray[np.uint8], originals: Sequence[bytes] | None = None) -> bytes:
    """The bytes of a shard from pixels (rows, row_bytes), and of a labels shard the PNG files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    num_rows, row_bytes = pixels.shape
    assert pixels.flags.c_contiguous
    assert num_rows > 0
    assert originals is None or len(originals) == num_rows
    fields = [pa.field("pixels", pa.binary(row_bytes), nullable=False)]
    if originals is not None:
        fields.append(pa.field("original_png", pa.binary(), nullable=False))
    schema = pa.schema(fields)
    group = rows_per_group(row_bytes)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        schema,
        version="2.6",
        compression="NONE",
        use_dictionary=False,
        write_statistics=False,
        store_schema=False,  # loses the schema's own metadata in silence: set below
        write_page_checksum=True,
        data_page_version="1.0",
        data_page_size=2**30,
        # the writer looks at its limits once a write batch: both must hold a whole group
        max_rows_per_page=max(group, 2),
        write_batch_size=max(group, 2),
    ) as writer:
        for first in range(0, num_rows, group):
            block = pixels[first : first + group]
            buffers = [None, pa.py_buffer(block.reshape(-1))]
            columns = [pa.FixedSizeBinaryArray.from_buffers(fields[0].type, len(block), buffers)]
            if originals is not None:
                columns.append(pa.array(originals[first : first + group], pa.binary()))
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=group)
        writer.add_key_value_metadata({"segnets": str(VERSION)})
    return bytes(sink.getvalue())


def content_digest(pixels: NDArray[np.uint8], originals: Sequence[bytes] | None = None) -> str:
    """SHA-256 over the SHA-256 of each row: what a shard holds, whatever wrote it."""
    whole = hashlib.sha256()
    for index, row in enumerate(pixels):
        whole.update(hashlib.sha256(row).digest())
        if originals is not None:
            whole.update(hashlib.sha256(originals[index]).digest())
    return whole.hexdigest()


def read_bytes(data: bytes) -> ReadRange:
    """The ReadRange of a file in memory."""

    def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    return read


def read_layout(read: ReadRange, size: int, row_bytes: int, where: object) -> list[Group]:
    """The groups of a shard, from its footer and page headers alone (pixels are not read).

    Anything that is not exactly this format is Corrupt: a codec, an encoding, a size, an offset
    outside the file. Nothing is handed to a Parquet library before that (a file of 70 kB declared
    1.9 GB; pyarrow parsed 389 of 1,500 damaged footers).
    """
    try:
        return _read_layout(read, size, row_bytes)
    except (ValueError, IndexError, KeyError, TypeError, struct.error, RecursionError) as error:
        raise Corrupt(
            f"a shard is not what was written ({error or type(error).__name__})",
            where,
            "Make the dataset again with flows/preprocess.py.",
        ) from None


def check_page(data: bytes | memoryview, page: Page, where: object) -> None:
    """Raise Corrupt unless the payload fits its CRC."""
    if len(data) != page.size or zlib.crc32(data) != page.crc:
        raise Corrupt(
            f"a page of a shard is damaged (at byte {page.offset})",
            where,
            "Delete the dataset from the cache or the store and run flows/preprocess.py again.",
        )


def original_spans(payload: bytes, page: Page) -> list[tuple[int, int]]:
    """(offset in the file, size) of each PNG in a page of `original_png`."""
    spans: list[tuple[int, int]] = []
    position = 0
    while position < len(payload):
        (length,) = struct.unpack_from("<I", payload, position)
        spans.append((page.offset + position + 4, length))
        position += 4 + length
    if position != len(payload):
        raise ValueError("the PNG column does not end where its page ends")
    return spans


def _read_layout(read: ReadRange, size: int, row_bytes: int) -> list[Group]:
    footer_size, magic = struct.unpack("<I4s", read(size - 8, 8))
    if magic != _MAGIC or read(0, 4) != _MAGIC:
        raise ValueError("it is no Parquet file")
    if not 0 < footer_size <= min(_MAX_FOOTER, size - 12):
        raise ValueError("its footer cannot be")
    footer = _Thrift(read(size - 8 - footer_size, footer_size)).struct()
    metadata = {pair[1]: pair.get(2, b"") for pair in footer.get(5, [])}
    if metadata.get(b"segnets") != str(VERSION).encode():
        raise ValueError("it is no shard of this version")
    fixed = [element for element in footer[2] if element.get(1) == _FIXED]
    if [element.get(2) for element in fixed] != [row_bytes]:
        raise ValueError("its rows have another size")
    groups = [_read_group(read, size, row_bytes, row_group) for row_group in footer[4]]
    if footer[3] != sum(group.rows for group in groups):
        raise ValueError("its row groups do not make up its rows")
    return groups


def _read_group(read: ReadRange, size: int, row_bytes: int, row_group: dict[int, Any]) -> Group:
    columns = [column[3] for column in row_group[1]]
    names = [b".".join(column[3]) for column in columns]
    if names not in ([b"pixels"], [b"pixels", b"original_png"]):
        raise ValueError("its columns are others")
    rows = row_group[3]
    if not 0 < rows <= GROUP_ROWS:
        raise ValueError("a row group cannot be that long")
    pages = [_read_page(read, size, column, rows) for column in columns]
    if columns[0][1] != _FIXED or pages[0].size != rows * row_bytes:
        raise ValueError("a page of pixels has another size than its rows")
    if len(columns) == 2 and columns[1][1] != _BINARY:
        raise ValueError("its PNG column has another type")
    return Group(rows, pages[0], pages[1] if len(pages) == 2 else None)


def _read_page(read: ReadRange, size: int, column: dict[int, Any], rows: int) -> Page:
    """The one page of a column chunk: no codec, PLAIN, all rows in it."""
    if column.get(4, 0) != 0 or 11 in column or column[5] != rows or column[6] != column[7]:
        raise ValueError("a column is compressed, or has a dictionary")
    start, length = column[9], column[7]
    if not 4 <= start < start + length <= size:
        raise ValueError("a column lies outside the file")
    thrift = _Thrift(read(start, min(_MAX_PAGE_HEADER, length)))
    header = thrift.struct()
    body = header[5]
    if header[1] != 0 or header[2] != header[3] or body[1] != rows or body[2] != 0:
        raise ValueError("a page is not plain")
    if thrift.position + header[3] != length:
        raise ValueError("a column has more than one page")
    return Page(start + thrift.position, header[3], header[4] & 0xFFFFFFFF)


class _Thrift:
    """Thrift's compact protocol, as far as Parquet's footers and page headers go.

    Sources: the thrift compact protocol specification; parquet.thrift of parquet-format.
    A struct is a dict by field id, a list a list, a binary bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._data.tell()

    def struct(self) -> dict[int, Any]:
        """The struct that begins here."""
        fields: dict[int, Any] = {}
        field_id = 0
        while kind := self._byte():
            delta = kind >> 4
            field_id = field_id + delta if delta else self._zigzag()
            fields[field_id] = self._value(kind & 15, in_list=False)
        return fields

    def _value(self, kind: int, *, in_list: bool) -> Any:
        if kind in (1, 2):  # a boolean: its type is its value, but inside a list it has a byte
            return self._byte() == 1 if in_list else kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 8:
            return self._exactly(self._varint())
        if kind == 9:
            head = self._byte()
            count = self._varint() if head >> 4 == 15 else head >> 4
            if count > _MAX_FOOTER:
                raise ValueError("a list in its footer cannot be that long")
            return [self._value(head & 15, in_list=True) for _ in range(count)]
        if kind == 12:
            return self.struct()
        raise ValueError(f"its footer has a field of type {kind}")

    def _exactly(self, size: int) -> bytes:
        data = self._data.read(size) if size <= _MAX_FOOTER else b""
        if len(data) != size:
            raise ValueError("its footer ends mid-way")
        return data

    def _byte(self) -> int:
        return self._exactly(1)[0]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number in its footer has too many digits")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
