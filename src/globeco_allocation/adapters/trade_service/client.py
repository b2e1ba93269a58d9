"""One call of the Trade Service: the question, and what the answer says."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any, Protocol

import aiohttp
import msgspec
from yarl import URL

from globeco_allocation.adapters.trade_service.failures import (
    HeldUpError,
    UnavailableError,
    UnusableAnswerError,
)

LARGEST_ANSWER = 1_048_576
"""In bytes; one execution takes some 800."""

LATE_SECONDS = 0.5
"""A time limit that is noticed so much later than it was due tells of us, not of the Trade Service.

On an event loop that runs it is milliseconds. A process that was stopped, or a virtual machine that was
frozen, finds the limits of all its calls exceeded at once when it goes on, though the answers may lie there
unread.
"""

_CHUNK = 65_536
_JSON = {"Accept": "application/json", "Content-Type": "application/json"}


class WatchedCall(Protocol):
    """A call that is being watched."""

    def answered(self, status: int) -> None:
        """Take note of the answer's status."""
        ...


Watch = Callable[[URL], AbstractContextManager[WatchedCall]]
"""Watches a call of an address within its context."""


class _Portfolio(msgspec.Struct, rename="camel"):
    portfolio_id: str | None = None


class _TradeOrder(msgspec.Struct, rename="camel"):
    portfolio: _Portfolio | None = None


class _Execution(msgspec.Struct, rename="camel"):
    execution_service_id: int | None = None
    trade_order: _TradeOrder | None = None


class _Pagination(msgspec.Struct, rename="camel"):
    has_next: bool | None = None


class _Answer(msgspec.Struct, rename="camel"):
    executions: list[_Execution]
    pagination: _Pagination | None = None


_DECODER = msgspec.json.Decoder(_Answer)


class TradeServiceClient:
    """Asks the Trade Service for the executions of one id (contract: Trade Service)."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        timeout_seconds: float,
        headers: Callable[[], Mapping[str, str]] | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Ask the Trade Service at *url*, which may have a path of its own.

        Each call is watched by *watch*; *headers* are asked for meanwhile.

        Raises:
            ValueError: *url* is not an absolute http or https URL.
        """
        base = URL(url)
        if base.scheme not in {"http", "https"} or not base.host:
            raise ValueError("the Trade Service's URL must begin with http:// or https:// and name a host")
        self._session = session
        self._url = base / "api" / "v2" / "executions"
        self._timeout_seconds = timeout_seconds
        self._headers = headers
        self._watch = watch

    def portfolio_ids(self, execution_service_id: int) -> Coroutine[Any, Any, list[str | None]]:
        """Call once; return the portfolio id of each execution found, as it stands there.

        Raises:
            UnavailableError: no connection, a broken answer, none within the time limit, a status 429 or 5xx.
            HeldUpError: none within the time limit, which was noticed far too late.
            UnusableAnswerError: another status (redirects are not followed), a body that is too large or not
                of the contract's shape, several executions of which one was not asked for, or more than one
                page of them.
        """
        if self._watch is None:
            return self._portfolio_ids(execution_service_id)
        return self._watched(self._watch, execution_service_id)

    async def _watched(self, watch: Watch, execution_service_id: int) -> list[str | None]:
        with watch(self._url) as watched:
            return await self._portfolio_ids(execution_service_id, watched)

    async def _portfolio_ids(
        self, execution_service_id: int, watched: WatchedCall | None = None
    ) -> list[str | None]:
        named = f"execution service id {execution_service_id}"
        loop = asyncio.get_running_loop()
        due = loop.time() + self._timeout_seconds
        try:
            async with asyncio.timeout_at(due), self._ask(execution_service_id) as response:
                if watched is not None:
                    watched.answered(response.status)
                if response.status != HTTPStatus.OK:
                    raise _refusal(response.status, named)
                body = await _read(response, named)
        except TimeoutError as error:
            if loop.time() - due > LATE_SECONDS:
                raise HeldUpError(execution_service_id) from error
            raise UnavailableError(f"the Trade Service did not answer in time for {named}") from error
        except aiohttp.ClientConnectorError as error:
            raise UnavailableError(f"the Trade Service could not be reached for {named}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError(f"the connection to the Trade Service broke off for {named}") from error
        return _portfolio_ids(_decode(body, named), execution_service_id)

    def _ask(self, execution_service_id: int) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._session.get(
            self._url.with_query(executionServiceId=str(execution_service_id)),
            headers=self._headers() if self._headers else None,
            allow_redirects=False,
        )


@asynccontextmanager
async def open_session(*, connections: int) -> AsyncGenerator[aiohttp.ClientSession]:
    """Open the one session for all calls; its end closes every connection.

    It sets no time limit, for each call has its own. Connections idle for 15 s are closed, which is earlier
    than the Trade Service's server does it.
    """
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_JSON,
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:
        # Else it repeats a GET once by itself when the connection is lost: retries are counted and spaced by
        # us. The public way, a middleware, costs a twentieth of the call; a test notices if this one ceases.
        session._retry_connection = False  # pyright: ignore[reportPrivateUsage]
        yield session


def _refusal(status: int, named: str) -> UnavailableError | UnusableAnswerError:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return UnavailableError(f"the Trade Service is too busy (status {status}) for {named}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnavailableError(f"the Trade Service failed (status {status}) for {named}")
    return UnusableAnswerError(f"the Trade Service refused the lookup of {named} (status {status})")


async def _read(response: aiohttp.ClientResponse, named: str) -> bytes:
    length = response.content_length
    if length is not None and length <= LARGEST_ANSWER and "Content-Encoding" not in response.headers:
        return await response.read()
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise UnusableAnswerError(f"the Trade Service's answer for {named} is too large")
    return bytes(body)


def _decode(body: bytes, named: str) -> _Answer:
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableAnswerError(f"the Trade Service's answer for {named} cannot be read") from error


def _portfolio_ids(answer: _Answer, execution_service_id: int) -> list[str | None]:
    asked_for = {None, execution_service_id}
    if len(answer.executions) > 1 and any(
        one.execution_service_id not in asked_for for one in answer.executions
    ):
        # A filter that the Trade Service does not understand is dropped there, and everything comes back.
        raise UnusableAnswerError(
            "the Trade Service answered with other executions than those with"
            f" execution service id {execution_service_id}"
        )
    if answer.pagination is not None and answer.pagination.has_next:
        raise UnusableAnswerError(
            f"the Trade Service has too many executions with execution service id {execution_service_id}"
            " to tell whether they agree on the portfolio"
        )
    orders = [one.trade_order for one in answer.executions]
    return [order.portfolio.portfolio_id if order and order.portfolio else None for order in orders]
