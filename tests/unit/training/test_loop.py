

from segnets.store.log import read_head
from segnets.store.open import open_store
from segnets.store.tables import from_parquet
from segnets.training.curves import TIME_COLUMNS
from segnets.training.loop import train


def run(config, dataset, store, **hooks):
    rows = []
    result = train(config, dataset, store, on_epoch=rows.append, **hooks)
    return result, rows


def table_without_times(store, trial):
    head = read_head(store, trial)
    data = store.get(head.file("epochs.parquet").key)
    return repr(from_parquet(data).drop_columns(list(TIME_COLUMNS)).to_pylist())


def test_two_runs_of_one_config_have_equal_bits_and_a_second_call_trains_nothing(
    trial_config, dataset, tmp_path
):
    config = trial_config()
    one, two = (open_store(str(tmp_path / name), write=True) for name in ("a", "b"))
    first, rows = run(config, dataset, one)
    second, _ = run(config, dataset, two)
    assert first == second
    assert table_without_times(one, first.trial) == table_without_times(two, first.trial)
    assert [row["epoch"] for row in rows] == [1, 2]
    again, rows = run(config, dataset, one)
    assert again.reused
    assert not rows
    assert (again.weights_sha256, again.state_sha256) == (first.weights_sha256, first.state_sha256)
