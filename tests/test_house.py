"""What CONTRIBUTING.md says as tests: who imports what, flows that agree in five places, figures that were kept."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from crash.__main__ import add_up, read_lines

ROOT = Path(__file__).resolve().parent.parent
EDGES = {"segnets.app", "segnets.store.s3", "segnets.store.__main__"}
FLOWS = ("preprocess", "train", "train_grid", "evaluate", "predict")


def modules_of(package: str) -> list[str]:
    files = sorted((ROOT / package).rglob("*.py"))
    names = (".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files)
    return [name.removesuffix(".__init__") for name in names]


def in_fresh_process(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_core_loads_neither_prefect_nor_boto3_nor_panel():
    core = [
        name
        for name in modules_of("segnets")
        if not any(name == edge or name.startswith(f"{edge}.") for edge in EDGES)
    ]
    assert len(core) > 40
    loaded = in_fresh_process(
        f"import importlib, json, sys\n"
        f"for name in {core!r}: importlib.import_module(name)\n"
        f"print(json.dumps([n for n in ('prefect', 'boto3', 'botocore', 'panel', 'hvplot') "
        f"if n in sys.modules]))"
    )
    assert json.loads(loaded) == []


def test_settings_labels_and_recipes_load_no_torch_numpy_or_pydantic():
    light = [n for n in modules_of("segnets.config".replace(".", "/")) if n != "segnets"]
    loaded = in_fresh_process(
        f"import importlib, json, sys\n"
        f"for name in {[*light, 'segnets.labels', 'segnets.recipes', 'segnets.errors']!r}:\n"
        f"    importlib.import_module(name)\n"
        f"print(json.dumps([n for n in ('torch', 'numpy', 'pydantic') if n in sys.modules]))"
    )
    assert json.loads(loaded) == []


def test_the_app_is_imported_where_there_is_no_torch():
    in_fresh_process(
        f"import importlib, sys\n"
        f"sys.modules['torch'] = None  # makes `import torch` fail\n"
        f"for name in {modules_of('segnets/app')!r}: importlib.import_module(name)\n"
    )


def test_every_flow_has_its_task_its_deployment_and_its_row_in_the_readme():
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    entrypoints = {d["entrypoint"].split(":")[0]: d["name"] for d in deployments}
    readme = (ROOT / "README.md").read_text()
    assert sorted(p.stem for p in (ROOT / "flows").glob("[!_]*.py")) == sorted(FLOWS)
    for flow in FLOWS:
        assert (ROOT / "tasks" / f"{flow}.py").is_file()
        config = "grid" if flow == "train_grid" else flow
        assert (ROOT / "segnets" / "config" / f"{config}.py").is_file()
        assert entrypoints[f"flows/{flow}.py"] == flow.replace("_", "-")
        assert f"`python flows/{flow}.py" in readme


def test_package_folders_hold_a_docstring_and_nothing_else():
    for package in ("segnets", "tasks", "flows"):
        for file in (ROOT / package).rglob("__init__.py"):
            assert re.fullmatch(r'"""[^"]+"""\n', file.read_text()), file


@pytest.mark.parametrize("path", ["requirements.lock", "pyproject.toml", "Dockerfile"])
def test_no_file_of_the_house_names_a_package_host(path):
    text = (ROOT / path).read_text()
    assert not re.search(r"https?://|--index-url|--find-links|file:/", text)


def figures_told() -> list[tuple[str, str, str]]:
    """Figure, file, path of each figure of README and docs that is followed by <!-- FILE key/key ... -->."""
    text = "".join(page.read_text() for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    return re.findall(r"([\d.,]*\d)\S* <!-- (\S+\.jsonl?) ([^>]+) -->", text)


def test_the_figures_that_are_told_are_those_of_the_kept_results():
    figures = figures_told()
    assert len(figures) >= 6
    for shown, file, path in figures:
        value = kept_result(file)
        for key in path.split("/"):
            value = value[key.strip()]
        digits = len(shown.partition(".")[2])
        assert f"{value:.{digits}f}" == shown.replace(",", ""), (file, path)


def test_the_proofs_that_the_readme_tells_of_are_whole_and_found_nothing():
    """Every part of each is there, and each try went as it must."""
    kept = kept_result("crash.jsonl")
    told = {path.split("/")[0] for _, file, path in figures_told() if file == "crash.jsonl"}
    assert len(told) >= 6
    for name in told:
        found = kept[name]
        parts = [tuple(map(int, part.split("/"))) for part in found["parts"]]
        of = {n for _, n in parts}
        assert len(of) == 1, name
        assert sorted(k for k, _ in parts) == list(range(1, of.pop() + 1)), name
        if "mutants" in found:
            assert not found["mutants"]["survived"], name
            continue
        assert found["ok"] == found.get("points", found.get("histories")), name
        wrong = ("lost_epochs", "corrupt", "not_bit_equal", "wrong_end", "wrong_reads")
        assert not any(found.get(word) for word in wrong), name


def kept_result(file: str) -> Any:
    path = ROOT / "benchmarks" / "RESULTS" / file
    if path.suffix == ".jsonl":
        return add_up(read_lines([path]))
    return json.loads(path.read_text())
