"""The markdown that a flow run shows of its result."""

from tasks.display import summary

GRID = {
    "grid": "grid-1a",
    "trials": ["resnet_lstm-2b"],
    "ran": 1,
    "best": None,
    "leaderboard": [
        {
            "trial": "resnet_lstm-2b",
            "status": "done",
            "settings": {"lr": 0.003, "batch_size": 4},
            "val_miou": 0.23456,
            "val_loss": None,
            "best_epoch": 3,
            "pixel_accuracy": 0.8,
        }
    ],
}


def test_a_grid_shows_its_counts_and_its_leaderboard_with_links_to_the_app(monkeypatch):
    monkeypatch.setenv("SEGNETS_APP_URL", "https://app.example.org/results_app")
    assert summary("train-grid", GRID).splitlines() == [
        "## train-grid",
        "",
        "|  |  |",
        "| --- | --- |",
        "| grid | [grid-1a](https://app.example.org/results_app?p=trials&grid=grid-1a) |",
        "| ran | 1 |",
        "",
        "| trial | status | settings | val_miou | val_loss | best_epoch |",
        "| --- | --- | --- | --- | --- | --- |",
        (
            r"| [resnet\_lstm-2b](https://app.example.org/results_app?p=runs&t=resnet_lstm-2b) "
            r"| done | lr 0.003, batch\_size 4 | 0.2346 | - | 3 |"
        ),
    ]


def test_the_addresses_are_those_that_the_app_reads(monkeypatch):
    from segnets.app.state import parse_address

    monkeypatch.setenv("SEGNETS_APP_URL", "APP")
    ids = {"grid": "grid-1a", "trial": "t-2b", "dataset": "streets-3c", "run": "pred-4d"}
    said = summary("predict", ids)
    views = [parse_address(part.split(")")[0]) for part in said.split("(APP")[1:]]
    assert [(view.page, getattr(view, kind)) for view, kind in zip(views, ids, strict=True)] == [
        ("trials", "grid-1a"),
        ("runs", "t-2b"),
        ("dataset", "streets-3c"),
        ("pred", "pred-4d"),
    ]


def test_names_from_data_stay_text_and_without_an_app_there_is_no_link(monkeypatch):
    monkeypatch.delenv("SEGNETS_APP_URL", raising=False)
    said = summary("predict", {"run": "pred-1", "out": "/a|b/<b>[x](http://elsewhere)`"})
    assert r"| out | /a\|b/\<b\>\[x\](http://elsewhere)\` |" in said
    assert "| run | pred-1 |" in said
