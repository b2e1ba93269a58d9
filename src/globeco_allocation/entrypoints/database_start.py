"""Getting the database ready while the service serves already (design, "Data").

A database that is away is waited for. One that will never let us in as we are set up ends the service.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from globeco_allocation.adapters.postgres.errors import DatabaseRefusedError, DatabaseUnreachableError
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks

LONGEST_PAUSE_SECONDS = 5.0

Step = Callable[[], Awaitable[None]]

_log: Any = structlog.get_logger("globeco_allocation.database")


@dataclass(frozen=True, slots=True)
class DatabaseSteps:
    """What makes the database ready, in this order.

    Both raise `DatabaseUnreachableError` when they are to be tried again.

    Attributes:
        knock: Sees whether the database lets us in.
        migrate: Brings its schema up to date; None leaves that to others.
    """

    knock: Step
    migrate: Step | None


class DatabaseStart:
    """Makes the database ready once, in the background.

    Args:
        knock: Sees whether the database lets us in.
        migrate: Brings its schema up to date; None leaves that to others.
        refused: Told, once, why the database cannot be used at all.
        first_pause_seconds: Before the second try; it doubles with each one, up to `LONGEST_PAUSE_SECONDS`.

    *knock* and *migrate* raise `DatabaseUnreachableError` when they are to be tried again.
    """

    def __init__(
        self,
        knock: Step,
        migrate: Step | None,
        refused: Callable[[str], None],
        first_pause_seconds: float = 0.5,
    ) -> None:
        self._knock = knock
        self._migrate = migrate
        self._refused = refused
        self._first_pause_seconds = first_pause_seconds
        self.migrating = migrate is not None
        """Whether the schema has still to be brought up to date."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Work on it for as long as the block lasts, or until it is done."""
        async with OwnedTasks(grace_seconds=0) as tasks:
            tasks.start(self._run())
            yield

    async def _run(self) -> None:
        try:
            await self._until_ready()
        except DatabaseRefusedError as error:
            self._refused(str(error))
        except Exception:  # noqa: BLE001 - a service that is never ready must not be silent about it
            _log.exception(logs.DATABASE_FAULT)
            self._refused("the database could not be made ready, because of a fault in the service")

    async def _until_ready(self) -> None:
        pause = self._first_pause_seconds
        while True:
            try:
                await self._knock()
                if self._migrate is not None:
                    await self._migrate()
            except DatabaseUnreachableError as error:
                _log.warning(logs.DATABASE_NOT_READY, reason=str(error), seconds=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self.migrating = False
                _log.info(logs.DATABASE_READY)
                return
