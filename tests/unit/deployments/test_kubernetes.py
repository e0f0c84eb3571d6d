"""The Kubernetes files say the same as compose.yaml, prefect.yaml and the Dockerfile."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from support.compose import load

REPOSITORY = Path(__file__).resolve().parents[3]
KUBERNETES = REPOSITORY / "deployments" / "kubernetes"
SECRETS = dict.fromkeys(
    ("POSTGRES_PASSWORD", "PREFECT_AUTH", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "secret"
)
SAVING_S = 30 + 10  # a trial saves, its run reports


@pytest.fixture(scope="module")
def compose():
    return load(REPOSITORY / "deployments" / "compose.yaml", SECRETS)


def documents(name):
    return [found for found in yaml.safe_load_all((KUBERNETES / name).read_text()) if found]


@pytest.fixture(scope="module")
def found():
    """(kind, name) -> what kustomization.yaml brings together, and the secrets to fill in."""
    names = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    every = [one for name in [*names, "secrets.example.yaml"] for one in documents(name)]
    keyed = {(one["kind"], one["metadata"]["name"]): one for one in every}
    assert len(keyed) == len(every)
    return keyed


@pytest.fixture(scope="module")
def template():
    return json.loads((KUBERNETES / "base-job-template.json").read_text())


def pod(found, kind, name):
    spec = found[kind, name]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return spec, container


def environment(found, container):
    """Name -> value of what a container would see; a secret is the word `secret`."""
    seen = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            seen |= found["ConfigMap", source["configMapRef"]["name"]]["data"]
        elif not source["secretRef"].get("optional"):
            content = found["Secret", source["secretRef"]["name"]]["stringData"]
            seen |= dict.fromkeys(content, "secret")
    for one in container.get("env", []):
        reference = one.get("valueFrom", {}).get("secretKeyRef")
        if reference is not None:
            assert reference["key"] in found["Secret", reference["name"]]["stringData"]
        seen[one["name"]] = one.get("value", "secret" if reference else "field")
    return seen


def test_every_file_of_the_folder_is_brought_in():
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    files = {path.name for path in KUBERNETES.iterdir()} - {"secrets.yaml"}
    used = {*listed["resources"], *listed["configMapGenerator"][0]["files"]}
    assert files == used | {"kustomization.yaml", "secrets.example.yaml"}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_puts_the_files_together():
    done = subprocess.run(["kubectl", "kustomize", KUBERNETES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = [one for one in yaml.safe_load_all(done.stdout) if one]
    assert {one["metadata"]["namespace"] for one in made} == {"segnets"}
    (init,) = [one for one in made if one["kind"] == "Job"]
    (volume,) = init["spec"]["template"]["spec"]["volumes"]
    assert re.fullmatch(r"base-job-template-\w+", volume["configMap"]["name"])


@pytest.mark.parametrize(
    ("kind", "name", "service"),
    [
        ("Deployment", "server", "server"),
        ("StatefulSet", "postgres", "postgres"),
        ("Deployment", "app", "app"),
        ("Job", "init", "init"),
    ],
)
def test_a_pod_sees_what_its_service_of_the_compose_file_sees(found, compose, kind, name, service):
    _, container = pod(found, kind, name)
    seen = environment(found, container)
    wanted = dict(compose[service].environment)
    assert seen.keys() - {"PGDATA"} == wanted.keys()
    own = {"AWS_ENDPOINT_URL", "PGDATA"}  # an S3 of one's own; a folder below the volume's root
    for setting, value in wanted.items():
        assert setting in own or seen[setting] == value, setting


def test_images_ports_and_commands_are_those_of_the_compose_file(found, compose):
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    (image,) = listed["images"]
    assert f"{image['name']}:{image['newTag']}" == compose["server"].raw["image"]
    _, postgres = pod(found, "StatefulSet", "postgres")
    assert postgres["image"] == compose["postgres"].raw["image"]
    _, server = pod(found, "Deployment", "server")
    assert server["command"] == compose["server"].command
    _, init = pod(found, "Job", "init")
    assert init["command"][:2] == compose["init"].command
    assert init["command"][2] == "--kubernetes"
    mounted = init["volumeMounts"][0]["mountPath"]
    assert init["command"][3] == f"{mounted}/base-job-template.json"
    _, app = pod(found, "Deployment", "app")
    assert app["command"][:8] == compose["app"].command[:8]
    for name, port in (("server", 4200), ("postgres", 5432), ("app", 5006)):
        assert found["Service", name]["spec"]["ports"] == [{"port": port}]


def test_one_worker_of_our_prefect_takes_both_queues_and_may_make_jobs_only(found):
    _, worker = pod(found, "Deployment", "worker")
    prefect = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())
    version = prefect["prefect-version"]
    assert f":{version}-" in worker["image"]
    seen = environment(found, worker)
    named = "PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET"
    assert seen[f"{named}_KEY"] in found["Secret", seen[f"{named}_NAME"]]["stringData"]
    command = worker["command"]
    queues = {command[at + 1] for at, word in enumerate(command) if word == "--work-queue"}
    assert queues == {entry["work_pool"]["work_queue_name"] for entry in prefect["deployments"]}
    assert command[command.index("--pool") + 1] == prefect["definitions"]["pool"]["gpu"]["name"]
    (jobs,) = [rule for rule in found["Role", "worker"]["rules"] if "jobs" in rule["resources"]]
    assert "create" in jobs["verbs"]
    others = [rule for rule in found["Role", "worker"]["rules"] if rule is not jobs]
    assert all(set(rule["verbs"]) <= {"get", "list", "watch"} for rule in others)


def test_secrets_reach_only_the_pods_that_need_them_and_the_example_holds_none(found, template):
    for (kind, _), content in found.items():
        if kind == "Secret":
            assert set(content["stringData"].values()) == {""}
    holders = {}
    for kind, name in found:
        if kind in {"Deployment", "StatefulSet", "Job"}:
            seen = environment(found, pod(found, kind, name)[1])
            for setting, value in seen.items():
                if value == "secret":
                    holders.setdefault(setting, set()).add(name)
    assert holders == {
        "POSTGRES_PASSWORD": {"postgres"},
        "PREFECT_SERVER_DATABASE_PASSWORD": {"server"},
        "PREFECT_SERVER_API_AUTH_STRING": {"server"},
        "PREFECT_API_AUTH_STRING": {"init", "worker"},
        "AWS_ACCESS_KEY_ID": {"app"},
        "AWS_SECRET_ACCESS_KEY": {"app"},
    }
    assert (KUBERNETES / "secrets.yaml").exists() is False
    ignored = (REPOSITORY / ".gitignore").read_text().splitlines()
    assert "/deployments/kubernetes/secrets.yaml" in ignored


def rendered(template, **values):
    """The Job that Prefect would make of the template, by Prefect's own code."""
    from prefect.utilities.templating import apply_values

    properties = template["variables"]["properties"]
    given = {name: one["default"] for name, one in properties.items() if "default" in one}
    command = "prefect flow-run execute"
    values = {"name": "trial", "command": command, **given, **values}
    return apply_values(template["job_configuration"], values)


def test_a_run_is_a_job_that_is_never_repeated_and_has_the_time_to_save(found, compose, template):
    job = rendered(template)["job_manifest"]["spec"]
    assert job["backoffLimit"] == 0, "a grid starts a trial again, Kubernetes does not"
    spec = job["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["restartPolicy"] == "Never"
    stop = container["lifecycle"]["preStop"]["exec"]["command"]
    assert stop == ["python", "deployments/pod_stop.py"]
    script = (REPOSITORY / stop[1]).read_text()
    wait_s = float(re.search(r"^WAIT_S = ([\d.]+)", script, re.MULTILINE)[1])
    assert SAVING_S < wait_s < spec["terminationGracePeriodSeconds"]
    assert spec["terminationGracePeriodSeconds"] == compose["worker-gpu"].grace_s
    assert container["image"] == compose["worker-gpu"].raw["image"]
    seen = environment(found, container | {"env": []})
    store = {name for name in compose["worker-gpu"].environment if name.startswith("AWS_")}
    assert seen.keys() == store | {
        "SEGNETS_STORE",
        "DO_NOT_TRACK",
        "PREFECT_SERVER_ANALYTICS_ENABLED",
    }
    mounts = {one["mountPath"] for one in container["volumeMounts"]}
    volumes = {volume.split(":")[1] for volume in compose["worker-gpu"].raw["volumes"]}
    assert mounts <= volumes


def test_trials_ask_for_a_gpu_and_grids_for_none(template):
    for gpus in (0, 1):
        (container,) = rendered(template, gpus=gpus)["job_manifest"]["spec"]["template"]["spec"][
            "containers"
        ]
        assert container["resources"]["limits"] == {"nvidia.com/gpu": gpus}


def test_every_word_of_the_template_is_declared(template):
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(template["job_configuration"])))
    assert used == set(template["variables"]["properties"])
