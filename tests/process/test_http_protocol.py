"""What never reaches the app: bytes that are no HTTP, and heads without a measure."""

import json
import re
import socket
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

import psutil
import pytest
from tests.process.service_process import PATIENCE_SECONDS, ServiceProcess, service_process, wait_until

MIB = 1024 * 1024
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"POST /api/v1/executions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
TOO_LARGE = "more than 65536 bytes, or are more than 200 headers"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServiceProcess]:
    """The service without a database: nothing here needs one."""
    directory: Path = tmp_path_factory.mktemp("service")
    settings = {
        "PORT": "0",
        "BIND_ADDRESS": "127.0.0.1",
        "DB_HOST": "127.0.0.1",
        "DB_PORT": "1",
        "TRADE_SERVICE_URL": "http://127.0.0.1:1",
        "OUTPUT_DIR": str(directory / "files"),
        "LOG_LEVEL": "debug",
    }
    with service_process(settings) as service:
        yield service


class Caller:
    """A connection to the service."""

    def __init__(self, service: ServiceProcess) -> None:
        port = int(service.url.rpartition(":")[2])
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def send(self, part: bytes) -> None:
        """Send it all.

        Raises:
            ConnectionError: the service has hung up.
        """
        self._socket.sendall(part)

    def answers(self) -> list[tuple[int, dict[str, str], Any]]:
        """Read to the end; return status, headers and body of each answer."""
        received = b"".join(iter(lambda: self._socket.recv(65536), b""))
        found: list[tuple[int, dict[str, str], Any]] = []
        while received:
            head, _, received = received.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            length = int(headers["content-length"])
            body, received = received[:length], received[length:]
            found.append((int(first.split()[1]), headers, json.loads(body)))
        return found


def answers_to(service: ServiceProcess, *parts: bytes) -> list[tuple[int, dict[str, str], Any]]:
    """Send the parts one after the other, and return all answers up to the connection's end."""
    with Caller(service) as caller:
        for part in parts:
            caller.send(part)
        return caller.answers()


def assert_refused(service: ServiceProcess, answer: tuple[int, dict[str, str], Any], status: int) -> None:
    found, headers, body = answer
    assert (found, body["status"]) == (status, status)
    assert set(body) == {"message", "status", "timestamp"}
    assert (headers["content-type"], headers["connection"]) == ("application/json", "close")
    (line,) = lines_of(service, headers["x-correlation-id"])
    assert (line["method"], line["route"], line["status"]) == ("other", "unmatched", status)


def lines_of(service: ServiceProcess, correlation_id: str) -> list[dict[str, Any]]:
    """Wait for the log lines of a request."""

    def look() -> list[dict[str, Any]]:
        return [line for line in tuple(service.log) if line.get("correlation_id") == correlation_id]

    wait_until(lambda: bool(look()), "the request is logged")
    return look()


def count_of(service: ServiceProcess, status: int) -> float:
    """Return how many requests that no route took were answered so."""
    sample = f'globeco_allocation_http_requests_total{{method="other",route="unmatched",status="{status}"}}'
    with urlopen(f"{service.url}/metrics", timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
        text = answer.read().decode()
    found = re.search(f"^{re.escape(sample)} (.*)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def memory_of(service: ServiceProcess) -> int:
    return psutil.Process(service.process.pid).memory_info().rss


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET / FTP/9\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        GET + b"x" * 100 + b"\x00: 1\r\n\r\n",
    ],
    ids=["a TLS greeting", "another protocol", "a length that is none", "a name that is none"],
)
def test_what_is_no_http_is_answered_in_the_error_shape_logged_and_counted(
    service: ServiceProcess, garbage: bytes
) -> None:
    before = count_of(service, 400)
    (answer,) = answers_to(service, garbage)

    assert_refused(service, answer, 400)
    assert count_of(service, 400) == before + 1


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X: " + b"x" * 65536 + b"\r\n\r\n",
        GET + b"x" * 65536 + b": x\r\n\r\n",
        GET + b"".join(b"X-%d: %s\r\n" % (at, b"x" * 1000) for at in range(70)) + b"\r\n",
        GET + b"".join(b"X-%d: x\r\n" % at for at in range(200)) + b"\r\n",
        b"GET /" + b"x" * 65536 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        GET + b"X:" + b" " * 400_000,
        CHUNKED + b"0\r\nX: " + b"x" * 65536 + b"\r\n\r\n",
        CHUNKED + b"0\r\n" + b"".join(b"X-%d: x\r\n" % at for at in range(200)) + b"\r\n",
    ],
    ids=["value", "name", "sum", "count", "address", "blanks", "trailer", "count with trailers"],
)
def test_a_head_over_the_limit_is_a_431(service: ServiceProcess, head: bytes) -> None:
    before = count_of(service, 431)
    (answer,) = answers_to(service, head)

    assert_refused(service, answer, 431)
    assert TOO_LARGE in answer[2]["message"]
    assert count_of(service, 431) == before + 1


@pytest.mark.parametrize(
    "headers",
    [
        b"X: " + b"x" * 65_000 + b"\r\n",
        b"".join(b"X-%d: x\r\n" % at for at in range(198)),
    ],
    ids=["bytes", "count"],
)
def test_a_head_within_the_limits_is_taken_however_it_comes(service: ServiceProcess, headers: bytes) -> None:
    whole = GET + headers + b"\r\n"
    last = GET + headers + b"Connection: close\r\n\r\n"
    parts = [last[at : at + 5000] for at in range(0, len(last), 5000)]
    answers = answers_to(service, whole, whole + whole, *parts)

    assert [answer[0] for answer in answers] == [200] * 4


def test_large_bodies_do_not_count_as_heads(service: ServiceProcess) -> None:
    post = b"POST /api/v1/executions HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (9000, b" " * 9000) for _ in range(30)) + b"0\r\n\r\n"
    answers = answers_to(
        service,
        post + b"\r\n" + b" " * 300_000 + CHUNKED,
        chunks + post + b"Connection: close\r\n\r\n",
        b" " * 300_000,
    )

    assert [answer[2]["message"] for answer in answers] == ["The body is not valid JSON."] * 3


@pytest.mark.parametrize(
    "begin", [GET + b"X: ", b"GET /", CHUNKED + b"0\r\nX: "], ids=["head", "url", "trailer"]
)
@pytest.mark.parametrize(("parts", "size"), [(80, MIB), (1000, 1000)], ids=["fast", "slow"])
def test_a_header_without_an_end_takes_no_memory(
    service: ServiceProcess, begin: bytes, parts: int, size: int
) -> None:
    before = memory_of(service)
    with Caller(service) as caller:
        caller.send(begin)
        for _ in range(parts):
            caller.send(b"x" * size)
        (answer,) = caller.answers()
        grown = memory_of(service) - before

    assert_refused(service, answer, 431)
    assert grown < 10 * MIB


def test_a_refused_caller_that_never_ends_is_hung_up_on(service: ServiceProcess) -> None:
    with Caller(service) as caller:
        caller.send(b"\x16\x03\r\n\r\n")
        caller.answers()
        deadline = time.monotonic() + PATIENCE_SECONDS
        with pytest.raises(ConnectionError):  # noqa: PT012 (whichever of them is the first to notice)
            while time.monotonic() < deadline:
                caller.send(b"x" * 1000)
                time.sleep(0.05)

    assert time.monotonic() < deadline


def test_white_space_around_a_header_is_none_of_it(service: ServiceProcess) -> None:
    with Caller(service) as caller:
        caller.send(GET + b"X-Correlation-ID: \t caller-8 \t \r\nConnection: close\r\n\r\n")
        ((status, headers, _),) = caller.answers()

    assert (status, headers["x-correlation-id"]) == (200, "caller-8")


def test_the_callers_correlation_id_is_kept_as_far_as_it_was_read(service: ServiceProcess) -> None:
    (answer,) = answers_to(service, GET + b"X-Correlation-ID: caller-7\r\nX: " + b"x" * 70_000 + b"\r\n\r\n")

    assert answer[1]["x-correlation-id"] == "caller-7"
    assert_refused(service, answer, 431)


def test_requests_before_the_garbage_get_their_own_answers(service: ServiceProcess) -> None:
    answers = answers_to(service, GET + b"\r\n" + GET + b"\r\n" + b"\x16\x03\r\n\r\n")

    assert [(status, body["status"]) for status, _, body in answers] == [(200, "ok"), (200, "ok")]
    assert answers[-1][1]["connection"] == "close"


def test_a_body_that_turns_into_garbage_is_a_400(service: ServiceProcess) -> None:
    (answer,) = answers_to(service, CHUNKED + b"1\r\n[\r\n", b"no length\r\n")

    assert_refused(service, answer, 400)


def test_nothing_of_this_is_a_fault_in_the_log(service: ServiceProcess) -> None:
    answers_to(service, b"\x16\x03\r\n\r\n", b"more")
    answers_to(service, CHUNKED + b"1\r\n[\r\n", b"no length\r\n")

    assert service.get("/healthz")[0] == 200
    assert [line for line in service.log if line["level"] == "error"] == []
    assert service.stderr == ""
