"""Runs deployments/compose.yaml without Docker, word by word, in namespaces of its own (root, Linux).

    python tests/support/team.py FOLDER COMMAND...

Processes, network and mounts are new; the file system is an overlay whose changes go to FOLDER; /app is
the repository; postgres, s3 and server are names of the loopback address; services run as uid 1000.
COMMAND is run in there, with the team up, as `docker compose exec worker-cpu COMMAND` would; then
everything ends with the namespace. Reports on stderr, exit code of COMMAND.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from compose import Service, load

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SECRETS = {
    "POSTGRES_PASSWORD": "for-the-test/only@:",
    "PREFECT_AUTH": "team:for-the-test-only",
    "AWS_ACCESS_KEY_ID": "testkey",
    "AWS_SECRET_ACCESS_KEY": "testsecret1234",
}
UID = 1000
UP = ("postgres", "s3", "server", "init", "worker-cpu", "worker-trials-cpu", "app")


def main() -> int:
    """Outside: enter new namespaces. Inside: the team, the command, the end of it all."""
    folder, command = Path(sys.argv[1]).resolve(), sys.argv[2:]
    if os.environ.get("INSIDE_TEAM") != "1":
        enter = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
        again = [sys.executable, __file__, *sys.argv[1:]]
        return subprocess.run([*enter, *again], env=os.environ | {"INSIDE_TEAM": "1"}).returncode
    make_root(folder)
    team = Team()
    for name in UP:
        team.start(name)
    environment = team.environment(team.services["worker-cpu"])
    code = subprocess.run(as_user(UID, command), env=environment, cwd="/app").returncode
    for name in reversed(UP):
        team.stop(name)
    return code


def make_root(folder: Path) -> None:
    """An overlay over the machine's files as new root, as the image of the Dockerfile has it."""
    upper, work, root = (folder / name for name in ("upper", "work", "root"))
    for made in (upper, work, root):
        made.mkdir(parents=True, exist_ok=True)
    layers = f"lowerdir=/,upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
    subprocess.run(["mount", "--rbind", "/dev", str(root / "dev")], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.chroot(root)
    os.chdir("/")
    Path("/etc/hosts").write_text("127.0.0.1 localhost postgres s3 server\n")
    Path("/app").symlink_to(os.environ.get("TEAM_APP", REPOSITORY))
    for path in (
        "/app/data",
        "/app/masks",
        "/s3",
        "/home/segnets/.cache",
        "/home/segnets/tmp",
        "/frames",
    ):
        Path(path).mkdir(parents=True, exist_ok=True)
        os.chown(path, UID, UID)
    os.chown("/home/segnets", UID, UID)
    tools = Path(sys.executable).parent
    for above in Path(sys.executable).resolve().parents:  # the interpreter may lie in root's home
        above.chmod(above.stat().st_mode | 0o055)  # in the overlay only
    import rclone_api

    Path("/usr/local/bin/rclone").symlink_to(Path(rclone_api.__file__).parent / "bin" / "rclone")
    os.environ["PATH"] = f"{tools}:{os.environ['PATH']}"


def as_user(uid: int, command: list[str]) -> list[str]:
    """The command as another user, without root's rights."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", *command]


class Team:
    """The services of compose.yaml and their processes."""

    def __init__(self) -> None:
        path = REPOSITORY / "deployments" / "compose.yaml"
        self.services = load(path, SECRETS)
        # containers have a loopback address each, here they share one: the second worker moves over
        second = self.services["worker-trials-cpu"]
        second.environment["PREFECT_WORKER_WEBSERVER_PORT"] = "8081"
        second.health[:] = [word.replace(":8080/", ":8081/") for word in second.health]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.begun = time.monotonic()

    def environment(self, service: Service) -> dict[str, str]:
        """What a container of the image would see."""
        own = {"PATH": os.environ["PATH"], "HOME": "/home/segnets", "PYTHONUNBUFFERED": "1"}
        own["TMPDIR"] = "/home/segnets/tmp"  # /tmp of the machine is below the overlay
        return own | service.environment

    def start(self, name: str) -> None:
        """Start a service once those it needs are as it asks, and wait until it is healthy."""
        service = self.services[name]
        for other, condition in service.needs.items():
            state = self.processes[other].poll()
            assert state == (0 if condition == "service_completed_successfully" else None), other
        if name == "postgres":
            self.start_postgres(service)
        else:
            log = Path(f"/tmp/{name}.log").open("wb")  # noqa: SIM115  # the process keeps it
            self.processes[name] = subprocess.Popen(
                as_user(UID, service.command),
                env=self.environment(service),
                cwd="/app",
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if service.health:
            self.wait_until_healthy(service)
        elif service.raw.get("restart") == "no":
            code = self.processes[name].wait(timeout=180)
            assert code == 0, Path(f"/tmp/{name}.log").read_text()
        self.say(f"{name} is up")

    def start_postgres(self, service: Service) -> None:
        """What the postgres image does at its first start, with Debian's PostgreSQL."""
        given = service.environment
        (tools,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        os.environ["PATH"] += f":{tools}"
        data = Path("/var/lib/postgresql/team")
        secret = Path("/tmp/pgpass")
        secret.write_text(given["POSTGRES_PASSWORD"])
        secret.chmod(0o644)
        Path("/tmp").chmod(0o1777)
        Path("/var/run/postgresql").mkdir(exist_ok=True)
        import pwd

        account = pwd.getpwnam("postgres")
        os.chown("/var/run/postgresql", account.pw_uid, account.pw_gid)
        make = ["initdb", "-D", str(data), "-U", given["POSTGRES_USER"], "--pwfile", str(secret)]
        make += ["--auth-host=scram-sha-256", "--auth-local=trust"]
        quiet = {"cwd": "/tmp", "stdout": subprocess.DEVNULL}
        subprocess.run(as_user(account.pw_uid, make), check=True, **quiet)
        log = Path("/tmp/postgres.log").open("wb")  # noqa: SIM115
        self.processes["postgres"] = subprocess.Popen(
            as_user(account.pw_uid, ["postgres", "-D", str(data)]),
            cwd="/tmp",
            stdout=log,
            stderr=log,
        )
        create = ["createdb", "-U", given["POSTGRES_USER"], given["POSTGRES_DB"]]
        for _ in range(100):
            if subprocess.run(create, stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(Path("/tmp/postgres.log").read_text())

    def wait_until_healthy(self, service: Service) -> None:
        """Run the health check of the file until it says yes; 150 s at most."""
        deadline = time.monotonic() + 150
        while True:
            done = subprocess.run(
                as_user(UID, service.health), env=self.environment(service), capture_output=True
            )
            if done.returncode == 0:
                return
            log = Path(f"/tmp/{service.name}.log")
            assert self.processes[service.name].poll() is None, log.read_text()
            assert time.monotonic() < deadline, (done.stderr.decode(), log.read_text())
            time.sleep(0.5)

    def stop(self, name: str) -> None:
        """SIGTERM, the grace period, SIGKILL, as `docker stop` does; says how long it took."""
        process = self.processes[name]
        if process.poll() is None:
            began = time.monotonic()
            process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
            process.wait(timeout=self.services[name].grace_s)
            self.say(
                f"{name} stopped with {process.returncode} in {time.monotonic() - began:.1f} s"
            )

    def say(self, text: str) -> None:
        """One line on stderr."""
        print(f"{time.monotonic() - self.begun:5.1f} s  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
