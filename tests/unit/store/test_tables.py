import pyarrow as pa
import pytest

from segnets.errors import Corrupt
from segnets.store.tables import from_parquet, table_version, to_parquet


def test_a_table_comes_back_with_its_version():
    table = pa.table({"epoch": [1, 2], "iou": [[0.5, None], [float("nan")]]})
    back = from_parquet(to_parquet(table, 3))
    assert table_version(back) == 3
    assert back.schema.names == ["epoch", "iou"]
    assert back["epoch"].to_pylist() == [1, 2]


def test_equal_tables_are_equal_bytes():
    table = pa.table({"epoch": list(range(100))})
    assert to_parquet(table, 1) == to_parquet(table, 1)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no table at all"])
def test_what_is_no_table_is_corrupt(data):
    with pytest.raises(Corrupt, match="a table cannot be read"):
        from_parquet(data)


def test_a_table_of_somebody_else_is_corrupt():
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1]}), sink)
    with pytest.raises(Corrupt, match="a table has no version"):
        from_parquet(sink.getvalue().to_pybytes())
