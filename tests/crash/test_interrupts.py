"""An exception at some lines each time, and the proof that a half-made state would be seen."""

import pytest

from crash import interrupts, tiny
from segnets.training.record import Record


def test_an_exception_at_any_line_saves_nothing_that_is_half_done():
    found = interrupts.run(1, 1, seed=0, store="folder", sample=2)
    assert (found["points"], found["ok"], found["faults"]) == (4, 4, [])


def test_a_state_that_is_saved_in_mid_step_is_noticed(monkeypatch):
    with tiny.prepare() as made:
        trial = interrupts.Interrupted(made)
        lines = [line for _, line in trial.lines(0) if line.file == "training/loop.py"]
        monkeypatch.setattr(Record, "tell_end", lambda record, _: save_as_it_is(record))
        after_the_update = next(
            line for line in lines if is_line(line, "from here to the end of the function", 2)
        )
        wrong, _ = trial.try_line("whole", after_the_update, "interrupt")
    assert "never had" in str(wrong)


def save_as_it_is(record):
    record.save("stopped")
    record.finish()


def is_line(line, comment, below):
    text = (interrupts.Path(interrupts.PROGRAM) / line.file).read_text().splitlines()
    return comment in text[line.number - 1 - below]


@pytest.mark.slow
def test_an_exception_at_a_hundred_lines():
    found = interrupts.run(1, 1, seed=1, store="folder", sample=100)
    assert (found["ok"], found["faults"]) == (found["points"], [])
