"""Plain HTTP calls to a running service, each bounded; the standard library alone, which loads at once."""

import http.client
import json
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_CALL_SECONDS = 10.0
"""A call that is answered later counts as not answered."""

_LARGEST_BODY = 16 * 1024 * 1024
_OF_A_PATH = "/%:@!$&'()*+,;=~"  # RFC 3986, 3.3; "%" begins what is encoded already


class NoAnswerError(Exception):
    """Nobody answers, or not to the end; it may be otherwise later."""


class NotTheServiceError(Exception):
    """What answers there speaks no HTTP, or the address is none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered.

    Attributes:
        status: The HTTP status.
        headers: By name in lower case.
        body: As it came.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 (it may be anything)
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Caller:
    """Calls one service.

    Args:
        url: Its address, with the path before which a gateway puts it, if any.
        authorization: The header that lets it in, with the bearer token; None: it bears none.

    Raises:
        NotTheServiceError: *url* is no address.
    """

    def __init__(self, url: str, authorization: str | None = None) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            self._place = (parts.hostname or "", parts.port)
            self._place[0].encode("idna")
        except ValueError as error:  # a name that cannot be is one, too
            raise NotTheServiceError(f"{url} is no address: {error}") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise NotTheServiceError("an address begins with http:// or https:// and names a host")
        self._is_secure = parts.scheme == "https"
        self._path = urllib.parse.quote(parts.path.rstrip("/"), safe=_OF_A_PATH)
        self._authorization = authorization

    def get(self, path: str, headers: Mapping[str, str] | None = None, *, anonymous: bool = False) -> Answer:
        """GET a path; see `NoAnswerError` and `NotTheServiceError` for what may go wrong."""
        return self._call("GET", path, None, headers or {}, anonymous=anonymous)

    def post(self, path: str, body: object) -> Answer:
        """POST a body as JSON; see `get`."""
        return self._call("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        anonymous: bool = False,
    ) -> Answer:
        sent = {"Accept": "*/*", "Connection": "close", **headers}
        if self._authorization is not None and not anonymous:
            sent["Authorization"] = self._authorization
        # A connection for each call: behind a Service, calls then reach one replica after the other.
        connection = self._connection()
        try:
            connection.request(method, f"{self._path}{path}", body, sent)
            response = connection.getresponse()
            read = response.read(_LARGEST_BODY)
            return Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, read)
        except http.client.IncompleteRead as error:
            raise NoAnswerError("the answer broke off") from error
        except http.client.RemoteDisconnected as error:
            raise NoAnswerError("it hung up without an answer") from error
        except http.client.HTTPException as error:
            raise NotTheServiceError(f"it answers no HTTP ({type(error).__name__})") from error
        except TimeoutError as error:
            raise NoAnswerError(f"no answer within {LONGEST_CALL_SECONDS:g} s") from error
        except OSError as error:
            raise NoAnswerError(error.strerror or str(error)) from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._place
        if self._is_secure:
            return http.client.HTTPSConnection(
                host, port, timeout=LONGEST_CALL_SECONDS, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(host, port, timeout=LONGEST_CALL_SECONDS)
