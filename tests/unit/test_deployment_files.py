"""compose.yaml, prefect.yaml, Dockerfile and the flows say the same."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.compose import load, read_env

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DEPLOYMENTS = REPOSITORY / "deployments"
FLOWS = ("preprocess", "train", "train_grid", "evaluate", "predict")
WORKERS = ("worker-cpu", "worker-gpu", "worker-trials-cpu")

SECRETS = {
    name: f"secret-of-{name.lower()}"
    for name in ("POSTGRES_PASSWORD", "PREFECT_AUTH", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
}


@pytest.fixture(scope="module")
def services():
    return load(DEPLOYMENTS / "compose.yaml", SECRETS)


@pytest.fixture(scope="module")
def prefect():
    return yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())


def decorated(path):
    """Name of the flow -> the function that carries it."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        for mark in getattr(node, "decorator_list", []):
            if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "flow":
                found[ast.literal_eval(mark.keywords[0].value)] = node
    return found


# --- the five flows -------------------------------------------------------------------------------


def test_each_flow_has_a_file_tasks_a_config_class_and_a_deployment_of_its_name(prefect):
    deployed = {entry["name"]: entry for entry in prefect["deployments"]}
    files = {path.stem for path in (REPOSITORY / "flows").glob("[a-z]*.py")}
    assert files == set(FLOWS)
    assert set(deployed) == {name.replace("_", "-") for name in FLOWS}
    for name in FLOWS:
        dashed = name.replace("_", "-")
        flows = decorated(REPOSITORY / "flows" / f"{name}.py")
        assert list(flows) == [dashed], "the flow has the name of its deployment"
        function = flows[dashed]
        assert deployed[dashed]["entrypoint"] == f"flows/{name}.py:{function.name}"
        assert [argument.arg for argument in function.args.args] == ["config"]
        assert (REPOSITORY / "tasks" / f"{name}.py").is_file()
        kind = function.args.args[0].annotation.id
        module = importlib.import_module(f"segnets.config.{name.removeprefix('train_')}")
        assert hasattr(module, kind)


def test_trials_have_a_queue_of_their_own_so_that_a_grid_never_starves_them(prefect):
    queues = {entry["name"]: entry["work_pool"] for entry in prefect["deployments"]}
    assert all(pool["name"] == "segnets" for pool in queues.values())
    on_gpu = {name for name, pool in queues.items() if pool["work_queue_name"] == "gpu"}
    assert on_gpu == {"train"}


def test_prediction_runs_on_a_cron_and_nothing_else_does(prefect):
    crons = {entry["name"] for entry in prefect["deployments"] if entry.get("schedules")}
    assert crons == {"predict"}


def test_the_folder_of_the_flows_is_left_to_each_worker(prefect):
    assert "{{ $SEGNETS_HOME }}" in yaml.safe_dump(prefect["pull"])


def test_prefect_takes_its_fixed_settings_from_pyproject():
    command = "import prefect.settings as s; c = s.get_current_settings(); print(c.server.analytics_enabled, c.server.ephemeral.enabled, c.flows.heartbeat_frequency, c.worker.query_seconds)"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=REPOSITORY, env=clean, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", "False", "30", "2.0"], done.stderr


# --- compose.yaml ---------------------------------------------------------------------------------


def test_the_team_has_a_database_a_store_a_server_workers_and_the_app(services):
    expected = {"postgres", "s3", "server", "init", "app", *WORKERS}
    assert set(services) == expected


def test_a_missing_secret_is_refused_and_names_the_file_to_fill_in(services):
    for name in SECRETS:
        without = {other: value for other, value in SECRETS.items() if other != name}
        with pytest.raises(KeyError, match=rf"{name}.*deployments/\.env"):
            load(DEPLOYMENTS / "compose.yaml", without)


def test_the_example_names_every_secret_and_holds_none():
    assert read_env(DEPLOYMENTS / "env.example") == dict.fromkeys(SECRETS, "")


def test_secrets_reach_services_as_environment_only_and_only_where_they_are_needed(services):
    for service in services.values():
        assert not any("secret-of" in word for word in [*service.command, *service.health])
    holders = {
        name: {other for other, s in services.items() if value in str(s.environment)}
        for name, value in SECRETS.items()
    }
    assert holders["POSTGRES_PASSWORD"] == {"postgres", "server"}
    assert holders["PREFECT_AUTH"] == {"server", "init", *WORKERS}
    assert holders["AWS_SECRET_ACCESS_KEY"] == {"s3", "app", *WORKERS}


def test_ports_are_open_on_this_machine_only_unless_told(services):
    ports = [port for service in services.values() for port in service.raw.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)
    opened = load(DEPLOYMENTS / "compose.yaml", {**SECRETS, "BIND": "0.0.0.0"})
    assert opened["server"].raw["ports"] == ["0.0.0.0:4200:4200"]


def test_nothing_is_reported_to_the_outside(services):
    for name in {"server", "init", "app", *WORKERS}:
        assert services[name].environment["DO_NOT_TRACK"] == "1"
        assert services[name].environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


def test_what_stays_up_has_a_health_check_and_what_waits_waits_for_health(services):
    for name, service in services.items():
        assert bool(service.health) == (name != "init")
        for other, condition in service.needs.items():
            expected = "service_completed_successfully" if other == "init" else "service_healthy"
            assert condition == expected, (name, other)


def test_logs_are_kept_to_a_size(services):
    for service in services.values():
        assert service.raw["logging"]["options"] == {"max-size": "10m", "max-file": "4"}


def test_workers_use_the_polite_stop_and_get_the_time_for_it(services):
    from_worker = subprocess.run(
        [sys.executable, DEPLOYMENTS / "worker.py", "--help"], capture_output=True, text=True
    )
    assert from_worker.returncode == 0
    for name in WORKERS:
        python, script, *flags = services[name].command
        assert (python, script) == ("python", "deployments/worker.py")
        for flag in flags:
            assert not flag.startswith("--") or flag in from_worker.stdout
        assert services[name].grace_s >= 30 + 10 + 5  # runs, reports, leaving
        assert services[name].raw["init"] is True  # tini hands SIGTERM on and reaps
    queues = {
        name: services[name].command[services[name].command.index("--queue") + 1]
        for name in WORKERS
    }
    assert queues == {"worker-cpu": "default", "worker-gpu": "gpu", "worker-trials-cpu": "gpu"}


def test_commands_name_files_that_the_image_has(services):
    copied = {
        word
        for line in (REPOSITORY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY")
        for word in line.split()[1:-1]
    }
    for name in copied:
        assert (REPOSITORY / name).exists(), name
    kept_in = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in copied} <= set(kept_in)
    assert kept_in.index("deployments/.env") > kept_in.index("!deployments")
    for service in services.values():
        for word in service.command:
            if word.endswith(".py"):
                assert (REPOSITORY / word).is_file()
                assert Path(word).parts[0] in copied


# --- the script for Debian ------------------------------------------------------------------------


def test_the_package_script_says_what_and_why_and_refuses_kindly_without_root():
    script = REPOSITORY / "scripts" / "install-debian-packages.sh"
    as_nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if os.getuid() == 0 else []
    text = script.read_text()  # the folder may be closed to that user, so it comes by stdin
    done = subprocess.run(
        [*as_nobody, "bash", "-s"], input=text, capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 1
    assert "chromium" in done.stderr
    assert "postgresql" in done.stderr
    assert "error:" in done.stderr.splitlines()[-1]
