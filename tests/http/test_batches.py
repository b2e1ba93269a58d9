"""Listing batches, and showing what became of one."""

from datetime import timedelta

import httpx
import pytest
from tests.dispatch.cluster import several, until
from tests.http.bench import Bench, one_portfolio_each, report

from globeco_allocation.adapters.memory.accounting import Fault
from globeco_allocation.entrypoints.http import batches

URL = "/api/v1/batches"


async def send(client: httpx.AsyncClient, *keys: int) -> httpx.Response:
    if keys:
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
        "status": "partial",
        "recordCount": 3,
        "stopped": None,
    }
    assert len(delivery.pop("checksum")) == 64
    assert delivery == {
        "fileName": sent["fileName"],
        "lane": 0,
        "part": 0,
        "status": "partial",
        "attempts": 1,
        "nextAttempt": None,
        "recordCount": 3,
        "byteCount": len(bench.files.contents[sent["fileName"]]),
        "acceptedCount": 2,
        "rejectedCount": 1,
        "unknownCount": 0,
        "exitCode": 0,
        "error": "2 of 3 records booked, 1 refused (such as: security_id must be 24 characters)",
        "claimed": "2026-03-02T15:00:00Z",
        "written": "2026-03-02T15:00:00Z",
        "started": "2026-03-02T15:00:00Z",
        "ended": "2026-03-02T15:00:00Z",
        "rejects": [{"sourceId": "AC2", "verdict": "refused", "reason": "security_id must be 24 characters"}],
        "resolutions": [],
    }


async def test_a_batch_shows_every_file_by_lane_and_part() -> None:
    bench = Bench(terms=several(lanes=3, file_max_records=2))
    bench.portfolios.portfolios = one_portfolio_each(*range(1, 13))
    async with bench.client() as client:
        sent = (await send(client, *range(1, 13))).json()
        batch = (await client.get(f"{URL}/{sent['batchId']}")).json()

    shown = [(one["lane"], one["part"]) for one in batch["deliveries"]]
    assert shown == sorted(set(shown))
    assert {lane for lane, _ in shown} == {0, 1, 2}
    assert (batch["status"], batch["recordCount"]) == ("delivered", 12)
    assert sum(one["recordCount"] for one in batch["deliveries"]) == 12


async def test_a_batch_tells_when_its_next_attempt_is_due(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.accounting.fault = Fault.SERVER_DOWN
    sent = (await send(client, 1)).json()["details"]
    batch = (await client.get(f"{URL}/{sent['batchId']}")).json()
    (delivery,) = batch["deliveries"]

    assert (batch["status"], delivery["status"]) == ("delivering", "delivering")
    assert delivery["nextAttempt"] == "2026-03-02T15:00:05Z"
    assert delivery["unknownCount"] == 1
    assert [one["verdict"] for one in delivery["rejects"]] == ["not_sent"]


async def test_what_an_attempt_rejected_is_not_shown_once_all_is_delivered(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.lost_answers = {"AC1"}
    sent = (await send(client, 1)).json()["details"]
    before = (await client.get(f"{URL}/{sent['batchId']}")).json()
    bench.clock.step(timedelta(seconds=5))
    async with bench.cluster.replica():
        await until(bench.cluster.all_delivered)
    after = (await client.get(f"{URL}/{sent['batchId']}")).json()

    assert [one["verdict"] for one in before["deliveries"][0]["rejects"]] == ["unknown"]
    assert after["deliveries"][0]["rejects"] == []
    assert after["deliveries"][0]["attempts"] == 2


async def test_what_an_operator_settled_is_shown_with_the_reason(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.refusals = {"AC1": "no such security", "AC2": "no such security"}
    await send(client, 1, 2, 3)
    await bench.resolutions.resolve_record(1, "AC1", "booked by hand", "ann")
    half = (await client.get(f"{URL}/2")).json()
    await bench.resolutions.resolve_record(1, "AC2", "never mind", "bob")
    whole = (await client.get(f"{URL}/2")).json()

    assert (half["status"], whole["status"]) == ("partial", "resolved")
    assert half["deliveries"][0]["resolutions"] == [
        {
            "sourceId": "AC1",
            "reason": "booked by hand",
            "resolvedBy": "ann",
            "resolved": "2026-03-02T15:00:00Z",
        }
    ]
    assert [one["sourceId"] for one in whole["deliveries"][0]["resolutions"]] == ["AC1", "AC2"]


async def test_the_stop_of_all_delivery_is_shown_where_it_concerns_a_batch(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    await send(client, 1)
    bench.accounting.booked["AC2"] = ("a foreign row",)
    await send(client, 2)
    await send(client, 3)
    shown = [(await client.get(f"{URL}/{key}")).json()["stopped"] for key in (2, 3, 4)]

    assert shown[0] is None
    assert shown[1] == shown[2] != None  # noqa: E711 - both are told
    assert "AC" in shown[1] or "source id" in shown[1].lower()


async def test_no_more_rejects_than_can_be_looked_at_are_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "MOST_REJECTS", 2)
    monkeypatch.setattr(batches, "MOST_REJECTS_IN_ALL", 3)
    bench = Bench(terms=several(file_max_records=4))
    bench.accounting.refusals = {f"AC{key}": "no such security" for key in range(1, 13) if key % 4}
    async with bench.client() as client:
        await send(client, *range(1, 13))
        batch = (await client.get(f"{URL}/2")).json()

    assert [len(one["rejects"]) for one in batch["deliveries"]] == [2, 1, 0]
    assert [one["rejectedCount"] for one in batch["deliveries"]] == [3, 3, 3]


async def test_the_location_of_a_send_that_goes_on_leads_to_its_batch() -> None:
    async with Bench(with_cli=False).client() as client:
        sent = await send(client, 1)
        batch = (await client.get(sent.headers["Location"])).json()

    assert sent.status_code == 202
    assert [one["status"] for one in batch["deliveries"]] == ["written"]
    assert batch["deliveries"][0]["acceptedCount"] is None
    assert batch["deliveries"][0]["started"] is None


async def test_an_empty_batch_has_no_delivery(client: httpx.AsyncClient) -> None:
    sent = (await send(client)).json()
    batch = (await client.get(f"{URL}/{sent['batchId']}")).json()

    assert (batch["status"], batch["deliveries"], batch["recordCount"]) == ("empty", [], 0)


@pytest.mark.parametrize(
    ("key", "status"), [("1", 404), ("4711", 404), ("-2", 404), (str(2**63), 404), ("x", 400), ("1.0", 400)]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_is_no_batch_of_ours_is_an_error(
    client: httpx.AsyncClient, method: str, key: str, status: int
) -> None:
    answer = await client.request(method, f"{URL}/{key}" + ("/resend" if method == "POST" else ""))

    assert answer.status_code == status
    assert set(answer.json()) - {"details"} == {"message", "status", "timestamp"}


async def test_batches_are_listed_newest_first_with_their_deliveries_summed_up(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.refusals = {"AC2": "no such security"}
    await send(client, 1, 2)
    await send(client)
    await send(client, 3)
    answer = await client.get(URL)

    assert answer.status_code == 200
    assert [
        (one["id"], one["status"], one["recordCount"], one["deliveryCount"])
        for one in answer.json()["batches"]
    ] == [(4, "delivered", 1, 1), (3, "empty", 0, 0), (2, "partial", 2, 1)]
    assert answer.json()["batches"][0]["requestedBy"] == "test-7"
    assert answer.json()["batches"][0]["previousStartTime"] == answer.json()["batches"][1]["startTime"]


async def test_a_list_of_batches_has_pages_as_the_one_of_executions(client: httpx.AsyncClient) -> None:
    for _ in range(5):
        await send(client)
    first = (await client.get(URL, params={"limit": 2})).json()
    last = (await client.get(URL, params={"limit": 2, "offset": 4})).json()
    behind = (await client.get(URL, params={"offset": 2**53 - 1})).json()

    assert [one["id"] for one in first["batches"]] == [6, 5]
    assert first["pagination"] == {
        "totalElements": 5,
        "totalPages": 3,
        "currentPage": 0,
        "pageSize": 2,
        "hasNext": True,
        "hasPrevious": False,
    }
    assert [one["id"] for one in last["batches"]] == [2]
    assert (last["pagination"]["hasNext"], last["pagination"]["currentPage"]) == (False, 2)
    assert behind["batches"] == []


async def test_a_long_page_of_batches_sums_up_every_one(
    monkeypatch: pytest.MonkeyPatch, client: httpx.AsyncClient
) -> None:
    monkeypatch.setattr(batches, "_BATCHES_AT_ONCE", 2)
    for key in range(1, 6):
        await send(client, key)
    shown = (await client.get(URL)).json()["batches"]

    assert [(one["id"], one["recordCount"]) for one in shown] == [(6, 1), (5, 1), (4, 1), (3, 1), (2, 1)]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "offset=-1", "limit=x", "limit=1&limit=2"])
async def test_a_page_that_cannot_be_is_an_error(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"{URL}?{query}")).status_code == 400


@pytest.mark.parametrize("path", [URL, f"{URL}/2"])
async def test_without_the_database_nothing_is_shown(
    bench: Bench, client: httpx.AsyncClient, path: str
) -> None:
    await send(client)
    bench.database.available = False

    assert (await client.get(path)).status_code == 503
