"""What `make doctor` asks of Prefect: the server that the settings name, its pool, queues and workers.

Each check returns what is well in a few words, or raises Fault with one sentence. Asked by plain HTTP, so
that every wait is bounded: Prefect's own client tries again for minutes.
"""

import base64
import email.utils
import functools
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from place import NEAR, Fault
from pool import POOL, QUEUES, REFUSED

ANSWER_S = 10.0
"""Seconds for one answer of the server."""
POLLED_S = 60.0
"""A queue that nobody asked for runs for so long has no worker; ours ask every 2 s, Prefect's every 10."""
WITHOUT = "none is named: flows run without Prefect. make up starts one here."


@dataclass(frozen=True)
class Api:
    """A Prefect API and what it wants to see with every question."""

    url: str
    headers: dict[str, str]

    @property
    def host(self) -> str:
        """Host of the server."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_of_make_up(self) -> bool:
        """Whether `make up` may have started it: on this machine only, and it asks for no password."""
        return self.host in NEAR and not self.headers

    def ask(
        self, path: str, body: object = None, *, anonymous: bool = False
    ) -> tuple[Any, str | None]:
        """The answer and its Date; a Fault that says why there is none, LookupError for 404."""
        request = urllib.request.Request(  # noqa: S310  # http and https only, by Prefect's settings
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", **({} if anonymous else self.headers)},
        )
        # a proxy of the environment is for the outside
        proxies = [urllib.request.ProxyHandler({})] if self.host in NEAR else []
        try:
            with urllib.request.build_opener(*proxies).open(request, timeout=ANSWER_S) as answer:
                return json.loads(answer.read() or b"null"), answer.headers.get("Date")
        except urllib.error.HTTPError as refusal:
            raise self._explain(refusal) from None
        except (OSError, ValueError) as error:
            raise Fault(
                f"the Prefect server does not answer: {self.url} ({getattr(error, 'reason', error)}). "
                + (
                    "Run make up to start it, or make down to work without it."
                    if self.is_of_make_up
                    else "Start it again where it runs, or unset PREFECT_API_URL to work without it."
                )
            ) from None

    def _explain(self, refusal: urllib.error.HTTPError) -> Exception:
        refusal.close()
        if refusal.code in {401, 403}:
            return Fault(REFUSED.format(self.url))
        if refusal.code == 404:
            return LookupError(refusal.url)
        return Fault(
            f"the Prefect server answers {refusal.code}: {refusal.url}. Read the server's log."
        )


@functools.cache
def named_api() -> Api | None:
    """The API that Prefect's settings name here, with its password or key; None if nobody named one."""
    from tasks.runs import api_url

    url = api_url()
    if url is None:
        return None
    from prefect.settings import get_current_settings

    settings = get_current_settings().api
    headers = {}
    if settings.auth_string is not None:
        secret = base64.b64encode(settings.auth_string.get_secret_value().encode()).decode()
        headers["Authorization"] = f"Basic {secret}"
    elif settings.key is not None:
        headers["Authorization"] = f"Bearer {settings.key.get_secret_value()}"
    return Api(url.rstrip("/"), headers)


def server(clocks: dict[str, float]) -> str:
    """Whether the server answers, lets us in, keeps others out, and is of our version."""
    api = named_api()
    if api is None:
        return WITHOUT
    try:
        api.ask("/health")
        theirs, date = api.ask("/admin/version")
    except LookupError:
        raise Fault(
            f"no Prefect server is there: {api.url}. The address ends in /api, as in "
            "http://127.0.0.1:4200/api."
        ) from None
    if date is not None:
        clocks["the Prefect server"] = email.utils.parsedate_to_datetime(date).timestamp() - (
            time.time()
        )
    ours = version("prefect")
    if theirs != ours:
        raise Fault(
            f"the Prefect server is another version: {theirs} at {api.url}, {ours} here. "
            "Upgrade one of them (docs/operations.md)."
        )
    if api.host not in NEAR and is_open(api):
        raise Fault(
            f"the Prefect server lets everybody in: {api.url}. "
            "Start it with PREFECT_SERVER_API_AUTH_STRING=NAME:PASSWORD, or on 127.0.0.1 only."
        )
    return f"{api.url}, Prefect {theirs}"


def is_open(api: Api) -> bool:
    """Whether the server answers somebody without a password."""
    try:
        api.ask("/admin/version", anonymous=True)
    except Fault:
        return False
    return True


def workers() -> str:
    """The pool, its queues, and for each queue a worker that asks for runs."""
    api = named_api()
    if api is None:
        return "none needed without a Prefect server"
    try:
        pool, _ = api.ask(f"/work_pools/{POOL}")
    except LookupError:
        make = "make up, or " if api.is_of_make_up else ""
        raise Fault(
            f"there is no work pool {POOL}: {api.url}. Run {make}python deployments/pool.py."
        ) from None
    if pool["is_paused"]:
        raise Fault(
            f"the work pool {POOL} is paused, nothing starts: {api.url}. "
            f"prefect work-pool resume {POOL}."
        )
    queues = {one["name"]: one for one in api.ask(f"/work_pools/{POOL}/queues/filter", {})[0]}
    found, _ = api.ask(f"/work_pools/{POOL}/workers/filter", {})
    online = sorted(one["name"] for one in found if one["status"] == "ONLINE")
    waiting = {}
    for name in QUEUES:
        if name not in queues:
            raise Fault(
                f"the pool {POOL} has no queue {name}: {api.url}. Run python deployments/pool.py."
            )
        waiting[name] = late_runs(api, name)
        if queues[name]["is_paused"]:
            raise Fault(
                f"the queue {name} is paused, {waiting[name]} runs wait: {api.url}. "
                f"prefect work-queue resume {name} --pool {POOL}."
            )
        polled = queues[name]["last_polled"]
        age = None if polled is None else datetime.now(UTC) - datetime.fromisoformat(polled)
        if age is None or age > timedelta(seconds=POLLED_S):
            since = "nobody ever asked" if age is None else f"nobody asked for {age.seconds} s"
            make = "make up, or " if api.is_of_make_up else ""
            raise Fault(
                f"no worker takes runs from the queue {name}: {since}, {waiting[name]} runs wait. "
                f"Run {make}python deployments/worker.py --queue {name}."
            )
    late = ", ".join(f"{name} {number} late" for name, number in waiting.items() if number)
    return f"{len(online)} online ({', '.join(online)}){'; ' + late if late else ''}"


def late_runs(api: Api, queue: str) -> int:
    """Runs of a queue that should have begun a minute ago."""
    due = (datetime.now(UTC) - timedelta(seconds=POLLED_S)).isoformat()
    count, _ = api.ask(
        "/flow_runs/count",
        {
            "flow_runs": {
                "state": {"type": {"any_": ["SCHEDULED"]}},
                "expected_start_time": {"before_": due},
            },
            "work_pool_queues": {"name": {"any_": [queue]}},
        },
    )
    return int(count)
