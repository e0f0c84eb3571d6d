"""Trials as flow runs of the deployment train/train: found by tag, created once, polled together.

A server that is away or starts anew is waited for. A run that stays Running without a sign of its trial
in the store is called Crashed here, and so is one that a worker took and never began: a grid does not wait
for a machine that has left.
"""

import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, TypeVar, cast
from uuid import UUID

from segnets.config.ids import digest, trial_id
from segnets.config.train import TrainConfig
from segnets.errors import ServerAway
from segnets.store.base import Store
from segnets.store.open import resolve_url
from tasks.launch import End
from tasks.signs import Signs

T = TypeVar("T")

DEPLOYMENT = "train/train"
CRASHED_S = 15.0
"""A run cancelled through its worker is Crashed for 1.5 to 5 s before it is Cancelled."""
STOP_S = 25.0
"""How long cancelled runs are watched: the worker of a grid that is itself cancelled kills it after 30 s."""
BEGIN_S = 180.0
"""How long a run that a worker took may be Pending."""
PATIENCE_S = 30.0
"""Looks that are further apart than this say nothing of the time between them."""
AWAY_S = 1800.0
"""How long a server that does not answer is waited for."""
PAUSE_S = 2.0
"""Between two questions to a server that does not answer."""
SAY_EVERY_S = 30.0
ABSENT = 5
"""So many answers in a row that do not know a run: it was deleted."""

logger = logging.getLogger("segnets.tasks")


@dataclass(slots=True)
class Run:
    """A flow run that trains a trial, `adopted` if another grid or an earlier life of this one made it.

    `crashed_at` is when we first saw it Crashed, `pending` when it was first and last seen Pending,
    `absent` the answers in a row that did not know it.
    """

    trial: str
    id: UUID
    signs: Signs
    adopted: bool
    pool: str | None
    absent: int = 0
    state: str = ""
    crashed_at: float | None = None
    pending: tuple[float, float] | None = None


class FlowRuns:
    """Starts trials as flow runs; the work pool decides how many run at a time."""

    slots = 1_000_000
    poll_s = 2.0
    given_up = False
    """Whether the server was away for too long; its runs are then left to themselves."""

    def __init__(
        self,
        client: Any,
        root: str,
        store: Store,
        is_complete: Callable[[Store, TrainConfig], bool],
    ) -> None:
        self._client, self._root = client, root
        self._store, self._is_complete = store, is_complete
        self._states: dict[UUID, Any] = {}
        self._pool_types: dict[str, str] = {}
        self._read_at = 0.0
        self._handles: dict[UUID, Run] = {}
        self._warned = False

    def start(self, config: TrainConfig, launch: int) -> Run:
        """Wait for an open run of this trial as if we had started it, else create one."""
        signs = Signs(self._store, config, self._is_complete)
        trial, store = trial_id(config), resolve_url(config.store)
        config = replace(config, store=store)
        # a search launches a trial once a rung: each of them is a run of its own
        end = f"to:{config.pause_at or 'end'}"
        marks = [f"trial:{trial}", f"store:{digest(store)[:8]}", end]
        found = self._ask(lambda: self._open_run(marks))
        adopted = found is not None
        if found is not None:
            logger.info("%s has an open flow run already: %s", trial, found.name)
        else:
            found = self._made(
                config, launch, [*marks, f"launch:{launch}"], f"{trial}:{launch}:{end}"
            )
            logger.info("flow run %s is made", found.name)
            self._ask(self._warn_without_worker)
        run = Run(trial, found.id, signs, adopted, found.work_pool_name)
        self._handles[run.id] = run
        return run

    def _made(self, config: TrainConfig, launch: int, tags: list[str], key: str) -> Any:
        """A new run; its key makes it one, however often it is asked for.

        A grid that is retried counts its launches from 1 again, so the keys of its earlier lives may
        name runs that have ended.
        """
        name = _run_name(trial_id(config), launch, config.pause_at)
        life = 0
        while True:
            whole = f"{self._root}:{key}:{life}"
            found = self._ask(partial(self._create, config, name, tags, whole))
            if found.state is None or not found.state.is_final():
                return found
            life += 1

    def poll(self, handle: Run) -> End | None:
        """How the run ended, by one question for all of them every 2 s."""
        self._ask(self._read_states)
        if handle.absent >= ABSENT:
            return self._end(handle, _not_begun("its flow run was deleted"))
        state = self._states.get(handle.id)
        if state is None:
            return None
        if state.name != handle.state:
            handle.state = state.name
            logger.info("%s: %s", handle.trial, state.name)
        if not state.is_final():
            return self._still_open(handle, state)
        if state.is_completed():
            return self._end(handle, End(0))
        if state.is_cancelled():
            return self._end(handle, _cancelled(handle))
        message = state.message or state.name
        if not state.is_crashed():
            found = re.search(r"exit (\d+): (.*)", message, re.DOTALL)
            end = End(int(found[1]), found[2]) if found else End(1, message)
            return self._end(handle, end)
        return self._crashed(handle, message)

    def _crashed(self, handle: Run, message: str) -> End | None:
        """The end of a run that is Crashed, once it has been so for a while."""
        now = time.monotonic()
        if handle.crashed_at is None:
            handle.crashed_at = now
        if now - handle.crashed_at < CRASHED_S:
            return None
        past = self._ask(lambda: self._client.read_flow_run_states(handle.id))
        names = {state.name for state in past}
        if names & {"Cancelling", "Cancelled"}:
            return self._end(handle, _cancelled(handle))
        begun = any(state.is_running() for state in past)
        said = f"its flow run crashed ({message})"
        return self._end(handle, End(137, said, died=True, begun=begun))

    def _still_open(self, handle: Run, state: Any) -> End | None:
        handle.crashed_at = None
        if state.is_pending():
            return self._never_begun(handle)
        handle.pending = None
        return self._without_word(handle) if state.is_running() else None

    def stop(self, handles: Sequence[Run]) -> None:
        """Cancel the open runs and wait until they have saved and ended."""
        if not handles or self.given_up:
            return
        until = time.monotonic() + STOP_S
        try:
            self._cancel(handles, until)
        except ServerAway as error:
            logger.warning("%d trials were not cancelled and go on: %s", len(handles), error)

    def _cancel(self, handles: Sequence[Run], until: float) -> None:
        from prefect.states import Cancelling

        def read_anew() -> None:
            self._read_at = 0.0
            self._read_states()

        for handle in handles:
            self._set_state(handle, Cancelling(), until)
        while time.monotonic() < until:
            self._ask(read_anew, until)
            states = [self._states.get(handle.id) for handle in handles]
            if all(state is not None and state.is_final() for state in states):
                return
            time.sleep(1)

    def _without_word(self, handle: Run) -> End | None:
        """The end of a run that is said to be Running, if the store knows better."""
        from prefect.states import Completed, Crashed

        sign = handle.signs.look()
        if sign == "lives":
            return None
        if sign == "complete":
            said = "its trial is complete in the store"
            state: Any = Completed(message=said)
            end = End(0)
        else:
            said = f"the store has had no sign of its trial for {handle.signs.still_s:.0f} s"
            state = Crashed(message=said)
            end = End(137, said, died=True)
        logger.warning("%s: its flow run still says Running, but %s", handle.trial, said)
        self._set_state(handle, state)
        return self._end(handle, end)

    def _never_begun(self, handle: Run) -> End | None:
        """The end of a run that a worker took and did not begin; a process begins within seconds.

        Its worker may have died between the two, or the process could not reach the server. A pod on
        Kubernetes may wait a day for a free GPU.
        """
        from prefect.states import Crashed

        now = time.monotonic()
        since, looked_at = handle.pending or (now, now)
        if now - looked_at > PATIENCE_S:  # the server was away: nobody could say that it began
            since = now
        handle.pending = (since, now)
        if now - since < BEGIN_S or not self._is_of_processes(handle.pool):
            return None
        said = f"no process has begun it for {BEGIN_S:.0f} s"
        logger.warning("%s: its flow run still says Pending, but %s", handle.trial, said)
        self._set_state(handle, Crashed(message=said))
        return self._end(handle, _not_begun(said))

    def _is_of_processes(self, pool: str | None) -> bool:
        if pool is None:
            return False
        if pool not in self._pool_types:
            self._pool_types[pool] = self._ask(lambda: self._client.read_work_pool(pool).type)
        return self._pool_types[pool] == "process"

    def _set_state(self, handle: Run, state: Any, until: float | None = None) -> None:
        self._ask(lambda: self._client.set_flow_run_state(handle.id, state), until)

    def _ask(self, question: Callable[[], T], until: float | None = None) -> T:
        """The server's answer; ServerAway if there is none until then. Prefect's own tries end in a minute."""
        import httpx

        began = said = time.monotonic()
        until = began + AWAY_S if until is None else until
        while True:
            try:
                return question()
            except httpx.HTTPStatusError as error:
                if error.response.status_code < 500:  # an answer
                    raise
                fault: Exception = error
            except httpx.TransportError as error:
                fault = error
            now = time.monotonic()
            if now >= until:
                self.given_up = True
                raise ServerAway(
                    f"the Prefect server has not answered for {now - began:.0f} s",
                    str(self._client.api_url),
                    "Its trials go on by themselves; once it is back, run the same command again.",
                ) from fault
            if now - said >= SAY_EVERY_S or said == began:
                said = now
                logger.warning("waiting for the Prefect server %s: %s", self._client.api_url, fault)
            time.sleep(min(PAUSE_S, until - now))

    def _create(self, config: TrainConfig, name: str, tags: list[str], key: str) -> Any:
        from prefect.deployments import run_deployment
        from prefect.exceptions import ObjectNotFound

        try:
            return cast(
                "Any",  # its type allows for a coroutine, which only async callers get
                run_deployment(
                    DEPLOYMENT,
                    parameters={"config": asdict(config)},
                    timeout=0,
                    flow_run_name=name,
                    tags=tags,
                    idempotency_key=key,
                ),
            )
        except ObjectNotFound:
            raise ServerAway(
                f"the Prefect server has no deployment {DEPLOYMENT}",
                str(self._client.api_url),
                "Run make up, or set PREFECT_API_URL= to train without Prefect.",
            ) from None

    def _end(self, handle: Run, end: End) -> End:
        self._handles.pop(handle.id, None)
        return end

    def _read_states(self) -> None:
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

        if not self._handles or time.monotonic() - self._read_at < self.poll_s:
            return
        self._read_at = time.monotonic()
        ids = list(self._handles)
        for first in range(0, len(ids), 200):  # the server answers at most 200 at a time
            only = FlowRunFilter(id=FlowRunFilterId(any_=ids[first : first + 200]))
            found = self._client.read_flow_runs(flow_run_filter=only, limit=200)
            for run in found:
                if run.state is not None:
                    self._states[run.id] = run.state
            known = {run.id for run in found}
            for one in ids[first : first + 200]:
                handle = self._handles[one]
                handle.absent = 0 if one in known else handle.absent + 1

    def _open_run(self, tags: list[str]) -> Any:
        """A run of this trial, store and end that has not ended, whoever started it; else None."""
        from prefect.client.schemas.filters import (
            FlowRunFilter,
            FlowRunFilterState,
            FlowRunFilterStateType,
            FlowRunFilterTags,
        )
        from prefect.client.schemas.objects import StateType

        going = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED]
        only = FlowRunFilter(
            tags=FlowRunFilterTags(all_=tags),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=going)),
        )
        runs = self._client.read_flow_runs(flow_run_filter=only, limit=1)
        return runs[0] if runs else None

    def _warn_without_worker(self) -> None:
        """Say once that trials wait where no worker is there to take them."""
        if self._warned:
            return
        self._warned = True
        pool = self._client.read_deployment_by_name(DEPLOYMENT).work_pool_name
        workers = self._client.read_workers_for_work_pool(pool) if pool else []
        if not any(str(getattr(one.status, "value", one.status)) == "ONLINE" for one in workers):
            logger.warning("no worker of the pool %s is online; the trials wait for one", pool)


def _not_begun(sentence: str) -> End:
    return End(137, sentence, died=True, begun=False)


def _cancelled(run: Run) -> End:
    """A run of our own was cancelled for us to see; an adopted one perhaps with the grid that made it."""
    if run.adopted:
        return _not_begun("the flow run that another grid had made for it was cancelled")
    return End(143, "its flow run was cancelled", stopped=True)


def _run_name(trial: str, launch: int, pause_at: int | None) -> str:
    """What people read in the graph of a grid; a run is found by its tags, never by this."""
    stage = "" if pause_at is None else f" to epoch {pause_at}"
    return trial + stage + ("" if launch == 1 else f", launch {launch}")
