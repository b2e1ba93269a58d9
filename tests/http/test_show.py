"""Listing executions and showing one (design, "List")."""

import json
from dataclasses import replace
from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tests.http.bench import PORTFOLIO, Bench, report

from globeco_allocation.domain.execution import Execution
from globeco_allocation.ports.executions import Page

URL = "/api/v1/executions"


@pytest.fixture
async def five(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of an app that keeps executions 1 to 5."""
    await client.post(URL, content=json.dumps([report(100 + key) for key in range(1, 6)]))
    return client


async def test_an_execution_is_shown_as_it_is_kept(client: httpx.AsyncClient) -> None:
    await client.post(
        URL,
        content=json.dumps(
            [
                report(
                    27,
                    securityId="SHORT ",
                    lastFillTimestamp="2026-03-02T09:59:02.123456789-05:00",
                    limitPrice=0.1,
                )
            ]
        ),
    )
    answer = await client.get(f"{URL}/1")

    assert answer.status_code == 200
    assert answer.json() == {
        "id": 1,
        "executionServiceId": 27,
        "isOpen": False,
        "executionStatus": "FULL",
        "tradeType": "BUY",
        "destination": "ML",
        "securityId": "SHORT",
        "portfolioId": PORTFOLIO,
        "ticker": "IBM",
        "quantity": 100,
        "limitPrice": 0.1,
        "receivedTimestamp": "2026-03-02T14:59:00Z",
        "sentTimestamp": "2026-03-02T14:59:01.500000Z",
        "lastFillTimestamp": "2026-03-02T14:59:02.123456Z",
        "quantityFilled": 100,
        "totalAmount": 1000,
        "averagePrice": 10,
        "version": 1,
    }


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("0.1", "0.1"),
        ("123456789.12345678", "123456789.12345678"),
        ("9999999999.99999999", "9999999999.99999999"),
        ("33.333333333333336", "33.33333333"),
        ("1e-8", "0.00000001"),
        ("1E+9", "1000000000"),
        ("100.000", "100"),
    ],
)
async def test_amounts_come_back_digit_by_digit_and_never_in_exponent_form(
    client: httpx.AsyncClient, sent: str, shown: str
) -> None:
    body = json.dumps([report(averagePrice="<here>")]).replace('"<here>"', sent)
    await client.post(URL, content=body)
    one = await client.get(f"{URL}/1")
    page = await client.get(URL)

    assert f'"averagePrice":{shown},' in one.text
    assert f'"averagePrice":{shown},' in page.text


async def test_what_another_program_stored_is_shown_too(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient
) -> None:
    await client.post(URL, content=json.dumps([report()]))
    kept = await bench.executions.get(1)
    assert kept is not None
    odd: Execution = replace(
        kept,
        portfolio_id=None,
        quantity=Decimal("NaN"),
        sent_timestamp=kept.sent_timestamp.astimezone(timezone(timedelta(hours=-5))),
    )

    async def get(_id: int) -> Execution:
        return odd

    monkeypatch.setattr(bench.executions, "get", get)
    answer = await client.get(f"{URL}/1")

    assert answer.json()["portfolioId"] is None
    assert answer.json()["quantity"] is None
    assert answer.json()["sentTimestamp"] == "2026-03-02T14:59:01.500000Z"


async def test_the_list_is_newest_first_and_counts_exactly(five: httpx.AsyncClient) -> None:
    answer = await five.get(URL)

    assert answer.status_code == 200
    assert [one["id"] for one in answer.json()["executions"]] == [5, 4, 3, 2, 1]
    assert answer.json()["pagination"] == {
        "totalElements": 5,
        "totalPages": 1,
        "currentPage": 0,
        "pageSize": 50,
        "hasNext": False,
        "hasPrevious": False,
    }


@pytest.mark.parametrize(
    ("query", "ids", "pages", "place"),
    [
        ("limit=2", [5, 4], 3, (0, True, False)),
        ("limit=2&offset=2", [3, 2], 3, (1, True, True)),
        ("limit=2&offset=3", [2, 1], 3, (1, False, True)),
        ("limit=2&offset=4", [1], 3, (2, False, True)),
        ("limit=5", [5, 4, 3, 2, 1], 1, (0, False, False)),
        ("limit=2&offset=5", [], 3, (2, False, True)),
        ("limit=1000&offset=9007199254740991", [], 1, (9007199254740, False, True)),
        ("limit=01&offset=000", [5], 5, (0, True, False)),
        ("sort=ticker", [5, 4, 3, 2, 1], 1, (0, False, False)),
    ],
)
async def test_a_page_says_where_it_stands(
    five: httpx.AsyncClient,
    query: str,
    ids: list[int],
    pages: int,
    place: tuple[int, bool, bool],
) -> None:
    answer = await five.get(f"{URL}?{query}")

    pagination: dict[str, Any] = answer.json()["pagination"]
    assert [one["id"] for one in answer.json()["executions"]] == ids
    assert pagination["totalPages"] == pages
    assert (pagination["currentPage"], pagination["hasNext"], pagination["hasPrevious"]) == place


async def test_the_database_is_asked_for_no_offset_that_it_could_not_count_to(
    bench: Bench, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    page = bench.executions.page

    async def watched_page(*, limit: int, offset: int) -> Page:
        asked.append(offset)
        return await page(limit=limit, offset=offset)

    monkeypatch.setattr(bench.executions, "page", watched_page)
    await client.get(f"{URL}?offset=9007199254740991")

    assert asked == [2**31 - 1]


async def test_an_empty_list_has_no_pages(client: httpx.AsyncClient) -> None:
    answer = await client.get(URL)

    assert answer.json()["executions"] == []
    assert answer.json()["pagination"]["totalPages"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=%2B1",
        "limit=1.0",
        "limit=1e2",
        "limit=",
        "limit=ten",
        "limit=%D9%A3",
        "limit=%201",
        "limit=1&limit=2",
        "limit=1&limit=1",
        "limit=99999999999999999999999999",
        "limit=%00",
        "limit=%FF",
    ],
)
async def test_a_limit_out_of_the_ordinary_is_a_400_that_names_it(
    five: httpx.AsyncClient, query: str
) -> None:
    answer = await five.get(f"{URL}?{query}")

    assert answer.status_code == 400
    assert answer.json()["details"] == {"limit": "must be one integer between 1 and 1000"}


@pytest.mark.parametrize(
    "query", ["offset=-1", "offset=", "offset=9007199254740992", "offset=0&offset=1", "offset=" + "9" * 5000]
)
async def test_an_offset_out_of_the_ordinary_is_a_400_that_names_it(
    five: httpx.AsyncClient, query: str
) -> None:
    answer = await five.get(f"{URL}?{query}")

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == ["offset"]


@pytest.mark.parametrize(
    "text", ["one", "1.0", "+1", "1e1", "%D9%A3", "0x1", "--1", "1%0A", "%00", "NaN", "%20"]
)
async def test_an_id_that_is_no_integer_is_a_400(five: httpx.AsyncClient, text: str) -> None:
    answer = await five.get(f"{URL}/{text}")

    assert answer.status_code == 400
    assert answer.json()["details"] == {"id": "must be an integer"}


@pytest.mark.parametrize("text", ["6", "0", "-1", "-0", "2147483648", "9" * 30, "-" + "9" * 5000])
async def test_an_integer_that_is_no_id_of_ours_is_a_404(five: httpx.AsyncClient, text: str) -> None:
    answer = await five.get(f"{URL}/{text}")

    assert answer.status_code == 404
    assert answer.json()["message"] == "There is no execution of this id."


@pytest.mark.parametrize("text", ["5", "0005"])
async def test_an_id_may_have_leading_zeros(five: httpx.AsyncClient, text: str) -> None:
    assert (await five.get(f"{URL}/{text}")).json()["id"] == 5


@pytest.mark.parametrize("path", [URL, f"{URL}/1"])
async def test_reading_while_the_database_is_away_is_a_503(
    bench: Bench, five: httpx.AsyncClient, path: str
) -> None:
    bench.database.available = False

    assert (await five.get(path)).status_code == 503
