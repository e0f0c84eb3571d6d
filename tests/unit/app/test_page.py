import subprocess
import sys

import pytest
from bokeh.document import Document
from bokeh.io.doc import patch_curdoc
from bokeh.models import Slider

from segnets.app.pages.cost import cost_frame, draw, put
from segnets.app.pages.matters import in_words, parallel_axes, place, within
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
    assert [axis["title"] for axis in axes] == ["lr", "clips/s", "val loss ↓", "val mIoU"]
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


def test_a_chosen_stretch_keeps_the_lines_that_pass_it():
    trials = [
        scored(name, miou, lr=lr)
        for name, miou, lr in (("a", 0.1, 0.001), ("b", 0.3, 0.01), ("c", 0.5, 0.1))
    ]
    axes, lines = parallel_axes(trials, {})
    assert [axis["key"] for axis in axes] == ["lr", "_clips", "_loss", "_miou"]
    assert within([], axes, lines) is None
    assert within([("nosuch", 0, 10)], axes, lines) is None
    assert within([("lr", 40, 100)], axes, lines) == {"b", "c"}
    assert within([("lr", 40, 100), ("_miou", 0, 60)], axes, lines) == {"b"}
    assert within([("_clips", 0, 100)], axes, lines) == set()  # nobody has told its speed


def test_the_setting_that_moves_the_mean_most_is_told_in_words():
    grid = [
        scored(f"{lr}{size}", miou, lr=lr, batch_size=size)
        for miou, lr, size in (
            (0.22, 0.001, 2),
            (0.20, 0.001, 4),
            (0.18, 0.003, 2),
            (0.16, 0.003, 4),
        )
    ]
    assert in_words(grid) == "lr: mean 0.210 at 0.001, 0.170 at 0.003"
    assert in_words(grid[:3]) == ""  # one trial is no mean
    assert in_words([]) == ""


def test_an_axis_of_scores_stays_as_it_is_while_one_trial_moves():
    before = [scored("a", 0.512, lr=1.0), scored("b", 0.231, lr=2.0)]
    after = [scored("a", 0.534, lr=1.0), before[1]]
    (axes, lines), (axes_now, lines_now) = (parallel_axes(one, {}) for one in (before, after))
    assert axes == axes_now
    assert lines[0] != lines_now[0]
    assert lines[1] == lines_now[1]


def test_dots_of_score_and_cost_move_in_place():
    before = cost_frame([scored("a", 0.2, seconds=60.0), scored("b", 0.4, seconds=120.0)], {})
    after = cost_frame(
        [scored("a", 0.9, seconds=600.0), scored("b", 0.4, seconds=120.0)], {"b": "#fff"}
    )
    figure = draw(before)
    put(figure, before, after)
    held = figure.renderers[0].data_source.data
    for name in ("minutes", "miou", "color", "trial"):
        assert list(held[name]) == list(after[name])
    for span, low, high in ((figure.x_range, 2.0, 10.0), (figure.y_range, 0.4, 0.9)):
        assert span.start < low
        assert span.end > high


def test_dots_of_other_trials_take_their_place():
    before = cost_frame([scored("a", 0.2, seconds=60.0), scored("b", 0.4, seconds=6000.0)], {})
    after = cost_frame([scored("c", 0.1, seconds=30.0)], {})
    figure = draw(before)
    put(figure, before, after)
    assert list(figure.renderers[0].data_source.data["trial"]) == ["c"]
    assert figure.x_range.end < 10
    put(figure, after, cost_frame([], {}))
    assert len(figure.renderers[0].data_source.data["trial"]) == 0


def scored(name, miou, seconds=None, **settings):
    return Trial(id=name, status="done", best=Score(miou=miou), seconds=seconds, settings=settings)


def test_a_chart_drawn_meanwhile_touches_no_tab_s_document():
    tab, heard = Document(), []
    tab.add_root(Slider(start=0, end=1))
    tab.on_change(heard.append)
    theme, holders = tab.theme, list(tab.session_destroyed_callbacks)
    with patch_curdoc(tab):  # as while the server answers a tab; for every thread
        draw(cost_frame([scored("a", 0.2, seconds=60.0)], {}))
    assert tab.theme is theme
    assert list(tab.session_destroyed_callbacks) == holders
    assert heard == []
