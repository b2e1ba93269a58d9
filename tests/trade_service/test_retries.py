"""What passes is asked again, so many times, with a pause between."""

import contextlib
import socket
from http import HTTPStatus

import pytest
import structlog.testing
from tests.trade_service.looking_up import Told, answering, found, looking_up, saying

from globeco_allocation.entrypoints.simulated.trade_service import Knobs, SimulatedTradeService


async def test_an_empty_list_may_be_early_and_is_asked_for_again() -> None:
    service = SimulatedTradeService({27: ["abc"]}, knobs=Knobs(empty_first=2))

    async with service.serve() as url, looking_up(url) as lookups:
        assert await lookups.find(27) == "abc"
        assert service.calls[27] == 3
        assert lookups.outcomes == ["found"]


async def test_an_empty_list_to_the_end_is_an_execution_not_known_yet() -> None:
    service = SimulatedTradeService()

    async with service.serve() as url, looking_up(url) as lookups:
        error = await lookups.fail(27)

    assert str(error) == "the Trade Service does not know execution service id 27 yet: try again later"
    assert error.passing
    assert service.calls[27] == 3
    assert lookups.outcomes == ["not_found"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_passing_status_is_asked_again(status: int) -> None:
    async with answering(Told(status=status), found("abc")) as server, looking_up(server.url) as lookups:
        assert await lookups.find() == "abc"
        assert server.calls == 2


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        pytest.param(Knobs(status=HTTPStatus.TOO_MANY_REQUESTS), "too busy (status 429)", id="429"),
        pytest.param(Knobs(status=HTTPStatus.SERVICE_UNAVAILABLE), "failed (status 503)", id="503"),
        pytest.param(Knobs(reset=True), "broke off", id="reset"),
        pytest.param(Knobs(hang=True), "did not answer in time", id="hang"),
        pytest.param(Knobs(drip=0.01), "did not answer in time", id="drip"),
        pytest.param(Knobs(delay=1), "did not answer in time", id="late"),
    ],
)
async def test_a_passing_fault_that_stays_fails_after_the_last_attempt(knobs: Knobs, reason: str) -> None:
    service = SimulatedTradeService({27: ["abc"]}, knobs=knobs)

    async with service.serve() as url, looking_up(url, timeout_seconds=0.1) as lookups:
        error = await lookups.fail(27)

    assert error.passing
    assert reason in str(error)
    assert str(error).endswith("for execution service id 27: try again later")
    assert service.calls[27] == 3
    assert lookups.outcomes == ["unavailable"]


async def test_nobody_there_is_a_passing_fault_told_without_the_address() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]

    async with looking_up(f"http://127.0.0.1:{port}") as lookups:
        error = await lookups.fail(27)

    assert error.passing
    assert str(error) == (
        "the Trade Service could not be reached for execution service id 27: try again later"
    )


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b'{"executions"'], id="cut off"),
        pytest.param([b"SSH-2.0-OpenSSH_9.6\r\n\r\n"], id="not HTTP"),
        pytest.param([], id="nothing"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", b"plain"],
            id="not gzip",
        ),
    ],
)
async def test_an_answer_that_breaks_off_is_a_passing_fault(chunks: list[bytes]) -> None:
    async with saying(*chunks) as url, looking_up(url, attempts=1) as lookups:
        error = await lookups.fail(27)

    assert error.passing
    assert str(error) == (
        "the connection to the Trade Service broke off for execution service id 27: try again later"
    )


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_the_number_of_calls_is_set_by_the_setting(attempts: int) -> None:
    service = SimulatedTradeService()

    async with service.serve() as url, looking_up(url, attempts=attempts) as lookups:
        await lookups.fail(27)

    assert service.calls[27] == attempts


async def test_the_pauses_double_and_vary_and_their_log_says_nothing_of_the_lookup() -> None:
    base = 0.01

    async with (
        SimulatedTradeService().serve() as url,
        looking_up(url, attempts=4, base_delay_seconds=base) as lookups,
    ):
        with structlog.testing.capture_logs() as lines:
            await lookups.fail(27)

    assert [line["retry"] for line in lines] == [1, 2, 3]
    for line, doubled in zip(lines, (base, 2 * base, 4 * base), strict=True):
        assert line.keys() == {"event", "log_level", "retry", "wait_seconds"}
        assert line["event"] == "call is tried again"
        assert doubled <= line["wait_seconds"] <= doubled + base
