"""Visitors of the lab without a browser: they speak Streamlit's protocol, follow links and refresh as a page does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import NamedTuple

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

LARGEST = 64 * 2**20


class Switch(NamedTuple):
    """One page switch: from asking for the page until its last element has arrived."""

    view: str
    seconds: float
    size: int


@dataclass
class Visitor:
    """One open page.

    Attributes:
        address: host and port of the server.
        switches: what was measured.
        refreshes: how often a page asked for news by itself (watched runs).
        failures: pages that ended with an exception.
    """

    address: str
    switches: list[Switch] = field(default_factory=list)
    refreshes: int = 0
    failures: int = 0

    def __post_init__(self) -> None:
        self._pages: dict[str, str] = {}
        self._page = ""
        self._query = ""
        self._timers: list[asyncio.Task[None]] = []

    async def stay(self, route: Iterator[tuple[str, str]], *, until: float, pause: float) -> None:
        """Open the lab and follow a route of (view, query) with a pause after each page."""
        async with connect(
            f"ws://{self.address}/_stcore/stream", max_size=LARGEST, subprotocols=["streamlit"]
        ) as socket:  # type: ignore[list-item]
            await self._show(socket, "", "")
            while time.monotonic() < until:
                await self._listen(socket, pause)
                view, query = next(route)
                began = time.perf_counter()
                size = await self._show(socket, view, query)
                self.switches.append(Switch(view, time.perf_counter() - began, size))
            self._forget_timers()

    async def _show(self, socket: ClientConnection, view: str, query: str) -> int:
        """Ask for a page and wait until all of it has come; returns its size in bytes."""
        self._forget_timers()
        self._page, self._query = self._pages.get(view, ""), query
        await self._ask(socket)
        size = 0
        while True:
            raw = await socket.recv()
            assert isinstance(raw, bytes)
            size += len(raw)
            if await self._take(socket, raw):
                return size

    async def _listen(self, socket: ClientConnection, seconds: float) -> None:
        """Look at the page: take what comes by itself."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                raw = await asyncio.wait_for(socket.recv(), left)
            except TimeoutError:
                return
            assert isinstance(raw, bytes)
            await self._take(socket, raw)

    async def _ask(self, socket: ClientConnection, fragment: str = "") -> None:
        asked = BackMsg()
        state = asked.rerun_script
        state.query_string, state.page_script_hash = self._query, self._page
        state.fragment_id, state.is_auto_rerun = fragment, bool(fragment)
        state.context_info.timezone, state.context_info.locale = "UTC", "en-GB"
        await socket.send(asked.SerializeToString())

    async def _take(self, socket: ClientConnection, raw: bytes) -> bool:
        """One message; whether it says that a whole page is there."""
        message = ForwardMsg()
        message.ParseFromString(raw)
        kind = message.WhichOneof("type")
        if kind == "navigation":
            self._pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
            self._pages[""] = next(each.page_script_hash for each in message.navigation.app_pages if each.is_default)
        elif kind == "auto_rerun":
            self._timers.append(asyncio.create_task(self._refresh(socket, message.auto_rerun)))
        elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
            self.failures += 1
        elif kind == "script_finished":
            return bool(message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY)
        return False

    async def _refresh(self, socket: ClientConnection, clock: ForwardMsg) -> None:
        while True:
            await asyncio.sleep(clock.interval)
            self.refreshes += 1
            await self._ask(socket, clock.fragment_id)

    def _forget_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


def routes(stations: tuple[tuple[str, str], ...], count: int) -> list[Iterator[tuple[str, str]]]:
    """Each visitor begins at another station, so that all pages are asked for at any time."""
    turned = [stations[start % len(stations) :] + stations[: start % len(stations)] for start in range(count)]
    return [cycle(each) for each in turned]


async def visit(
    address: str, stations: tuple[tuple[str, str], ...], *, count: int, seconds: float, pause: float
) -> list[Visitor]:
    """Let visitors walk through the lab at the same time; they come within one pause."""
    visitors = [Visitor(address) for _ in range(count)]
    until = time.monotonic() + seconds

    async def enter(place: int) -> None:
        await asyncio.sleep(pause * place / count)
        await visitors[place].stay(routes(stations, count)[place], until=until, pause=pause)

    await asyncio.gather(*(enter(place) for place in range(count)))
    return visitors
