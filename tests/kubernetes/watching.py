"""A watch: the changes after a resource version, as JSON lines on an open connection."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web
from tests.kubernetes.objects import Json
from tests.kubernetes.selectors import Selector
from tests.kubernetes.statuses import RefusedError, bad_request, event_line, expired
from tests.kubernetes.store import JobStore

Command = Literal["end", "drop", "cut", "expire", "bookmark"]
_LONG = (1800.0, 3600.0)
"""How long a watch lasts whose caller names no time, in seconds."""


@dataclass(eq=False)
class Watch:
    """One open watch.

    Attributes:
        selected: Which Jobs it is about.
        version: Where it goes on; None: with the Jobs as they are now.
        timeout: After how many seconds the server ends it.
        bookmarks: Whether its caller asked for bookmarks.
    """

    selected: Selector
    version: int | None
    timeout: float
    bookmarks: bool
    commands: list[Command] = field(default_factory=list[Command])
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, command: Command) -> None:
        """Do something to this watch: see `Watches`."""
        self.commands.append(command)
        self.told.set()


def watch_wanted(query: dict[str, str], selected: Selector) -> Watch:
    """The watch that a query asks for.

    Raises:
        RefusedError: 400, a number is none.
    """
    try:
        version = int(query.get("resourceVersion") or 0)
        seconds = int(query.get("timeoutSeconds") or 0)
    except ValueError:
        raise bad_request("resourceVersion and timeoutSeconds are numbers") from None
    timeout = float(seconds) if seconds > 0 else random.uniform(*_LONG)  # noqa: S311
    bookmarks = query.get("allowWatchBookmarks", "").lower() in {"true", "1"}
    return Watch(selected, version or None, timeout, bookmarks)


@dataclass
class Watches:
    """All open watches.

    Attributes:
        gone_as_status: Whether a watch at a forgotten version is refused with the HTTP status 410; otherwise
            it is opened, and told so in an ERROR event, as an API server with a watch cache does.
    """

    store: JobStore
    gone_as_status: bool = False
    open: set[Watch] = field(default_factory=set[Watch])

    def tell(self, command: Command) -> int:
        """Do something to every open watch: `end` it in order, `drop` its connection, `cut` it within a
        line, `expire` it with an ERROR event 410, or send it a `bookmark`.

        Returns:
            How many there were.
        """
        for watch in self.open:
            watch.tell(command)
        return len(self.open)

    async def serve(self, request: web.Request, watch: Watch) -> web.StreamResponse:
        """Answer a watch until it ends.

        Raises:
            RefusedError: 410, where it is refused by status.
        """
        gone = self._gone(watch)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self.open.add(watch)
        try:
            if gone is not None:
                await response.write(event_line("ERROR", gone.status))
            else:
                await self._stream(request, response, watch)
        finally:
            self.open.discard(watch)
        return response

    def _gone(self, watch: Watch) -> RefusedError | None:
        try:
            self.store.check_known(self.store.version if watch.version is None else watch.version)
        except RefusedError as refused:
            if self.gone_as_status:
                raise
            return refused
        return None

    async def _stream(self, request: web.Request, response: web.StreamResponse, watch: Watch) -> None:
        ends = asyncio.get_running_loop().time() + watch.timeout
        version = watch.version
        if version is None:
            jobs, version = self.store.all(watch.selected), self.store.version
            for job in jobs:
                await response.write(event_line("ADDED", job))
        while True:
            changed = self.store.changed
            news, version = self.store.since(version), max(self.store.version, version)
            for change in news:
                if watch.selected(change.job):
                    await response.write(event_line(change.kind, change.job))
            while watch.commands:
                if await self._obey(watch.commands.pop(0), request, response, watch):
                    return
            left = ends - asyncio.get_running_loop().time()
            if left <= 0:
                return
            if changed is self.store.changed:
                await _either(changed, watch.told, left)
            watch.told.clear()

    async def _obey(
        self, command: Command, request: web.Request, response: web.StreamResponse, watch: Watch
    ) -> bool:
        """Carry a command out; whether the watch is over."""
        if command == "bookmark":
            if watch.bookmarks:
                await response.write(event_line("BOOKMARK", _bookmark(self.store.version)))
            return False
        if command == "expire":
            refused = expired("The resourceVersion for the provided watch is too old.")
            await response.write(event_line("ERROR", refused.status))
        elif command == "cut":
            jobs = self.store.all(watch.selected)
            line = event_line("MODIFIED", jobs[0]) if jobs else event_line("BOOKMARK", _bookmark(0))
            await response.write(line[: len(line) // 2])
            # The half line has to leave before the connection goes.
            await asyncio.sleep(0.05)
        if command in {"drop", "cut"} and request.transport is not None:
            request.transport.abort()
        return True


async def _either(one: asyncio.Event, other: asyncio.Event, timeout: float) -> None:  # noqa: ASYNC109
    tasks = {asyncio.ensure_future(one.wait()), asyncio.ensure_future(other.wait())}
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _bookmark(version: int) -> Json:
    return {
        "kind": "Job",
        "apiVersion": "batch/v1",
        "metadata": {"resourceVersion": str(version), "creationTimestamp": None},
        "spec": {"template": {"metadata": {"creationTimestamp": None}, "spec": {"containers": None}}},
        "status": {},
    }
