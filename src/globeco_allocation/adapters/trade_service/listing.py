"""The Trade Service's whole list of executions, page by page (contract: Trade Service; docs/adr/0020).

A page's number is ``offset / limit``, rounded down, and its order is ours to choose: by its own id, so that
what comes while we read comes last.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus

import aiohttp
import msgspec
from yarl import URL

from globeco_allocation.domain.errors import AllocationError

_PAGE_SIZE = 500  # of up to 1000; for each it asks two other services
_LARGEST_PAGE = 8 * 1024 * 1024
_CHUNK = 65_536
_PAGE_SECONDS = 60.0
_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.5


class _Status(msgspec.Struct):
    abbreviation: str | None = None


class _Execution(msgspec.Struct, rename="camel"):
    execution_service_id: int | None = None
    execution_status: _Status | None = None
    quantity_filled: Decimal | None = None


class _Pagination(msgspec.Struct, rename="camel"):
    total_elements: int
    current_page: int
    has_next: bool


class _Answer(msgspec.Struct, rename="camel"):
    executions: list[_Execution]
    pagination: _Pagination


_DECODER = msgspec.json.Decoder(_Answer)


class ListingError(AllocationError):
    """The Trade Service's list could not be read to its end."""


@dataclass(frozen=True, slots=True)
class ListedExecution:
    """What the list says of an execution.

    Attributes:
        execution_service_id: None where it was not sent to the Execution Service yet.
        status: For instance ``FULL``; empty where there is none.
        is_filled: Whether some of it is.
    """

    execution_service_id: int | None
    status: str
    is_filled: bool


@dataclass(frozen=True, slots=True)
class ListedPage:
    """Some of the list, and how long it is."""

    executions: tuple[ListedExecution, ...]
    total: int


class ExecutionListing:
    """Reads the list.

    Args:
        session: For the calls.
        url: Of the Trade Service.
        retried: Told why a page is asked for again.
        page_size: Executions in a page.
        first_pause_seconds: Before a page is asked for again; it doubles from there.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        retried: Callable[[str], None],
        *,
        page_size: int = _PAGE_SIZE,
        first_pause_seconds: float = _FIRST_PAUSE_SECONDS,
    ) -> None:
        self._session = session
        self._url = URL(url) / "api" / "v2" / "executions"
        self._retried = retried
        self._page_size = page_size
        self._first_pause_seconds = first_pause_seconds

    async def pages(self) -> AsyncGenerator[ListedPage]:
        """Yield page after page, until there is none left.

        Raises:
            ListingError: a page could not be had, however often it was asked for, or is none.
        """
        number = 0
        while True:
            answer = await self._page(number)
            if answer.pagination.current_page != number:
                raise ListingError("the Trade Service answered with another page than was asked for")
            yield ListedPage(tuple(map(_listed, answer.executions)), answer.pagination.total_elements)
            if not answer.pagination.has_next:
                return
            number += 1

    async def _page(self, number: int) -> _Answer:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with asyncio.timeout(_PAGE_SECONDS):
                    return await self._ask(number)
            except (aiohttp.ClientError, OSError, _PassingError) as error:  # a TimeoutError is an OSError
                reason = str(error) if isinstance(error, _PassingError) else type(error).__name__
                if attempt == _ATTEMPTS:
                    raise ListingError(
                        f"the Trade Service did not give page {number} of its executions ({reason}) in"
                        f" {_ATTEMPTS} attempts: try again later"
                    ) from error
                self._retried(f"page {number}: {reason}, asked for again")
            await asyncio.sleep(self._first_pause_seconds * 2 ** (attempt - 1))
        raise AssertionError(number)

    async def _ask(self, number: int) -> _Answer:
        query = {"limit": str(self._page_size), "offset": str(number * self._page_size), "sort": "id"}
        async with self._session.get(self._url.with_query(query), allow_redirects=False) as response:
            status = response.status
            if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise _PassingError(f"status {status}")
            if status != HTTPStatus.OK:
                raise ListingError(f"the Trade Service refused to list executions (status {status})")
            body = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > _LARGEST_PAGE:
                    raise ListingError(f"page {number} of the Trade Service's executions is too large")
        try:
            return _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ListingError(f"page {number} of the Trade Service's executions cannot be read") from error


class _PassingError(Exception):
    """An answer that may be another one the next time."""


def _listed(one: _Execution) -> ListedExecution:
    status = one.execution_status.abbreviation if one.execution_status else None
    return ListedExecution(one.execution_service_id, status or "", bool(one.quantity_filled))
