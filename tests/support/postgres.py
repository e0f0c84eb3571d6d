"""A PostgreSQL server of Debian's as a process, for one test or one proof; as root it runs as `postgres`."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from support.servers import free_port


def tools() -> Path | None:
    """The folder of initdb and pg_ctl; None where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    """One cluster in a folder of its own, on a free port of the loopback; anybody here may do anything."""

    def __init__(self, folder: Path) -> None:
        bin_folder = tools()
        assert bin_folder is not None, "scripts/install-debian-packages.sh installs PostgreSQL"
        self._bin, self._data, self.port = bin_folder, folder / "data", free_port()
        folder.mkdir(parents=True)
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
            for above in folder.parents:  # a folder of mkdtemp is closed to others
                if above.stat().st_uid == 0 and above.parent != above:
                    above.chmod(above.stat().st_mode | 0o011)
        self._run("initdb", "-A", "trust", "-U", "prefect", "-E", "UTF8", "-N")
        self.url = f"postgresql+asyncpg://prefect@127.0.0.1:{self.port}/prefect"
        self.start()
        self._run("createdb", *self._where(), "prefect", on_data=False)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -k '' -c listen_addresses=127.0.0.1"
        log = str(self._data.parent / "log")
        self._run("pg_ctl", "start", "-w", "-l", log, "-o", options)

    def stop(self, how: str = "fast") -> None:
        """Stop it: fast ends its sessions, immediate is as good as a kill."""
        self._run("pg_ctl", "stop", "-w", "-m", how)

    def size(self) -> int:
        """Bytes of the database."""
        question = "select pg_database_size('prefect')"
        words = ("psql", *self._where(), "-At", "-c", question, "prefect")
        return int(self._run(*words, on_data=False))

    def _where(self) -> Sequence[str]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", "prefect")

    def _run(self, tool: str, *words: str, on_data: bool = True) -> str:
        where = ["-D", str(self._data)] if on_data else []
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        command = [*(user if os.getuid() == 0 else []), str(self._bin / tool), *where, *words]
        # its output goes to a file: a server that pg_ctl starts would hold a pipe open
        said = self._data.parent.parent / f"{self._data.parent.name}.{tool}.log"
        with said.open("w") as out:
            done = subprocess.run(command, cwd="/", stdout=out, stderr=out, timeout=120)
        text = said.read_text()
        assert done.returncode == 0, text
        return text
