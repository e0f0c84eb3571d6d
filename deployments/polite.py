"""The class of our workers, kept apart from worker.py because importing Prefect takes 1.2 s."""

import contextlib
import time
from typing import Any

import httpx
from prefect._internal.observers import FlowRunCancellingObserver
from prefect.workers.process import ProcessWorker, ProcessWorkerResult


def hear_cancels_again() -> None:
    """Let a run hear of its cancel also after a server that was away for half a minute.

    Prefect's observers (3.8.8) fall back to asking every 10 s, and end for good after three answers
    that did not come.
    """
    look = FlowRunCancellingObserver._check_for_cancelled_flow_runs  # noqa: SLF001

    async def look_again(observer: FlowRunCancellingObserver) -> None:
        with contextlib.suppress(httpx.HTTPError):
            await look(observer)

    FlowRunCancellingObserver._check_for_cancelled_flow_runs = look_again  # type: ignore[method-assign]  # noqa: SLF001


class PoliteWorker(ProcessWorker):
    """A process worker that can be told to take no more runs, and that outlives faults of the server."""

    leaving = False
    asking = False
    quiet_until = 0.0

    @classmethod
    def __dispatch_key__(cls) -> str:
        return "segnets-process"  # Prefect warns when two classes answer to one key

    async def get_and_submit_flow_runs(self) -> list[Any]:
        """Prefect's, which gives up after a minute and a half of errors: this one goes on asking."""
        if self.leaving:
            return []
        self.asking = True
        try:
            return await super().get_and_submit_flow_runs()
        except httpx.HTTPError as error:
            self.say_away(error)
            return []
        finally:
            self.asking = False

    async def sync_with_backend(self) -> None:
        """Prefect's, which gives up likewise; the first time a server that is away is a fault."""
        try:
            await super().sync_with_backend()
        except httpx.HTTPError as error:
            if not self._has_successfully_synced:
                raise
            self.say_away(error)

    def say_away(self, error: Exception) -> None:
        """That the server has a fault, once in half a minute."""
        if time.monotonic() >= self.quiet_until:
            self.quiet_until = time.monotonic() + 30
            self._logger.warning("waiting for the Prefect server: %s", _first_line(error))

    async def run(self, flow_run: Any, configuration: Any, task_status: Any = None) -> Any:
        """Prefect's, unless the run was cancelled since it was taken: Prefect would train it all the same."""
        with contextlib.suppress(httpx.HTTPError):  # who cannot be asked has not cancelled it
            state = (await self.client.read_flow_run(flow_run.id)).state
            if state is not None and not state.is_pending():
                self._logger.warning(
                    "run %s is not begun: it is %s by now", flow_run.name, state.name
                )
                if task_status is not None:
                    task_status.started(None)
                return ProcessWorkerResult(identifier="", status_code=0)
        return await super().run(flow_run, configuration, task_status)

    async def _cancel_run(self, flow_run_id: Any) -> None:
        try:
            await super()._cancel_run(flow_run_id)
        except httpx.HTTPError as error:  # the server calls it Cancelled after five minutes
            self._logger.warning(
                "run %s could not be called Cancelled: %s", flow_run_id, _first_line(error)
            )

    async def _submit_run(self, flow_run: Any) -> None:
        """Prefect's (3.8.8), which ends the whole worker if the server answers here with an error.

        The run is still scheduled then: this worker or another asks for it again.
        """
        try:
            await super()._submit_run(flow_run)
        except Exception as error:  # noqa: BLE001  # whatever it is, the other runs go on
            self._logger.warning(
                "run %s is not begun, the server has a fault: %s",
                flow_run.name,
                _first_line(error),
            )
            self._submitting_flow_run_ids.discard(flow_run.id)
            if self._cancelling_observer is not None:
                self._cancelling_observer.remove_in_flight_flow_run_id(flow_run.id)
            self._release_limit_slot(flow_run.id)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
