"""``POST /api/v1/executions`` (design, "Create")."""

import asyncio
import json

import httpx
import pytest
from structlog.testing import capture_logs
from tests.http.bench import Bench, report

from globeco_allocation.domain.errors import StoreUnavailableError
from globeco_allocation.entrypoints import logs

URL = "/api/v1/executions"


async def post(client: httpx.AsyncClient, *records: object) -> httpx.Response:
    return await client.post(URL, content=json.dumps(list(records)))


def error_of(answer: httpx.Response, position: int = 0) -> str:
    result = answer.json()["results"][position]
    assert result["status"] == "error"
    return result["error"]


async def test_a_new_execution_is_created(client: httpx.AsyncClient) -> None:
    answer = await post(client, report(27))

    assert answer.status_code == 201
    assert answer.json() == {
        "processedCount": 1,
        "skippedCount": 0,
        "errorCount": 0,
        "results": [{"executionServiceId": 27, "status": "created", "executionId": 1}],
    }


async def test_a_known_execution_is_skipped_and_named(client: httpx.AsyncClient) -> None:
    await post(client, report(27))
    answer = await post(client, report(27))

    assert answer.status_code == 201
    assert answer.json()["results"] == [
        {"executionServiceId": 27, "status": "skipped", "error": "execution already exists", "executionId": 1}
    ]


async def test_an_id_twice_in_a_request_is_created_once(client: httpx.AsyncClient) -> None:
    answer = await post(client, report(27), report(27))

    assert answer.status_code == 201
    assert [one["status"] for one in answer.json()["results"]] == ["created", "skipped"]
    assert [one["executionId"] for one in answer.json()["results"]] == [1, 1]


async def test_an_open_execution_is_skipped_without_an_id_of_ours(client: httpx.AsyncClient) -> None:
    answer = await post(client, report(27, isOpen=True))

    assert answer.status_code == 201
    assert answer.json()["results"] == [
        {"executionServiceId": 27, "status": "skipped", "error": "execution is still open"}
    ]


async def test_an_execution_that_is_invalid_and_open_is_an_error(client: httpx.AsyncClient) -> None:
    answer = await post(client, report(27, isOpen=True, quantity=0))

    assert answer.status_code == 400
    assert error_of(answer) == "quantity must be greater than 0"


@pytest.mark.parametrize("is_open", [..., None, False], ids=["absent", "null", "false"])
async def test_is_open_means_false_when_it_is_absent(client: httpx.AsyncClient, is_open: object) -> None:
    answer = await post(client, report(27, isOpen=is_open))

    assert answer.json()["processedCount"] == 1


async def test_results_keep_the_order_and_counts_add_up(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.portfolios.fail(4, message="the Trade Service does not know execution 4")
    answer = await post(
        client, report(3, isOpen=True), report(4), report(1), 7, report(2, quantity="1"), report(1)
    )

    body = answer.json()
    assert answer.status_code == 207
    assert [one["executionServiceId"] for one in body["results"]] == [3, 4, 1, 0, 2, 1]
    assert [one["status"] for one in body["results"]] == [
        "skipped",
        "error",
        "created",
        "error",
        "error",
        "skipped",
    ]
    assert (body["processedCount"], body["skippedCount"], body["errorCount"]) == (1, 2, 3)
    assert error_of(answer, 1) == "the Trade Service does not know execution 4"


async def test_a_request_in_which_all_records_fail_is_a_400_with_the_results(
    client: httpx.AsyncClient,
) -> None:
    answer = await post(client, report(1, quantity=0), report(2, ticker=""))

    assert answer.status_code == 400
    assert answer.json()["errorCount"] == 2
    assert error_of(answer, 1) == "ticker must not be empty"


@pytest.mark.parametrize("count", [1, 100])
async def test_as_many_records_as_allowed_are_taken(client: httpx.AsyncClient, count: int) -> None:
    answer = await post(client, *(report(key) for key in range(1, count + 1)))

    assert answer.status_code == 201
    assert answer.json()["processedCount"] == count


@pytest.mark.parametrize("count", [0, 101])
async def test_too_few_or_too_many_records_are_refused_as_a_whole(
    bench: Bench, client: httpx.AsyncClient, count: int
) -> None:
    answer = await post(client, *(report(key) for key in range(1, count + 1)))

    assert answer.status_code == 400
    assert answer.json()["message"] == f"The body must hold between 1 and 100 executions, and holds {count}."
    assert bench.portfolios.asked == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is not valid JSON."),
        (b"[{]", "The body is not valid JSON."),
        (b"\xff\xfe[\x00]\x00", "The body is not valid JSON."),
        (b"[NaN", "The body is not valid JSON."),
        (b"{}", "The body must be a JSON array of executions."),
        (b'"x"', "The body must be a JSON array of executions."),
        (b"null", "The body must be a JSON array of executions."),
        (b"[" * 100_000, "The body is nested too deeply."),
    ],
    ids=["empty", "broken", "utf-16", "unended", "object", "text", "null", "deep"],
)
async def test_a_body_that_is_no_array_is_refused(
    client: httpx.AsyncClient, body: bytes, message: str
) -> None:
    answer = await client.post(URL, content=body)

    assert answer.status_code == 400
    assert answer.json()["message"] == message


async def test_the_content_type_does_not_matter(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, content=json.dumps([report()]), headers={"Content-Type": "text/csv"})

    assert answer.status_code == 201


async def test_other_content_under_a_known_id_is_logged_and_counted_and_nothing_is_overwritten(
    client: httpx.AsyncClient,
) -> None:
    await post(client, report(27))
    with capture_logs() as lines:
        answer = await post(client, report(27, averagePrice=11, ticker="secret ticker"))

    kept = await client.get("/api/v1/executions/1")
    (line,) = [one for one in lines if one["event"] == logs.REPEAT_DIFFERS]
    assert answer.json()["results"][0]["error"] == "execution already exists"
    assert kept.json()["averagePrice"] == 10
    assert line["fields"] == ["ticker", "averagePrice"]
    assert (line["execution_service_id"], line["execution_id"]) == (27, 1)
    assert "secret ticker" not in str(lines)
    assert "globeco_allocation_executions_differing_repeats_total 1.0" in (await client.get("/metrics")).text


async def test_when_the_database_is_away_the_answer_is_503_and_says_so(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.database.available = False
    answer = await post(client, report(27))

    assert answer.status_code == 503
    assert answer.json()["message"] == "The database cannot be reached; try again later."


class SlowLookups:
    """Lookups that begin, and end when they are told to."""

    def __init__(self, bench: Bench) -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self._portfolio_of = bench.portfolios.portfolio_of
        bench.portfolios.portfolio_of = self.portfolio_of  # every lookup of the bench

    async def portfolio_of(self, execution_service_id: int) -> str:
        self.began.set()
        await self.may_end.wait()
        return await self._portfolio_of(execution_service_id)


async def is_created(client: httpx.AsyncClient, base: str = "") -> bool:
    async with asyncio.timeout(5):
        while (await client.get(f"{base}{URL}/1")).is_error:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return True


async def test_a_caller_that_hangs_up_does_not_stop_the_work_on_its_records(bench: Bench) -> None:
    lookups = SlowLookups(bench)
    body = json.dumps([report(27)]).encode()
    head = f"POST {URL} HTTP/1.1\r\nHost: allocation\r\nContent-Length: {len(body)}\r\n\r\n"
    async with bench.server() as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + body)
        await asyncio.wait_for(lookups.began.wait(), 5)
        writer.close()
        await writer.wait_closed()
        lookups.may_end.set()

        async with httpx.AsyncClient() as client:
            assert await is_created(client, f"http://127.0.0.1:{port}")


async def test_work_goes_on_when_the_server_cancels_the_request(bench: Bench) -> None:
    lookups = SlowLookups(bench)
    async with bench.client() as client:
        request = asyncio.create_task(post(client, report(27)))
        await asyncio.wait_for(lookups.began.wait(), 5)
        request.cancel()
        await asyncio.wait((request,))
        lookups.may_end.set()

        assert request.cancelled()
        assert await is_created(client)
        assert 'executions_total{result="created"} 1.0' in (await client.get("/metrics")).text


async def test_the_apps_end_waits_for_records_whose_caller_is_gone(bench: Bench) -> None:
    lookups = SlowLookups(bench)
    async with bench.client() as client:
        request = asyncio.create_task(post(client, report(27)))
        await asyncio.wait_for(lookups.began.wait(), 5)
        request.cancel()
        asyncio.get_running_loop().call_later(0.05, lookups.may_end.set)

    assert await bench.executions.get(1) is not None


async def test_work_that_fails_when_its_caller_has_gone_is_logged(bench: Bench) -> None:
    lookups = SlowLookups(bench)
    with capture_logs() as lines:
        async with bench.client() as client:
            request = asyncio.create_task(post(client, report(27)))
            await asyncio.wait_for(lookups.began.wait(), 5)
            request.cancel()
            await asyncio.wait((request,))
            bench.database.available = False
            lookups.may_end.set()

    (line,) = [one for one in lines if one["event"] == logs.WORK_FAILED]
    assert isinstance(line["exc_info"], StoreUnavailableError)
