"""A grid from the form of Prefect's own page: help and choices, a refusal in words, the run's graph."""

import re

import pytest
from support.commands import ROOT, SMALL, clean_env, new_world
from support.flow_runs import ask, trials_of, wait_for
from support.machines import Machine, Server, deploy
from support.panel import Tab


@pytest.fixture
def site(tmp_path):
    """(server, dataset): a server with the deployments and a worker for each queue."""
    world = new_world(tmp_path / "world")
    dataset = world.run("preprocess", *SMALL).json["dataset"]
    (tmp_path / "prefect").mkdir()
    (tmp_path / "machine").mkdir()
    server = Server(tmp_path / "prefect", clean_env())
    env = {**world.env, **server.env, "PREFECT_WORKER_QUERY_SECONDS": "1"}
    env |= {"SEGNETS_HOME": str(ROOT), "SEGNETS_STORE": str(world.store)}
    machine = Machine(tmp_path / "machine", env)
    try:
        server.start()
        deploy(env)
        machine.start("default")
        machine.start("gpu", 2)
        yield server, dataset
    finally:
        machine.stop()
        server.stop()


class Form:
    """Fields of the form by the name that people read."""

    def __init__(self, page) -> None:
        self.page = page

    def part(self, name: str):
        """A field with its help."""
        label = f"//span[contains(@class,'schema-form-property__label')][.='{name} (Optional)']"
        around = "/ancestor::div[contains(concat(' ',@class,' '),' p-label ')][1]"
        return self.page.locator(f"xpath={label}{around}")

    def boxes(self, name: str):
        return self.part(name).locator("input, textarea")

    def choices(self, name: str) -> list[str]:
        """What the field offers once it is opened."""
        self.part(name).locator("button.p-select-button__control").press("Space")
        options = self.page.get_by_role("listbox").get_by_role("option")
        options.first.wait_for()
        found = options.all_inner_texts()
        self.page.keyboard.press("Escape")
        return found

    def submit(self) -> None:
        self.page.get_by_role("button", name="Submit").click()


@pytest.mark.slow
def test_a_grid_is_started_from_the_form_and_a_wrong_value_is_refused(site, tab):
    server, dataset = site
    page = _open_form(server, tab).page
    form = Form(page)
    assert "(1 to 10000)" in form.part("Epochs").inner_text()
    assert "above 0, at most 1" in form.part("Lr").inner_text()
    assert form.choices("Model") == ["resnet_convlstm", "resnet_lstm"]

    form.boxes("Dataset").fill(dataset)
    form.boxes("Epochs").fill("2")
    form.boxes("Lr").fill("5")
    form.submit()
    page.get_by_text(
        re.compile(r"config\.trial\.lr.*5 is greater than the maximum of 1")
    ).first.wait_for()
    assert _grids(server) == []

    form.boxes("Lr").fill("0.003")
    form.boxes("Grid").nth(0).fill("lr=0.003,0.01")
    form.boxes("Grid").nth(1).fill("batch_size=4")
    (run,) = wait_for(lambda: _submitted(form, server))
    page.goto(f"{server.url.removesuffix('/api')}/runs/flow-run/{run['id']}")
    page.get_by_text("Completed", exact=True).first.wait_for(timeout=240_000)
    page.locator("canvas").first.wait_for()
    names = [one["name"] for one in _children(server, run)]
    assert len(names) == 2
    assert all(trials_of(server, name) for name in names), names


def _open_form(server, tab) -> Tab:
    found = tab(server.url.removesuffix("/api"))
    deployment = ask(server, "deployments/filter", flows={"name": {"any_": ["train-grid"]}})[0]
    found.page.goto(f"{found.address}/deployments/deployment/{deployment['id']}/run")
    found.page.get_by_text("Validate parameters").wait_for()
    return found


def _submitted(form, server):
    """Submit, as often as a busy SQLite of the server asks for (503)."""
    with form.page.expect_response(re.compile("create_flow_run$")):
        form.submit()
    return _grids(server)


def _grids(server):
    return ask(server, "flow_runs/filter", flows={"name": {"any_": ["train-grid"]}})


def _children(server, run):
    subject = {"parent_flow_run_id": {"any_": [run["id"]]}}
    return ask(server, "flow_runs/filter", flow_runs=subject, sort="START_TIME_DESC")
