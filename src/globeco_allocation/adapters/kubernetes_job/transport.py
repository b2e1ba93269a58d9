"""HTTP to the Kubernetes API, with the two answers mended that lightkube would stumble over."""

from collections.abc import AsyncIterator

import httpx2

_OK = 200


class WatchEndedError(httpx2.TransportError):
    """A watch came to its regular end."""


class Transport(httpx2.AsyncBaseTransport):
    """Tells when a watch ends, and names the content type of an answer that has none.

    lightkube begins the next watch at once when one ends without an error: a server that ends each at once it
    would ask without a pause and without an end. And a refusal without a content type is a KeyError there.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass a request on."""
        response = await self._inner.handle_async_request(request)
        response.headers.setdefault("Content-Type", "application/octet-stream")
        stream = response.stream
        opened = response.status_code == _OK and "watch" in request.url.params
        if opened and isinstance(stream, httpx2.AsyncByteStream):
            response.stream = _EndingStream(stream)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class _EndingStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part
        raise WatchEndedError("the watch ended")

    async def aclose(self) -> None:
        await self._inner.aclose()
