"""``/docs``: true to the running app, and not a byte of it from elsewhere."""

import json
import re
from typing import Any, cast
from urllib.parse import urljoin

import httpx
import jsonschema_rs
import msgspec
import pytest
from tests.http.bench import Bench

from globeco_allocation.entrypoints.http import answers, batch_answers, overview
from globeco_allocation.entrypoints.http.openapi import document
from globeco_allocation.entrypoints.http.options import HttpOptions

DOCUMENT: dict[str, Any] = document(HttpOptions())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
BODIES = [
    pytest.param(media["schema"], example["value"], id=f"{name} {status} {title}")
    for name, operation in OPERATIONS.items()
    for status, answer in [("request", operation.get("requestBody", {})), *operation["responses"].items()]
    for media in answer.get("content", {}).values()
    for title, example in media.get("examples", {}).items()
    if (status, title) != ("request", "three-records-with-three-outcomes")  # breaks the rules on purpose
]


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/allocations/docs", "/allocations/docs/"])
async def test_the_page_finds_its_files_and_the_document_wherever_it_stands(
    client: httpx.AsyncClient, path: str
) -> None:
    prefix = "/allocations" if path.startswith("/allocations") else ""
    page = await client.get(path.removeprefix(prefix))

    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    local = [urljoin(path, one).removeprefix(prefix) for one in links if one != "data:,"]
    assert page.headers["content-type"].startswith("text/html")
    assert len(local) == 4
    for one in local:
        assert (await client.get(one)).status_code == 200, one
    assert "/docs/openapi.json" in local


async def test_nothing_is_loaded_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    style = await client.get("/docs/static/swagger-ui.css")
    script = await client.get("/docs/static/docs.js")

    assert not re.search(r"https?://|//[a-z]", page.text)
    assert not re.search(r"@import|url\(\s*+['\"]?+(?!data:)", style.text)
    assert not re.search(r"https?://", script.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.headers["content-security-policy"]
    assert "sourceMappingURL" not in style.text + (await client.get("/docs/static/swagger-ui-bundle.js")).text


async def test_the_document_is_served_as_it_is_made(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/openapi.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(DOCUMENT))


async def test_every_address_is_documented_and_every_documented_one_is_there(bench: Bench) -> None:
    async with bench.client() as client:
        for path, methods in DOCUMENT["paths"].items():
            allow = (await client.options(path.replace("{id}", "1"))).headers["allow"]
            served = set(allow.lower().split(", ")) - {"options", "head"}

            assert served == set(methods), path


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_operation_says_what_it_does_and_shows_every_answer(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    for status, answer in operation["responses"].items():
        assert answer["description"]
        assert "X-Correlation-ID" in answer["headers"]
        if status == "304":
            assert "content" not in answer
            continue
        (media,) = answer["content"].values()
        assert media.get("examples") or media.get("example")


@pytest.mark.parametrize(("schema", "example"), BODIES)
def test_every_example_fits_its_schema(schema: dict[str, Any], example: object) -> None:
    judge = jsonschema_rs.validator_for(schema | {"components": DOCUMENT["components"]})

    judge.validate(example)


@pytest.mark.parametrize(
    ("name", "struct"),
    [
        ("Execution", answers.ExecutionAnswer),
        ("ExecutionList", answers.ExecutionListAnswer),
        ("Pagination", answers.Pagination),
        ("Receipt", answers.ResultAnswer),
        ("ReceiptList", answers.CreateAnswer),
        ("SendResult", answers.SendAnswer),
        ("Batch", batch_answers.BatchAnswer),
        ("BatchSummary", batch_answers.BatchSummaryAnswer),
        ("BatchList", batch_answers.BatchListAnswer),
        ("Delivery", batch_answers.DeliveryAnswer),
        ("Reject", batch_answers.RejectAnswer),
        ("Resolution", batch_answers.ResolutionAnswer),
        ("Whereabouts", batch_answers.WhereaboutsAnswer),
        ("Overview", overview.OverviewAnswer),
        ("Outstanding", overview.OutstandingAnswer),
        ("Waiting", overview.WaitingAnswer),
        ("WaitingDeliveries", overview.DeliveriesWaitingAnswer),
        ("OverviewBatch", overview.OverviewBatchAnswer),
        ("HalfHour", overview.HalfHourAnswer),
        ("Health", answers.HealthAnswer),
        ("Readiness", answers.ReadinessAnswer),
        ("Error", answers.ErrorAnswer),
    ],
)
def test_a_schema_names_the_fields_that_are_answered(name: str, struct: type[msgspec.Struct]) -> None:
    fields = msgspec.structs.fields(struct)

    assert list(SCHEMAS[name]["properties"]) == [one.encode_name for one in fields]
    assert set(SCHEMAS[name]["required"]) == {one.encode_name for one in fields if one.required}


def test_amounts_are_numbers() -> None:
    for name in ("quantity", "limitPrice", "quantityFilled", "totalAmount", "averagePrice"):
        for schema in ("Execution", "ExecutionReport"):
            kinds = SCHEMAS[schema]["properties"][name]["type"]
            assert "number" in cast("list[str]", [kinds] if isinstance(kinds, str) else kinds)
