"""What the service answers to requests: what is there, and what has to be refused."""

from http import HTTPStatus
from typing import cast

from globeco_allocation.entrypoints.smoke.caller import Caller
from globeco_allocation.entrypoints.smoke.findings import (
    Finding,
    Terms,
    failed,
    is_error,
    json_object,
    ok,
    other_answer,
)

_UNKNOWN_ID = 2**31
"""No execution will ever have it: the database's ids end before."""

_BROKEN = {"executionServiceId": 2**31 - 1, "isOpen": True, "tradeType": "SMOKE"}
"""Refused for its fields; and an open execution is stored by no version, not even by a faulty one."""

_BATCHES = 10
"""How many of the newest are looked at."""

_AT_EASE = frozenset({"delivered", "empty", "resolved"})
_LIST = "/api/v1/executions"


def lists_executions(caller: Caller, terms: Terms) -> Finding:
    """Make sure that a page of executions has its shape."""
    del terms
    answer = caller.get(f"{_LIST}?limit=1")
    body = json_object(answer.json)
    page = json_object(body.get("pagination"))
    total = page.get("totalElements")
    names = {"totalElements", "totalPages", "currentPage", "pageSize", "hasNext", "hasPrevious"}
    if (
        answer.status != HTTPStatus.OK
        or not isinstance(body.get("executions"), list)
        or not isinstance(total, int)
        or not names <= page.keys()
        or len(body["executions"]) != min(total, 1)
    ):
        return other_answer(answer, "a page of executions")
    return ok(f"{total} in all")


def refuses_strange_pages(caller: Caller, terms: Terms) -> Finding:
    """Make sure that a page size of 0 is refused."""
    del terms
    answer = caller.get(f"{_LIST}?limit=0")
    return ok() if is_error(answer, HTTPStatus.BAD_REQUEST) else other_answer(answer, "400 in its own form")


def knows_what_it_has_not(caller: Caller, terms: Terms) -> Finding:
    """Make sure that an execution which cannot exist is not found."""
    del terms
    answer = caller.get(f"{_LIST}/{_UNKNOWN_ID}")
    return ok() if is_error(answer, HTTPStatus.NOT_FOUND) else other_answer(answer, "404 in its own form")


def knows_its_addresses(caller: Caller, terms: Terms) -> Finding:
    """Make sure that an unknown address is answered in the service's own shape."""
    del terms
    answer = caller.get("/api/v1/no-such-address")
    return ok() if is_error(answer, HTTPStatus.NOT_FOUND) else other_answer(answer, "404 in its own form")


def refuses_nothing_at_all(caller: Caller, terms: Terms) -> Finding:
    """Make sure that an empty array is refused."""
    del terms
    answer = caller.post(_LIST, [])
    return ok() if is_error(answer, HTTPStatus.BAD_REQUEST) else other_answer(answer, "400 in its own form")


def names_the_faulty_field(caller: Caller, terms: Terms) -> Finding:
    """Make sure that a broken record is refused by the name of its field, and not stored."""
    del terms
    answer = caller.post(_LIST, [_BROKEN])
    body = json_object(answer.json)
    results = body.get("results")
    said = json_object(cast("list[object]", results)[0]) if isinstance(results, list) and results else {}
    if (
        answer.status != HTTPStatus.BAD_REQUEST
        or body.get("processedCount") != 0
        or said.get("status") != "error"
        or "tradeType" not in str(said.get("error"))
    ):
        return other_answer(answer, "400 that names tradeType")
    return ok("named tradeType; nothing was stored")


def lists_batches(caller: Caller, terms: Terms) -> Finding:
    """Make sure that the newest batch is shown, and that nothing has stopped all delivery."""
    del terms
    answer = caller.get(f"/api/v1/batches?limit={_BATCHES}")
    listed = json_object(answer.json).get("batches")
    if answer.status != HTTPStatus.OK or not isinstance(listed, list):
        return other_answer(answer, "a page of batches")
    batches = [json_object(one) for one in cast("list[object]", listed)]
    if not batches:
        return ok("no batch yet")
    for batch in (one for one in batches if one is batches[0] or one.get("status") not in _AT_EASE):
        shown = caller.get(f"/api/v1/batches/{batch.get('id')}")
        if shown.status != HTTPStatus.OK:
            return other_answer(shown, f"batch {batch.get('id')}")
        if stopped := json_object(shown.json).get("stopped"):
            return failed(
                f"all delivery is stopped: {stopped}",
                "Executions are kept, but nothing is delivered: see docs/operations/batch-failed.md.",
            )
    return ok(f"the newest is {batches[0].get('id')}, {batches[0].get('status')}")
