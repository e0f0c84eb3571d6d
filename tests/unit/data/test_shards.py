import io
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.data.shards import (
    check_page,
    content_digest,
    original_spans,
    read_bytes,
    read_layout,
    rows_per_group,
    rows_per_shard,
    write_shard,
)
from segnets.errors import Corrupt

ROW_BYTES = 96
PIXELS = np.random.default_rng(0).integers(0, 256, (70, ROW_BYTES), dtype=np.uint8)
ORIGINALS = [bytes([number]) * number for number in range(70)]
SHARD = write_shard(PIXELS, ORIGINALS)


def layout(data, row_bytes=ROW_BYTES):
    return read_layout(read_bytes(data), len(data), row_bytes, "shard x")


def test_rows_lie_gapless_where_the_layout_says():
    first = 0
    for group in layout(SHARD):
        page = group.pixels
        payload = SHARD[page.offset : page.offset + page.size]
        assert payload == PIXELS[first : first + group.rows].tobytes()
        assert zlib.crc32(payload) == page.crc
        first += group.rows
    assert first == 70


def test_original_files_lie_where_the_layout_says():
    found = []
    for group in layout(SHARD):
        page = group.originals
        spans = original_spans(SHARD[page.offset : page.offset + page.size], page)
        found += [SHARD[offset : offset + size] for offset, size in spans]
    assert found == ORIGINALS


def test_any_parquet_tool_reads_a_shard_and_verifies_it():
    table = pq.read_table(io.BytesIO(SHARD), page_checksum_verification=True)
    assert table["pixels"].to_pylist() == [row.tobytes() for row in PIXELS]
    assert table["original_png"].to_pylist() == ORIGINALS
    assert not any(field.nullable for field in table.schema)


@given(st.integers(1, 100), st.integers(1, 50))
def test_the_same_rows_give_the_same_bytes_and_a_layout(num, row_bytes):
    pixels = np.random.default_rng(num).integers(0, 256, (num, row_bytes), dtype=np.uint8)
    data = write_shard(pixels)
    assert write_shard(pixels.copy()) == data
    groups = layout(data, row_bytes)
    assert [group.rows for group in groups] == [32] * (num // 32) + [num % 32] * (num % 32 > 0)


FOOTER_SIZE = int.from_bytes(SHARD[-8:-4], "little")


def read_verified(data):
    """The pixels of a shard, every page checked; None where the shard is refused."""
    try:
        blocks = []
        for group in layout(data):
            payload = data[group.pixels.offset : group.pixels.offset + group.pixels.size]
            check_page(payload, group.pixels, "shard x")
            blocks.append(payload)
    except Corrupt:
        return None
    return b"".join(blocks)


@given(st.integers(0, (FOOTER_SIZE + 8) * 8 - 1))
def test_a_flipped_bit_in_the_footer_never_changes_the_pixels_that_are_read(bit):
    damaged = bytearray(SHARD)
    damaged[len(SHARD) - 1 - bit // 8] ^= 1 << bit % 8
    assert read_verified(bytes(damaged)) in (None, PIXELS.tobytes())


@given(st.integers(0, len(SHARD) - 1))
def test_a_cut_shard_is_refused(size):
    with pytest.raises(Corrupt):
        layout(SHARD[:size])


def test_a_damaged_page_is_refused_with_its_place():
    page = layout(SHARD)[1].pixels
    payload = bytearray(SHARD[page.offset : page.offset + page.size])
    check_page(payload, page, "shard x")
    payload[5] ^= 1
    with pytest.raises(Corrupt, match=f"at byte {page.offset}.*shard x"):
        check_page(payload, page, "shard x")


@pytest.mark.parametrize(
    "options",
    [{"compression": "zstd"}, {"use_dictionary": True}, {"data_page_version": "2.0"}],
)
def test_a_file_written_in_another_way_is_refused_not_misread(options):
    table = pa.table(
        {"pixels": pa.array([bytes(ROW_BYTES)] * 64, pa.binary(ROW_BYTES))},
        schema=pa.schema([pa.field("pixels", pa.binary(ROW_BYTES), nullable=False)]),
    )
    plain = {"compression": "NONE", "use_dictionary": False, "write_page_checksum": True}
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, **{**plain, **options}) as writer:
        writer.write_table(table, row_group_size=32)
        writer.add_key_value_metadata({"segnets": "1"})
    with pytest.raises(Corrupt):
        layout(sink.getvalue())


def test_rows_of_another_size_are_refused():
    with pytest.raises(Corrupt, match="another size"):
        layout(SHARD, ROW_BYTES + 1)


def test_a_group_never_passes_the_limit_of_a_page():
    for side in (32, 224, 1024, 4096, 16384):
        row_bytes = side * side * 3
        assert rows_per_group(row_bytes) * row_bytes < 2**31
        assert rows_per_shard(row_bytes) % rows_per_group(row_bytes) == 0


def test_the_content_digest_sees_every_row_and_file():
    digest = content_digest(PIXELS, ORIGINALS)
    other = PIXELS.copy()
    other[69, 95] ^= 1
    assert content_digest(other, ORIGINALS) != digest
    assert content_digest(PIXELS, [*ORIGINALS[:-1], b"x"]) != digest
    assert content_digest(PIXELS) != digest
