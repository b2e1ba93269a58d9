"""The simulated Trade Service answers as the real one was recorded (data/trade-service)."""

import asyncio
import json
import re
import signal
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from tests.simulated.calling import KNOWN, ONE, PATIENCE, Answer, Caller, calling

from globeco_allocation.entrypoints.simulated.trade_service import (
    PATH,
    PORTFOLIO_IDS,
    Knobs,
    SimulatedTradeService,
    invented_portfolio,
)

RECORDED = Path(__file__).parent.parent / "data" / "trade-service"


def recorded(name: str) -> dict[str, Any]:
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def shape(value: object) -> object:
    """Keep the keys in their order and the kinds of the values."""
    if isinstance(value, dict):
        return [(key, shape(member)) for key, member in cast("dict[str, object]", value).items()]
    if isinstance(value, list):
        return [shape(element) for element in cast("list[object]", value)]
    return "number" if isinstance(value, (int, float)) else type(value).__name__


RECORDED_ANSWERS = sorted(
    path.stem for path in RECORDED.glob("*.json") if path.stem not in {"not-observed", "database-down"}
)


@pytest.mark.parametrize("name", RECORDED_ANSWERS)
async def test_it_answers_with_the_recorded_status_content_type_and_portfolios(name: str) -> None:
    case = recorded(name)

    async with calling(SimulatedTradeService(KNOWN)) as caller:
        answer = await caller.get(case["request"].removeprefix("GET "))

    assert (answer.status, answer.content_type) == (case["status"], case["content_type"])
    if case["content_type"].startswith("text/plain"):
        assert answer.body == case["body_text"]
    elif case["status"] == HTTPStatus.OK and name != "bad-empty-id":
        expected = Answer(case["status"], case["content_type"], case["body_text"])
        assert answer.portfolio_ids() == expected.portfolio_ids()
        assert answer.json()["pagination"] == expected.json()["pagination"]


@pytest.mark.parametrize("name", ["found", "found-portfolio-id-not-24", "not-found", "bad-limit"])
async def test_its_answers_have_every_key_in_the_recorded_order(name: str) -> None:
    case = recorded(name)

    async with calling(SimulatedTradeService(KNOWN)) as caller:
        answer = await caller.get(case["request"].removeprefix("GET "))

    assert shape(answer.json()) == shape(json.loads(case["body_text"]))


async def test_the_usual_answer_is_the_recorded_one_byte_for_byte_but_for_its_own_row_numbers() -> None:
    case = recorded("found")
    row_numbers = re.compile(
        r'(?<=\{"executions":\[\{"id":)\d+|(?<="tradeOrder":\{"id":)\d+|(?<="orderId":)\d+'
    )

    async with calling(SimulatedTradeService(KNOWN)) as caller:
        answer = await caller.ask(100)

    assert row_numbers.sub("N", answer.body) == row_numbers.sub("N", case["body_text"])


@pytest.mark.parametrize(
    "name", ["found-nulls", "found-extreme-numbers", "found-two-executions-two-portfolios"]
)
async def test_a_recorded_answer_can_be_given_byte_for_byte(name: str) -> None:
    case = recorded(name)
    asked = int(case["request"].partition("=")[2])
    service = SimulatedTradeService(knobs=Knobs(bodies={asked: case["body_text"].encode()}))

    async with calling(service) as caller:
        answer = await caller.ask(asked)

    assert answer == (case["status"], case["content_type"], case["body_text"])


async def test_a_portfolio_can_be_null_altogether() -> None:
    expected = recorded("not-observed")["found-portfolio-null"]["body"]["executions"][0]["tradeOrder"]

    async with calling(SimulatedTradeService({1: None})) as caller:
        answer = await caller.ask(1)

    (execution,) = answer.json()["executions"]
    assert execution["tradeOrder"]["portfolio"] is expected["portfolio"] is None


async def test_an_empty_id_is_no_filter_and_only_the_first_page_comes() -> None:
    async with calling(SimulatedTradeService(KNOWN)) as caller:
        answer = (await caller.get(f"{PATH}?executionServiceId=&limit=2")).json()

    assert [execution["executionServiceId"] for execution in answer["executions"]] == [27, 28]
    assert answer["pagination"] == {
        "totalElements": 10,
        "totalPages": 5,
        "currentPage": 0,
        "pageSize": 2,
        "hasNext": True,
        "hasPrevious": False,
    }


@pytest.mark.parametrize("text", ["2147483648", "-2147483649", "1.0", "0x1b", "٢٧", "9" * 5000])
async def test_an_id_that_is_no_32_bit_integer_is_refused_in_plain_text(text: str) -> None:
    async with calling(SimulatedTradeService(KNOWN)) as caller:
        answer = await caller.ask(text)

    assert answer == (400, "text/plain;charset=UTF-8", f'For input string: "{text}"')


@pytest.mark.parametrize("text", ["-27", "31", "2147483647", "-2147483648"])
async def test_an_unknown_or_negative_id_finds_an_empty_list(text: str) -> None:
    async with calling(SimulatedTradeService(KNOWN)) as caller:
        answer = await caller.ask(text)

    assert (answer.status, answer.portfolio_ids()) == (200, [])


async def test_of_an_id_given_twice_the_first_counts() -> None:
    async with calling(SimulatedTradeService(KNOWN)) as caller:
        answer = await caller.ask("27&executionServiceId=29")

    assert answer.portfolio_ids() == [ONE]


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_limit_out_of_range_is_an_internal_error(limit: int) -> None:
    async with calling(SimulatedTradeService(KNOWN)) as caller:
        answer = await caller.ask(f"27&limit={limit}")

    assert answer.status == 500
    assert shape(answer.json()) == shape(json.loads(recorded("database-down")["body_text"]))


async def test_an_unknown_path_is_not_found_in_the_same_shape() -> None:
    async with calling(SimulatedTradeService(KNOWN)) as caller:
        answer = await caller.get("/api/v2/trades")

    body = answer.json()
    assert (answer.status, answer.content_type) == (404, "application/json")
    assert list(body) == ["timestamp", "status", "error", "path"]
    assert (body["status"], body["error"], body["path"]) == (404, "Not Found", "/api/v2/trades")


async def test_invented_portfolios_are_stable_valid_and_spread() -> None:
    ids = range(1, 200)

    async with calling(SimulatedTradeService({5: []}, invent=True)) as caller:
        answers = [await caller.ask(number) for number in (7, 7, 5, 0, -7)]

    invented = [invented_portfolio(7)]
    assert [answer.portfolio_ids() for answer in answers] == [invented, invented, [], [], []]
    assert {invented_portfolio(number) for number in ids} == set(PORTFOLIO_IDS)
    assert len(PORTFOLIO_IDS) == 12
    assert all(re.fullmatch("[0-9a-f]{24}", portfolio) for portfolio in PORTFOLIO_IDS)


def test_it_can_be_built_into_another_application() -> None:
    assert isinstance(SimulatedTradeService().make_app(), web.Application)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_as_a_process_it_says_where_it_listens_and_ends_well_when_told(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "globeco_allocation.entrypoints.simulated.trade_service",
        "--port=0",
        "--delay-ms=1",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode()
            answer = await Caller(line.split()[-1], session).ask(4711)
            process.send_signal(number)
            rest = await process.stdout.read()
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert line.startswith("Simulated Trade Service: http://127.0.0.1:")
    assert answer.portfolio_ids() == [invented_portfolio(4711)]
    assert (rest, code) == (b"", 0)
