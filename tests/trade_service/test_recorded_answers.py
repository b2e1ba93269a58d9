"""Every answer that was recorded from the real Trade Service, and what becomes of a lookup that gets it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.trade_service.looking_up import Told, answering, looking_up

from globeco_allocation.adapters.trade_service.client import TradeServiceClient, open_session

RECORDED = Path(__file__).parent.parent / "data" / "trade-service"


class Failure(NamedTuple):
    message: str
    passing: bool
    calls: int


def final(message: str) -> Failure:
    return Failure(message, passing=False, calls=1)


def passing(message: str) -> Failure:
    return Failure(f"{message}: try again later", passing=True, calls=3)


# Each answer, the id that is asked for, and what comes of it.
EXPECTED: dict[str, tuple[int, str | Failure]] = {
    "bad-empty-id": (
        27,
        final("the Trade Service answered with other executions than those with execution service id 27"),
    ),
    "bad-id-larger-than-int32": (
        99999999999,
        final("the Trade Service refused the lookup of execution service id 99999999999 (status 400)"),
    ),
    "bad-id-not-a-number": (
        27,
        final("the Trade Service refused the lookup of execution service id 27 (status 400)"),
    ),
    "bad-limit": (27, passing("the Trade Service failed (status 500) for execution service id 27")),
    "database-down": (27, passing("the Trade Service failed (status 500) for execution service id 27")),
    "found": (100, "683b6b9620f302c879a5aa00"),
    "found-extreme-numbers": (29, "683b6b9620f302c879a5fef5"),
    "found-nulls": (28, "shortid"),
    "found-portfolio-empty": (
        101,
        final("the Trade Service names no portfolio for execution service id 101"),
    ),
    "found-portfolio-id-not-24": (106, "other-id"),
    "found-portfolio-id-null": (
        105,
        final("the Trade Service names no portfolio for execution service id 105"),
    ),
    "found-portfolio-null": (1, final("the Trade Service names no portfolio for execution service id 1")),
    "found-portfolio-service-down": (102, "683b6b9620f302c879a5aa02"),
    "found-two-executions-two-portfolios": (
        30,
        final(
            "the executions with execution service id 30 in the Trade Service disagree on the portfolio",
        ),
    ),
    "not-found": (31, passing("the Trade Service does not know execution service id 31 yet")),
}


def read_all() -> dict[str, Told]:
    answers: dict[str, Told] = {}
    for path in RECORDED.glob("*.json"):
        case: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if path.stem == "not-observed":
            for name, one in case.items():
                answers[name] = Told(json.dumps(one["body"]).encode(), one["status"])
        else:
            answers[path.stem] = Told(case["body_text"].encode(), case["status"], case["content_type"])
    return answers


ANSWERS = read_all()


def test_each_recorded_answer_has_its_expectation() -> None:
    assert ANSWERS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", sorted(EXPECTED))
async def test_a_recorded_answer_becomes_a_portfolio_or_an_error_that_a_person_understands(name: str) -> None:
    asked, expected = EXPECTED[name]

    async with answering(ANSWERS[name]) as server, looking_up(server.url) as lookups:
        if isinstance(expected, Failure):
            error = await lookups.fail(asked)

            assert Failure(str(error), error.passing, server.calls) == expected
        else:
            assert await lookups.find(asked) == expected
            assert server.calls == 1


async def test_the_question_is_the_recorded_one() -> None:
    async with answering(ANSWERS["found"]) as server, looking_up(server.url) as lookups:
        await lookups.find(100)

    (request,) = server.requests
    assert request.method == "GET"
    assert request.path_qs == "/api/v2/executions?executionServiceId=100"
    assert request.headers["Accept"] == request.headers["Content-Type"] == "application/json"


async def test_the_correlation_id_of_the_moment_goes_along() -> None:
    numbers = iter(["first", "second"])

    async with (
        answering(ANSWERS["found"]) as server,
        looking_up(server.url, headers=lambda: {"X-Correlation-ID": next(numbers)}) as lookups,
    ):
        await lookups.find(100)
        await lookups.find(100)

    assert [request.headers["X-Correlation-ID"] for request in server.requests] == ["first", "second"]


@pytest.mark.parametrize("path", ["/", "/trades", "/trades/"])
async def test_the_url_may_have_a_path_and_a_slash_at_its_end(path: str) -> None:
    async with answering(ANSWERS["found"]) as server, looking_up(server.url + path) as lookups:
        await lookups.find(100)

    assert server.requests[0].path == f"{path.rstrip('/')}/api/v2/executions"


async def test_cookies_are_not_kept() -> None:
    told = Told(ANSWERS["found"].body, headers={"Set-Cookie": "session=1"})

    async with answering(told) as server, looking_up(server.url) as lookups:
        await lookups.find(100)
        await lookups.find(100)

    assert server.calls == 2
    assert "Cookie" not in server.requests[1].headers


@pytest.mark.parametrize("url", ["", "trade-service:8082", "ftp://trade-service", "http://", "/trades"])
async def test_a_url_that_leads_nowhere_is_refused_at_once(url: str) -> None:
    async with open_session(connections=1) as session:
        with pytest.raises(ValueError, match="must begin with http"):
            TradeServiceClient(session, url, timeout_seconds=1)
