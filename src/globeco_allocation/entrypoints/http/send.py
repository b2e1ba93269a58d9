"""``/api/v1/executions/send``: send a batch, and say how far it is."""

import re
from http import HTTPStatus
from typing import Any, Final

from litestar import Request, post

from globeco_allocation.entrypoints.http.answers import json_reply, send_answer
from globeco_allocation.entrypoints.http.body import read_body
from globeco_allocation.entrypoints.http.exchange import current_exchange
from globeco_allocation.entrypoints.http.reply import Reply
from globeco_allocation.entrypoints.http.state import app_state
from globeco_allocation.entrypoints.send_report import SendReport, SendStatus

LONGEST_WAIT_SECONDS: Final = 55
"""The longest wait that ``Prefer`` may ask for: the gateway gives up after 60 s (contract: clients)."""

_WAIT = re.compile(r"wait\s*=\s*\"?([0-9]{1,9})\"?", re.IGNORECASE)


@post(include_in_schema=False)
async def send_executions(request: Request[Any, Any, Any]) -> Reply:
    """Claim, write and deliver what became ready; what a body holds has no meaning."""
    await read_body(request)  # all the same, for its size is limited
    state = app_state(request)
    exchange = current_exchange()
    usual = state.options.send_wait_seconds
    wait, applied = preferred_wait(request.headers.getall("prefer", []), usual)
    report = await state.services.sends.send(
        exchange.correlation_id, wait - exchange.seconds, usual - exchange.seconds, state.draining
    )
    headers = {"Preference-Applied": applied} if applied else {}
    return send_response(request, report, headers)


def send_response(request: Request[Any, Any, Any], report: SendReport, headers: dict[str, str]) -> Reply:
    """Answer how far a batch is: 200 when it ended, 202 while it goes on, 500 when an attempt failed."""
    answer = send_answer(report)
    if report.status is SendStatus.FAILED:
        errors = app_state(request).errors
        return errors.answer(HTTPStatus.INTERNAL_SERVER_ERROR, report.message, answer, headers)
    if report.status is SendStatus.PROCESSING:
        location = {"Location": f"/api/v1/batches/{report.batch_id}"}
        return json_reply(answer, HTTPStatus.ACCEPTED, headers | location)
    return json_reply(answer, HTTPStatus.OK, headers)


def preferred_wait(prefer: list[str], usual: float) -> tuple[float, str]:
    """Read the caller's ``Prefer`` (RFC 7240): the first ``wait`` counts, what is unknown is ignored."""
    preferences = [one.split(";")[0].strip() for line in prefer for one in line.split(",")]
    wait = next((found for one in preferences if (found := _WAIT.fullmatch(one))), None)
    if any(one.lower() == "respond-async" for one in preferences) and wait is None:
        return 0.0, "respond-async"
    if wait is None:
        return usual, ""
    seconds = min(int(wait[1]), LONGEST_WAIT_SECONDS)
    return float(seconds), f"wait={seconds}"
