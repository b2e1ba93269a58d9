"""``POST /api/v1/executions`` with deferral on (design, "Deferral")."""

import asyncio
import json
from collections.abc import AsyncGenerator

import httpx
import pytest
from structlog.testing import capture_logs
from tests.http.bench import PORTFOLIO, Bench, report

from globeco_allocation.adapters.memory.portfolios import MemoryPortfolios
from globeco_allocation.domain.errors import LookupFailedError
from globeco_allocation.entrypoints import logs

URL = "/api/v1/executions"
PATIENCE = 10.0


class FailingOnce(MemoryPortfolios):
    """Knows every execution, but not at the first question."""

    async def portfolio_of(self, execution_service_id: int) -> str:
        self.asked.append(execution_service_id)
        if len(self.asked) == 1:
            raise LookupFailedError("not known yet", passing=True)
        return PORTFOLIO


@pytest.fixture
def bench() -> Bench:
    return Bench(most_deferred=3)


@pytest.fixture
async def client(bench: Bench) -> AsyncGenerator[httpx.AsyncClient]:
    async with bench.client() as client:
        yield client


async def post(client: httpx.AsyncClient, *records: object) -> httpx.Response:
    return await client.post(URL, content=json.dumps(list(records)))


async def test_a_record_that_waits_is_deferred_and_counts_as_processed(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.portfolios.fail(27)

    answer = await post(client, report(27), report(28))

    assert answer.status_code == 201
    assert answer.json() == {
        "processedCount": 2,
        "skippedCount": 0,
        "errorCount": 0,
        "results": [
            {"executionServiceId": 27, "status": "deferred"},
            {"executionServiceId": 28, "status": "created", "executionId": 1},
        ],
    }


async def test_deferred_and_failed_records_make_a_207(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.portfolios.fail(27)
    bench.portfolios.fail(28, message="no portfolio to book on", passing=False)

    answer = await post(client, report(27), report(28), report(29, quantity=0))

    assert answer.status_code == 207
    assert [one["status"] for one in answer.json()["results"]] == ["deferred", "error", "error"]
    assert (answer.json()["processedCount"], answer.json()["errorCount"]) == (1, 2)


async def test_beyond_the_limit_a_record_fails_and_says_so(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.portfolios.fail(message="the Trade Service is away")
    await post(client, *(report(key) for key in (1, 2, 3)))

    answer = await post(client, report(4))

    assert answer.status_code == 400
    assert answer.json()["results"] == [
        {
            "executionServiceId": 4,
            "status": "error",
            "error": "the Trade Service is away (it cannot wait here: 3 executions do already)",
        }
    ]


async def test_one_that_waits_is_no_execution_yet(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.portfolios.fail(27)
    await post(client, report(27))

    listed = await client.get(URL)
    sent = await client.post(f"{URL}/send")

    assert listed.json()["pagination"]["totalElements"] == 0
    assert sent.json()["processedCount"] == 0


async def test_one_that_waits_is_looked_up_at_once_and_skipped_from_then_on(bench: Bench) -> None:
    bench.portfolios = FailingOnce()
    async with bench.client() as client:
        deferred = await post(client, report(27))
        async with asyncio.timeout(PATIENCE):
            while not await bench.executions.known([27]):  # noqa: ASYNC110 (it sets no event)
                await asyncio.sleep(0.005)
        skipped = await post(client, report(27))

    assert deferred.json()["results"][0]["status"] == "deferred"
    assert skipped.json()["results"][0]["status"] == "skipped"


async def test_a_repeat_with_other_content_is_deferred_counted_and_logged(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.portfolios.fail(27)
    await post(client, report(27))

    with capture_logs() as captured:
        answer = await post(client, report(27, quantity=7))
    metrics = (await client.get("/metrics")).text

    assert answer.json()["results"] == [{"executionServiceId": 27, "status": "deferred"}]
    (line,) = [one for one in captured if one["event"] == logs.REPEAT_DIFFERS]
    assert (line["execution_service_id"], line["fields"]) == (27, ["quantity"])
    assert 'globeco_allocation_executions_total{result="deferred"} 2.0' in metrics
    assert 'globeco_allocation_executions_total{result="created"} 0.0' in metrics
    assert "globeco_allocation_executions_differing_repeats_total 1.0" in metrics
