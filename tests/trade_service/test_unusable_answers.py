"""Answers that will not be better the next time: the lookup fails for good, after one call."""

import pytest
from tests.trade_service.looking_up import Told, answering, found, looking_up

from globeco_allocation.adapters.trade_service.client import LARGEST_ANSWER

LONGEST_ID = "683b6b9620f302c879a5fef4"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        pytest.param(Told(b"<html>Hello</html>", content_type="text/html"), "cannot be read", id="HTML"),
        pytest.param(Told(found("abc").body[:-1]), "cannot be read", id="cut JSON"),
        pytest.param(Told(b""), "cannot be read", id="empty"),
        pytest.param(Told(b"null"), "cannot be read", id="null"),
        pytest.param(Told(b'{"content":[]}'), "cannot be read", id="another shape"),
        pytest.param(Told(b'{"executions":null}'), "cannot be read", id="null executions"),
        pytest.param(Told(b'{"executions":[{"tradeOrder":7}]}'), "cannot be read", id="wrong type"),
        pytest.param(Told(found("?").body.replace(b"?", b"\xff")), "cannot be read", id="not UTF-8"),
        pytest.param(Told(found("?").body.replace(b"?", rb"\ud800")), "cannot be read", id="half a pair"),
        pytest.param(Told(b'{"x":' + b"[" * 100_000), "cannot be read", id="deep"),
        pytest.param(Told(b" " * (LARGEST_ANSWER + 1)), "too large", id="too large"),
        pytest.param(Told(status=204), "status 204", id="204"),
        pytest.param(Told(status=404), "status 404", id="404"),
        pytest.param(Told(b"For input string", 400, "text/plain"), "status 400", id="400"),
        pytest.param(Told(status=401), "status 401", id="401"),
        pytest.param(found(""), "must not be empty", id="empty portfolio id"),
        pytest.param(found("   "), "must not be empty", id="blank portfolio id"),
        pytest.param(found(LONGEST_ID + "0"), "at most 24 characters", id="long portfolio id"),
        pytest.param(found("a\0b"), "NUL", id="NUL in portfolio id"),
        pytest.param(found(None), "names no portfolio", id="no portfolio"),
        pytest.param(found("abc", None), "names no portfolio", id="a portfolio and none"),
        pytest.param(found("abc", "abd"), "disagree", id="two portfolios"),
        pytest.param(found("abc", has_next=True), "too many executions", id="more than one page"),
        pytest.param(
            found("abc", "abc", execution_service_id=28), "other executions", id="executions of others"
        ),
    ],
)
async def test_an_unusable_answer_is_final(told: Told, reason: str) -> None:
    async with answering(told) as server, looking_up(server.url) as lookups:
        error = await lookups.fail()

    assert not error.passing
    assert server.calls == 1
    assert lookups.outcomes == ["invalid"]
    assert reason in str(error)
    assert "execution service id 27" in str(error)


async def test_a_redirect_is_not_followed() -> None:
    elsewhere = Told(status=302, headers={"Location": "/api/v2/executions?executionServiceId=28"})

    async with answering(elsewhere, found("abc")) as server, looking_up(server.url) as lookups:
        error = await lookups.fail()

    assert not error.passing
    assert server.calls == 1


@pytest.mark.parametrize("portfolio_id", ["a", LONGEST_ID])
async def test_a_portfolio_id_has_1_to_24_characters(portfolio_id: str) -> None:
    async with answering(found(portfolio_id)) as server, looking_up(server.url) as lookups:
        assert await lookups.find() == portfolio_id
        assert lookups.outcomes == ["found"]


async def test_several_executions_that_agree_name_one_portfolio() -> None:
    async with answering(found("abc", "abc   ", "abc")) as server, looking_up(server.url) as lookups:
        assert await lookups.find() == "abc"


async def test_what_the_contract_does_not_know_is_ignored_and_what_it_need_not_say_may_be_absent() -> None:
    told = Told(b'{"new":{},"executions":[{"new":1,"tradeOrder":{"portfolio":{"portfolioId":"abc"}}}]}')

    async with answering(told) as server, looking_up(server.url) as lookups:
        assert await lookups.find() == "abc"


async def test_the_largest_answer_is_still_read() -> None:
    body = found("abc").body

    async with (
        answering(Told(body + b" " * (LARGEST_ANSWER - len(body)))) as server,
        looking_up(server.url) as lookups,
    ):
        assert await lookups.find() == "abc"
