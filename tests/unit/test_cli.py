import json
import math
import os
import subprocess
import sys
import time
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.cli import json_line, parse, to_flags
from segnets.config.build import build
from segnets.config.evaluate import EvaluateConfig
from segnets.config.grid import GridConfig
from segnets.config.predict import PredictConfig
from segnets.config.preprocess import PreprocessConfig
from segnets.config.train import AugmentConfig, TrainConfig
from segnets.errors import ConfigError
from segnets.recipes import RECIPES

CONFIGS = [PreprocessConfig, TrainConfig, GridConfig, EvaluateConfig, PredictConfig]


def config_of(config_type, *words):
    typed, _ = parse(config_type, words, prog="x")
    return build(config_type, typed)


def sentence(config_type, *words, recipes=()):
    with pytest.raises(ConfigError) as caught:
        build(config_type, parse(config_type, words, prog="x", recipes=recipes)[0])
    return str(caught.value)


@pytest.mark.parametrize("config_type", CONFIGS)
def test_no_words_give_the_defaults(config_type):
    assert parse(config_type, [], prog="x") == ({}, None)
    assert config_of(config_type) == config_type()


@pytest.mark.parametrize("config_type", CONFIGS)
def test_the_flags_of_a_config_give_it_back(config_type):
    assert config_of(config_type, *to_flags(config_type())) == config_type()


@given(
    st.builds(
        TrainConfig,
        dataset=st.text("abc-=_ é'\"", min_size=1, max_size=9),
        epochs=st.integers(1, 10_000),
        lr=st.floats(1e-12, 1, exclude_min=True),
        psp=st.booleans(),
        threads=st.none() | st.integers(1, 64),
        optimizer=st.sampled_from(["adamw", "adam", "sgd", "rmsprop"]),
        store=st.none() | st.text("s3:/-x ", min_size=1, max_size=9),
        augment=st.builds(AugmentConfig, gamma=st.floats(0, 0.99)),
    )
)
def test_any_trial_survives_its_way_over_a_command_line(config):
    assert config_of(TrainConfig, *to_flags(config)) == config


def test_the_fields_of_a_grids_trial_stand_flat_beside_its_own():
    config = config_of(GridConfig, "--lr", "0.01", "--augment.gamma=0.2", "--grid", "seed=1,2")
    assert config.trial == replace(TrainConfig(), lr=0.01, augment=AugmentConfig(gamma=0.2))
    assert config.grid == ("seed=1,2",)
    assert config_of(GridConfig, *to_flags(config)) == config


def test_a_given_grid_replaces_the_default_one_and_may_come_in_several_flags():
    assert config_of(GridConfig, "--grid", "lr=0.1,0.2", "--grid=seed=1,2").grid == (
        "lr=0.1,0.2",
        "seed=1,2",
    )


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--nosuch", "3"], ["no such flag", "--nosuch"]),
        (["--epocks", "3"], ["no such flag", "--epocks", "--epochs"]),
        (["stray"], ["stray"]),
        (["--lr"], ["--lr", "value"]),
        (["--lr", "0.1", "--lr", "0.2"], ["twice", "--lr"]),
        (["--lr", "5"], ["less than or equal to 1", "--lr", "5"]),
        (["--lr", "nan"], ["--lr", "nan"]),
        (["--epochs", "8.5"], ["integer", "--epochs", "8.5"]),
        (["--epochs", "1e2"], ["integer", "--epochs", "1e2"]),
        (["--epochs", "0x10"], ["integer", "--epochs", "0x10"]),
        (["--epochs", "0"], ["greater than or equal to 1", "--epochs"]),
        (["--threads", "2.5"], ["--threads", "2.5"]),
        (["--model", "nosuch"], ["resnet_convlstm", "--model", "nosuch"]),
        (["--augment.gamma", "2"], ["--augment.gamma", "2"]),
        (["--model", "resnet_lstm", "--temporal", "none"], ["--temporal"]),
    ],
)
def test_wrong_use_is_one_line_that_names_what_was_typed(words, parts):
    text = sentence(TrainConfig, *words)
    assert "\n" not in text
    assert "pydantic" not in text
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("axes", "part"),
    [
        (["lrr=3"], "lrr"),
        (["lr=0.001,5"], "--lr"),
        (["lr"], "FIELD=VALUE"),
        (["lr=0.1", "lr=0.2"], "two axes"),
        (["lr=0.1,0.1"], "twice"),
    ],
)
def test_a_bad_axis_is_refused_before_anything_runs(axes, part):
    words = [word for axis in axes for word in ("--grid", axis)]
    assert part in sentence(GridConfig, *words)


def test_a_recipe_is_handed_back_by_name_and_an_unknown_one_is_refused():
    assert parse(TrainConfig, ["--recipe", "student"], prog="x", recipes=tuple(RECIPES)) == (
        {},
        "student",
    )
    assert "student" in sentence(TrainConfig, "--recipe", "nosuch", recipes=tuple(RECIPES))


@pytest.mark.parametrize("config_type", CONFIGS)
def test_the_help_names_every_field_with_its_docstring(config_type, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(config_type, ["--help"], prog="x")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for flag in to_flags(config_type()):
        name = flag.partition("=")[0].replace("--no-", "--")
        assert name in text, name
    assert "Folder or s3://bucket/prefix" in text


@pytest.mark.parametrize("config_type", CONFIGS)
def test_every_field_has_help_for_the_form_too(config_type):
    from pydantic import TypeAdapter

    schema = TypeAdapter(config_type).json_schema()["properties"]
    for field in fields(config_type):
        described = "description" in schema[field.name] or "$ref" in schema[field.name]
        assert described, field.name


def test_the_help_of_every_flow_comes_at_once_and_without_torch_or_prefect(tmp_path):
    code = (
        "import sys, runpy\n"
        "sys.argv = ['flow', '--help']\n"
        "try:\n    runpy.run_module('flows.' + {name!r}, run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "bad = {{'torch', 'prefect', 'boto3', 'panel', 'pyarrow'}} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    for name in ("preprocess", "train", "train_grid", "evaluate", "predict"):
        began = os.times()
        done = subprocess.run(
            [sys.executable, "-c", code.format(name=name)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        ended = os.times()
        assert done.returncode == 0, done.stderr
        assert "Usage" in done.stdout
        # CPU time: the wall clock of a shared machine says little
        used = ended.children_user + ended.children_system
        used -= began.children_user + began.children_system
        assert used < 1.0, f"{name} --help took {used:.2f} s of CPU time"


def test_a_name_that_is_not_utf8_does_not_cost_the_json_line():
    line = json_line({"where": "/data/k\udcf6ln.png"})
    assert line == b'{"where": "/data/k\\udcf6ln.png"}\n'
    assert json.loads(line) == {"where": "/data/k\udcf6ln.png"}


def test_numbers_that_are_not_finite_become_null_in_the_json_line():
    line = json_line({"a": math.nan, "b": [1.5, math.inf], "c": {"d": None, "e": "é"}})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"a": None, "b": [1.5, None], "c": {"d": None, "e": "é"}}


def run_python(code, *, stdout=subprocess.PIPE):
    return subprocess.run(
        [sys.executable, "-c", code], stdout=stdout, stderr=subprocess.PIPE, text=True
    )


NOISE = """
import os, subprocess, sys
from segnets.cli import keep_stdout
with keep_stdout() as say:
    print("a print")
    os.write(1, b"a write\\n")
    subprocess.run([sys.executable, "-c", "print('a child')"])
    say({"answer": 42})
"""


def test_stdout_carries_the_one_line_whatever_prints_meanwhile():
    done = run_python(NOISE)
    assert done.returncode == 0
    assert done.stdout == '{"answer": 42}\n'
    for text in ("a print", "a write", "a child"):
        assert text in done.stderr


def test_a_reader_that_has_gone_away_is_no_fault():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run_python(NOISE, stdout=writer).returncode == 0
    finally:
        os.close(writer)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_descriptors_do_not_hurt(closed):
    shut = "; ".join(f"os.close({fd})" for fd in closed)
    done = run_python(f"import os; {shut}\n{NOISE}")
    assert done.returncode == 0
    if 1 not in closed:
        assert done.stdout == '{"answer": 42}\n'


def test_parsing_is_quick():
    began = time.process_time()
    parse(TrainConfig, ["--lr", "0.1"], prog="x")
    assert time.process_time() - began < 0.5
