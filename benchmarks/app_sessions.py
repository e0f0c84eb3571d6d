"""Tabs of the results app without a browser: its websocket, spoken as a browser does.

A tab fetches the page, connects with the token that stands in it, says hello, and then acts: it goes on
to the next sample, and waits until its pictures have come.
"""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

_TOKEN = re.compile(r'"token":\s*"([^"]+)"')
_SUBPROTOCOL = "bokeh"
WAIT_S = 60.0


class Tab:
    """One tab on the page Samples; `act` takes so many seconds."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket: WebSocketClientConnection | None = None
        self._viewer = self._source = ""
        self._keys: Iterator[str] = iter(())

    async def open(self) -> None:
        """Fetch, connect, say hello, and wait until the list of samples is there."""
        address = f"{self._address}?p=samples"
        page = await AsyncHTTPClient().fetch(address, request_timeout=WAIT_S)
        token = _TOKEN.search(page.body.decode())
        assert token is not None, "the page has no token"
        request = HTTPRequest(self._address.replace("http", "ws", 1) + "/ws")
        self._socket = await websocket_connect(
            request, subprotocols=[_SUBPROTOCOL, token[1]], max_message_size=2**26
        )
        await self._receive(lambda message: message.get("msgtype") == "ACK")
        shell = (await self._find("Shell"))["id"]
        await self._event("document_ready")
        await self._tell(shell, {"type": "hello", "dark": False, "narrow": False})
        until = time.monotonic() + WAIT_S
        while not self._source:
            assert time.monotonic() < until, "the list of samples did not come"
            viewer = await self._find("Viewer")
            data = viewer["attributes"]["data"].get("attributes", {})
            if data.get("catalog"):
                keys = [dict(row["entries"])["key"] for row in data["catalog"]]
                self._viewer, self._source = viewer["id"], data["source"]
                self._keys = itertools.cycle(keys)
            else:
                await asyncio.sleep(0.2)

    async def _find(self, name: str) -> dict[str, Any]:
        """The component of this class in the document as it is now."""
        await self._send("PULL-DOC-REQ", {})
        document = await self._receive(lambda message: "doc" in message)
        return next(
            model
            for model in _models(document)
            if model.get("attributes", {}).get("class_name") == name
        )

    async def act(self) -> float:
        """Ask for the next sample, as the viewer does; seconds until its pictures are there."""
        key, began = next(self._keys), time.monotonic()
        wanted = {"type": "want", "keys": [key], "past": False, "source": self._source}
        await self._tell(self._viewer, wanted)
        await self._receive(
            lambda message: "MessageSent" in (said := json.dumps(message)) and key in said
        )
        return time.monotonic() - began

    def close(self) -> None:
        """As a tab that is closed."""
        if self._socket is not None:
            self._socket.close()

    async def _tell(self, model: str, data: dict[str, Any]) -> None:
        await self._event("data_event", ["model", {"id": model}], ["data", _encoded(data)])

    async def _event(self, name: str, *entries: list[Any]) -> None:
        event = {"type": "event", "name": name, "values": {"type": "map", "entries": list(entries)}}
        sent = {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event}
        await self._send("PATCH-DOC", {"events": [sent]})

    async def _send(self, kind: str, content: dict[str, Any]) -> None:
        assert self._socket is not None
        header = {"msgid": f"{time.monotonic_ns():X}", "msgtype": kind}
        for part in (header, {}, content):
            await self._socket.write_message(json.dumps(part))

    async def _receive(self, is_it: Any) -> dict[str, Any]:
        """The first message that is meant; those before it are read and dropped."""
        assert self._socket is not None
        until = time.monotonic() + WAIT_S
        while True:
            part = await asyncio.wait_for(self._socket.read_message(), until - time.monotonic())
            assert part is not None, "the server closed the connection"
            if isinstance(part, bytes) or not part.startswith("{"):
                continue
            message = json.loads(part)
            if is_it(message):
                return dict(message)


def _encoded(data: dict[str, Any]) -> dict[str, Any]:
    return {"type": "map", "entries": [list(pair) for pair in data.items()]}


def _models(found: Any) -> list[dict[str, Any]]:
    """Every object of a document that has an id and attributes."""
    models = []
    if isinstance(found, dict):
        if "id" in found and "attributes" in found:
            models.append(found)
        for value in found.values():
            models += _models(value)
    elif isinstance(found, list):
        for value in found:
            models += _models(value)
    return models


def resident(pid: int) -> int:
    """Bytes that a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


async def growth(address: str, pid: int, warm: int, num: int, rest_s: float) -> float:
    """Bytes that the server has grown by for each of `num` tabs opened, used and closed."""

    async def pass_by(times: int) -> None:
        for _ in range(times):
            tab = Tab(address)
            await tab.open()
            await tab.act()
            tab.close()
        await asyncio.sleep(rest_s)  # until the server has let go of the sessions

    await pass_by(warm)
    before = resident(pid)
    await pass_by(num)
    return (resident(pid) - before) / num


async def crowd(address: str, num: int, acts: int) -> list[float]:
    """Seconds of each act of `num` tabs that act once a second."""
    tabs = [Tab(address) for _ in range(num)]
    for tab in tabs:
        await tab.open()
    took: list[float] = []

    async def use(tab: Tab, delay: float) -> None:
        await asyncio.sleep(delay)
        for _ in range(acts):
            began = time.monotonic()
            took.append(await tab.act())
            await asyncio.sleep(max(0.0, 1.0 - (time.monotonic() - began)))

    await asyncio.gather(*(use(tab, i / num) for i, tab in enumerate(tabs)))
    for tab in tabs:
        tab.close()
    return took
