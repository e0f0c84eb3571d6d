"""Real S3 servers as processes: rclone (real signatures, no conditional writes) and ministack.

    with rclone_server(tmp_path) as server:
        os.environ.update(server.env)
        open_store(f"s3://{server.bucket}/prefix", write=True)

Each listens on a free port of the loopback, in a session of its own, and is killed at the end.
`python tests/support/servers.py rclone|ministack FOLDER` runs one until it is interrupted.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

KEY_ID = "segnets-test-id"
SECRET = "segnets-test-secret"
BUCKET = "segnets"
UP_S = 60.0


@dataclass(frozen=True)
class S3Server:
    """Where a server listens, and what a client needs to use it; `env` holds it as variables."""

    endpoint: str
    key_id: str
    secret: str
    bucket: str
    pid: int
    folder: Path
    env: dict[str, str] = field(default_factory=dict)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def rclone_server(
    folder: Path, *, port: int | None = None, tls: tuple[Path, Path] | None = None
) -> Iterator[S3Server]:
    """rclone serve s3 over `folder`; `tls` is (certificate, key)."""
    import rclone_api

    data = Path(folder) / "rclone"
    (data / BUCKET).mkdir(parents=True, exist_ok=True)  # a bucket is a folder
    port = port or free_port()
    binary = Path(rclone_api.__file__).parent / "bin" / "rclone"
    command = [str(binary), "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", f"{KEY_ID},{SECRET}", "--config", os.devnull, str(data)]
    if tls is not None:
        command += ["--cert", str(tls[0]), "--key", str(tls[1])]
    scheme = "http" if tls is None else "https"
    log = Path(folder) / "rclone.log"
    with process(command, _without_keys(), log, f"http://127.0.0.1:{port}/") as pid:
        yield _server(f"{scheme}://127.0.0.1:{port}", pid, data)


@contextlib.contextmanager
def ministack_server(folder: Path, *, port: int | None = None) -> Iterator[S3Server]:
    """ministack with S3 only: conditional writes; 1.4.21 checks no keys at all, whatever AUTH says."""
    data = Path(folder) / "ministack"
    data.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SERVICES": "s3,iam,sts",
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(data / "s3"),
        "STATE_DIR": str(data / "state"),
        "LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "ministack"]
    endpoint = f"http://127.0.0.1:{port}"
    env, log = _without_keys() | settings, Path(folder) / "ministack.log"
    with process(command, env, log, f"{endpoint}/") as pid:
        server = _server(endpoint, pid, data)
        _create_bucket(server)
        yield server


def _server(endpoint: str, pid: int, folder: Path) -> S3Server:
    env = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return S3Server(endpoint, KEY_ID, SECRET, BUCKET, pid, folder, env)


def _create_bucket(server: S3Server) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.key_id,
        aws_secret_access_key=server.secret,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=server.bucket)
    client.close()


@contextlib.contextmanager
def process(
    command: list[str],
    env: Mapping[str, str],
    log: Path,
    address: str,
    *,
    cwd: Path | None = None,
    up_s: float = UP_S,
) -> Iterator[int]:
    """Run a server until the end of the block, its pid; it is up when `address` answers anything."""
    with log.open("ab") as out:
        server = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + up_s
        while not _answers(address):
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield server.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _without_keys() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}


def _answers(address: str) -> bool:
    """Whether anything speaks there; a TLS port answers plain HTTP with an error, which is enough."""
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True


if __name__ == "__main__":
    start = {"rclone": rclone_server, "ministack": ministack_server}[sys.argv[1]]
    with start(Path(sys.argv[2])) as running:
        for name, text in running.env.items():
            print(f"export {name}={text}", flush=True)
        print(f"# store: s3://{running.bucket}/PREFIX", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
