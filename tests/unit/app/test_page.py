import subprocess
import sys

import pytest

from segnets.app.pages.matters import parallel_axes, place
from segnets.app.records import Score, Trial


def test_the_app_starts_without_torch_and_without_prefect():
    code = """
import sys
sys.modules.update(torch=None, torchvision=None, prefect=None)
import segnets.app.page
print(sorted(set(sys.modules) & {"hvplot", "boto3"}))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"  # and what a folder does not need is not loaded


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        (["--store", "s3://b/p"], "s3://b/p"),
        (["--store=s3://b/q"], "s3://b/q"),
        ([], "s3://from/environment"),
        (["--store"], "s3://from/environment"),
    ],
)
def test_the_store_is_the_argument_or_the_environment(arguments, url, monkeypatch):
    from segnets.app.page import store_url

    monkeypatch.setenv("SEGNETS_STORE", "s3://from/environment")
    assert store_url(arguments) == url


def test_numbers_over_a_factor_of_ten_stand_on_a_log_scale():
    shares, ticks = place([0.001, 0.01, 0.1, None])
    assert shares == pytest.approx([0.0, 0.5, 1.0, None], nan_ok=True)
    assert ticks == [("0.001", 0.0), ("0.01", pytest.approx(0.5)), ("0.1", 1.0)]
    assert place([2, 4, 3])[0] == [0.0, 1.0, 0.5]


def test_texts_are_spaced_evenly_and_one_value_stands_in_the_middle():
    assert place(["none", "mean", "none"])[0] == [1.0, 0.0, 1.0]
    assert place([5.0, 5.0])[0] == [0.5, 0.5]


def test_axes_need_two_scored_trials_that_differ():
    one = Trial(id="a", status="done", best=Score(miou=0.5), settings={"lr": 0.1})
    two = Trial(id="b", status="done", best=Score(miou=0.6), settings={"lr": 0.2})
    assert parallel_axes([one], {}) == ([], [])
    assert parallel_axes([one, one], {}) == ([], [])
    axes, lines = parallel_axes([one, two], {"b": "#fff"})
    assert [axis["title"] for axis in axes] == ["lr", "clips/s", "val loss", "val mIoU"]
    assert [line["shares"][-1] for line in lines] == [0.0, 1.0]
    assert lines[1]["color"] == "#fff"


def test_a_busy_server_changes_nothing_on_the_page_and_nothing_waits_without_a_tab(tmp_path):
    import panel as pn

    from segnets.app.page import results_page
    from segnets.app.turns import in_turn
    from segnets.store.open import open_store

    open_store(str(tmp_path), write=True)
    page = results_page(["--store", str(tmp_path)])
    changes = []
    page.param.watch(changes.append, list(page.param))
    with pn.util.edit_readonly(pn.state):
        pn.state.busy = not pn.state.busy
    assert changes == []  # each would walk through all models of the page
    in_turn(None, lambda: changes.append("done"))
    assert changes == ["done"]
