"""Showing what became of a batch."""

import httpx
import pytest
from tests.http.bench import Bench, report

URL = "/api/v1/batches"


async def send(client: httpx.AsyncClient, *keys: int) -> httpx.Response:
    await client.post("/api/v1/executions", json=[report(key) for key in keys])
    return await client.post("/api/v1/executions/send", headers={"X-Correlation-ID": "test-7"})


async def test_a_batch_shows_its_window_its_file_and_what_was_refused(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.refusals = {"AC2": "security_id must be 24 characters"}
    sent = (await send(client, 1, 2, 3)).json()
    answer = await client.get(f"{URL}/{sent['batchId']}")
    batch = answer.json()
    (delivery,) = batch.pop("deliveries")

    assert answer.status_code == 200
    assert batch == {
        "id": 2,
        "previousStartTime": "1900-01-02T00:00:00Z",
        "startTime": "2026-03-02T15:00:00.000001Z",
        "requestedBy": "test-7",
    }
    assert len(delivery.pop("checksum")) == 64
    assert delivery == {
        "fileName": sent["fileName"],
        "status": "partial",
        "attempts": 1,
        "recordCount": 3,
        "byteCount": len(bench.files.contents[sent["fileName"]]),
        "acceptedCount": 2,
        "rejectedCount": 1,
        "unknownCount": 0,
        "exitCode": 0,
        "error": "2 of 3 records booked, 1 refused (such as: security_id must be 24 characters)",
        "rejects": [{"sourceId": "AC2", "verdict": "refused", "reason": "security_id must be 24 characters"}],
    }


async def test_the_location_of_a_send_that_goes_on_leads_to_its_batch() -> None:
    async with Bench(with_cli=False).client() as client:
        sent = await send(client, 1)
        batch = (await client.get(sent.headers["Location"])).json()

    assert sent.status_code == 202
    assert [one["status"] for one in batch["deliveries"]] == ["written"]
    assert batch["deliveries"][0]["acceptedCount"] is None


async def test_an_empty_batch_has_no_delivery(client: httpx.AsyncClient) -> None:
    sent = (await send(client)).json()
    batch = (await client.get(f"{URL}/{sent['batchId']}")).json()

    assert batch["deliveries"] == []


@pytest.mark.parametrize(
    ("key", "status"), [("1", 404), ("4711", 404), ("-2", 404), (str(2**63), 404), ("x", 400), ("1.0", 400)]
)
async def test_what_is_no_batch_of_ours_is_an_error(client: httpx.AsyncClient, key: str, status: int) -> None:
    answer = await client.get(f"{URL}/{key}")

    assert answer.status_code == status
    assert set(answer.json()) - {"details"} == {"message", "status", "timestamp"}
