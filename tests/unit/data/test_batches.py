import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segnets.data.batches import iter_batches
from segnets.data.order import epoch_order
from segnets.data.reader import open_dataset


@pytest.fixture
def dataset(folder, preprocess):
    for frame in range(30, 38):
        folder.clip("train", "aachen", 0, frame)
    summary, store = preprocess(folder)
    with open_dataset(store, summary.dataset) as dataset:
        yield dataset


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    batch_size=st.integers(1, 15),
    start=st.integers(0, 11),
    workers=st.integers(0, 3),
    epoch=st.integers(1, 5),
)
def test_any_batch_size_start_and_threads_see_one_order(dataset, batch_size, start, workers, epoch):
    num = len(dataset.clips["train"])
    order = epoch_order(num, 0, epoch)
    wanted_frames, wanted_labels = dataset.read("train", order)
    seen = start
    batches = iter_batches(
        dataset, "train", batch_size=batch_size, order=order, start=start, workers=workers
    )
    for batch in batches:
        size = len(batch.indices)
        assert size == min(batch_size, num - seen)  # the last batch is smaller, nothing is dropped
        assert batch.indices == order[seen : seen + size].tolist()
        assert batch.keys == [
            f"train/{dataset.clips['train'][index].name}" for index in batch.indices
        ]
        wanted = torch.from_numpy(wanted_frames[seen : seen + size])
        assert torch.equal(batch.frames, wanted)
        assert torch.equal(batch.labels, torch.from_numpy(wanted_labels[seen : seen + size]))
        seen += size
    assert seen == num


def test_buffers_are_reused(dataset):
    order = list(range(10))
    batches = iter_batches(dataset, "train", batch_size=2, order=order, workers=1)
    assert len({batch.frames.data_ptr() for batch in batches}) == 2


def test_a_reader_that_leaves_early_leaves_no_thread(dataset):
    for _ in iter_batches(dataset, "train", batch_size=2, order=range(10), workers=2):
        break


def test_a_fault_in_a_reading_thread_reaches_the_caller(dataset):
    with pytest.raises(IndexError):
        list(iter_batches(dataset, "train", batch_size=2, order=[0, 1, 999], workers=2))
