"""``globeco-allocation send`` asks a running service, and its exit code says what came of it."""

import json
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from tests.http_double import Handler, serving

from globeco_allocation.entrypoints.cli import main
from globeco_allocation.entrypoints.exit_codes import ExitCode

SENT = {
    "processedCount": 3,
    "fileName": "transactions_20260302_150000_7.csv",
    "status": "success",
    "message": "All 3 executions were booked.",
    "batchId": 7,
    "jobName": "",
    "jobStatus": "",
    "executionMode": "subprocess",
}
REQUESTS: list[tuple[str, str, bytes]] = []

Answer = Callable[[int, bytes], str]


@contextmanager
def answering(status: int, body: bytes) -> Generator[str]:
    """Serve one answer to every POST."""

    class Service(Handler):
        def take(self) -> None:
            REQUESTS.append((self.path, self.headers["Prefer"], self.body()))
            self.answer(status, body)

    with serving(Service) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def raw(sent: bytes, drip: float | None = None) -> Generator[str]:
    """Send these bytes to one caller and break off; with *drip*, a byte every so many seconds instead."""
    over = threading.Event()

    def serve() -> None:
        with listener.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(sent)
            with suppress(OSError):
                while drip and not over.wait(drip):
                    connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join(10)


@pytest.fixture
def answer() -> Generator[Answer]:
    REQUESTS.clear()
    with ExitStack() as stack:
        yield lambda status, body: stack.enter_context(answering(status, body))


def error(status: int) -> bytes:
    return json.dumps(
        {"message": "It did not work.", "status": status, "timestamp": "2026-03-02T15:00:00Z"}
    ).encode()


def test_it_says_what_was_sent(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["send", "--url", answer(200, json.dumps(SENT).encode()), "--wait", "20"])

    printed = capsys.readouterr().out
    assert code == ExitCode.OK
    assert "All 3 executions were booked." in printed
    assert "batch 7, 3 executions, file transactions_20260302_150000_7.csv" in printed
    assert REQUESTS == [("/api/v1/executions/send", "wait=20", b"{}")]


def test_it_prints_the_answer_as_it_came(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps(SENT)

    assert main(["send", "--json", "--url", answer(200, body.encode())]) == ExitCode.OK
    assert capsys.readouterr().out == f"{body}\n"


def test_a_partial_delivery_has_an_exit_code_of_its_own(answer: Answer) -> None:
    body = json.dumps({**SENT, "status": "partial"}).encode()

    assert main(["send", "--url", answer(200, body)]) == ExitCode.PARTIAL


def test_what_goes_on_in_the_service_has_an_exit_code_of_its_own(
    answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps({**SENT, "status": "processing"}).encode()

    assert main(["send", "--url", answer(202, body)]) == ExitCode.UNDER_WAY
    assert "batch 7" in capsys.readouterr().out


def test_a_schedule_takes_what_goes_on_in_the_service_for_done_and_nothing_else(answer: Answer) -> None:
    asked = ["send", "--under-way-is-fine", "--url"]

    assert main([*asked, answer(202, json.dumps({**SENT, "status": "processing"}).encode())]) == ExitCode.OK
    assert main([*asked, answer(500, error(500))]) == ExitCode.FAILED
    assert main([*asked, answer(503, error(503))]) == ExitCode.TRY_AGAIN
    assert main([*asked, answer(200, json.dumps({**SENT, "status": "partial"}).encode())]) == ExitCode.PARTIAL


@pytest.mark.parametrize("status", [409, 503])
def test_what_may_work_later_is_to_be_tried_again(
    answer: Answer, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["send", "--url", answer(status, error(status))])

    assert code == ExitCode.TRY_AGAIN
    assert "It did not work." in capsys.readouterr().err


def test_a_failed_delivery_says_which_batch_it_is(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps({**json.loads(error(500)), "details": {**SENT, "status": "failed"}}).encode()

    assert main(["send", "--url", answer(500, body)]) == ExitCode.FAILED
    assert "batch 7" in capsys.readouterr().out


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[]"])
def test_a_gateway_that_finds_no_service_is_to_be_tried_again(
    answer: Answer, status: int, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", "--url", answer(status, body)]) == ExitCode.TRY_AGAIN
    assert f"The service is away: {status}" in capsys.readouterr().err


@pytest.mark.parametrize("status", [200, 503])
def test_an_answer_that_breaks_off_is_to_be_tried_again(status: int) -> None:
    head = f"HTTP/1.1 {status} So\r\nContent-Length: 1000\r\n\r\n"
    with raw(f'{head}{{"message": "All'.encode()) as url:
        assert main(["send", "--url", url]) == ExitCode.TRY_AGAIN


def test_an_answer_that_drips_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("globeco_allocation.entrypoints.commands.send._ANSWER_SECONDS", 0.5)
    with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", drip=0.1) as url:
        assert main(["send", "--url", url, "--wait", "0"]) == ExitCode.TRY_AGAIN
    assert "no answer" in capsys.readouterr().err


def test_a_file_that_is_not_written_yet_is_not_said_to_be_there(
    answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    claimed = {**SENT, "status": "processing", "processedCount": 0, "message": "Its file is being written."}
    code = main(["send", "--wait", "0", "--url", answer(202, json.dumps(claimed).encode())])

    assert code == ExitCode.UNDER_WAY
    assert "batch 7, to be written: file transactions_20260302_150000_7.csv" in capsys.readouterr().out


def test_a_proxy_is_not_asked_for_this_machine(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)

    assert main(["send", "--url", answer(200, json.dumps(SENT).encode())]) == ExitCode.OK


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"\xff"])
def test_another_server_s_answer_is_a_failure(answer: Answer, body: bytes) -> None:
    assert main(["send", "--url", answer(200, body)]) == ExitCode.FAILED


def test_nobody_there_is_to_be_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    assert main(["send", "--url", f"http://127.0.0.1:{port}"]) == ExitCode.TRY_AGAIN
    assert "no answer" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:8089", "http://", "http://a b"])
def test_an_address_that_is_none_is_a_failure(url: str) -> None:
    assert main(["send", "--url", url]) == ExitCode.FAILED
