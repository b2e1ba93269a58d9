"""The recorded requests of the real clients, as they stand (contract: clients)."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.http.bench import Bench

_CLIENTS = Path(__file__).parent.parent / "data" / "clients"
_CONFIRMATIONS: list[dict[str, Any]] = json.loads((_CLIENTS / "confirmation-requests.json").read_text())
_PORTAL: dict[str, Any] = json.loads((_CLIENTS / "portal-request.json").read_text())
_SET_BY_THE_CLIENT_LIBRARY = {"host", "content-length", "connection", "accept-encoding"}


def headers_of(recorded: dict[str, Any]) -> dict[str, str]:
    return {
        name: value
        for name, value in recorded["headers"].items()
        if name.lower() not in _SET_BY_THE_CLIENT_LIBRARY
    }


def without_ids(answer: dict[str, Any]) -> dict[str, Any]:
    """Ids are ours; everything else of the recorded answer must be the same."""
    return answer | {
        "results": [{k: v for k, v in one.items() if k != "executionId"} for one in answer["results"]]
    }


@pytest.mark.parametrize("recorded", _CONFIRMATIONS, ids=lambda one: one["name"])
async def test_a_confirmation_is_answered_as_recorded(
    client: httpx.AsyncClient, recorded: dict[str, Any]
) -> None:
    answer = await client.post(
        "/api/v1/executions", content=recorded["body_text"], headers=headers_of(recorded)
    )

    assert answer.status_code == recorded["answer_status"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-correlation-id"] == recorded["headers"]["X-Correlation-Id"]
    assert without_ids(answer.json()) == without_ids(json.loads(recorded["answer_text"]))


@pytest.mark.parametrize("recorded", _CONFIRMATIONS, ids=lambda one: one["name"])
async def test_a_confirmation_that_comes_again_is_a_success_for_its_client(
    client: httpx.AsyncClient, recorded: dict[str, Any]
) -> None:
    first = await client.post("/api/v1/executions", content=recorded["body_text"])
    again = await client.post("/api/v1/executions", content=recorded["body_text"])

    assert again.status_code == 201
    assert [one["status"] for one in again.json()["results"]] == ["skipped"]
    assert again.json()["results"][0].get("executionId") == first.json()["results"][0].get("executionId")


async def test_the_portals_send_gets_every_field_that_its_type_declares(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    await client.post("/api/v1/executions", content=_CONFIRMATIONS[0]["body_text"])

    answer = await client.post(
        "/api/v1/executions/send", content=_PORTAL["body_text"], headers=headers_of(_PORTAL)
    )

    kinds = {"number": int, "string": str}
    assert answer.status_code == 200
    for name, kind in _PORTAL["answer_fields_it_declares"].items():
        assert isinstance(answer.json()[name], kinds[kind]), name
    assert answer.json()["processedCount"] == 1
    assert list(bench.files.contents) == [answer.json()["fileName"]]
