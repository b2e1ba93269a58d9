"""``/api/v1/executions``: receive, list and show executions."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, get, post

from globeco_allocation.domain.execution import LARGEST_ID, Execution, NewExecution
from globeco_allocation.domain.use_cases.find_delivery import FindDelivery
from globeco_allocation.domain.use_cases.receipts import Deferred, Receipt, Skipped, Unreadable
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.http.answers import (
    CreateAnswer,
    create_answer,
    execution_answer,
    execution_list_answer,
    json_reply,
)
from globeco_allocation.entrypoints.http.batch_answers import whereabouts_answer
from globeco_allocation.entrypoints.http.body import read_body
from globeco_allocation.entrypoints.http.errors import RefusedRequestError
from globeco_allocation.entrypoints.http.parameters import page_of, path_id
from globeco_allocation.entrypoints.http.records import UnreadableBodyError, camel_case, read_records
from globeco_allocation.entrypoints.http.reply import Reply
from globeco_allocation.entrypoints.http.state import AppState, app_state

_log: Any = structlog.get_logger()


@post(include_in_schema=False)
async def create_executions(request: Request[Any, Any, Any]) -> Reply:
    """Receive 1 to 100 executions; the work on them goes on when the caller hangs up."""
    try:
        records = read_records(await read_body(request))
    except UnreadableBodyError as error:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST, str(error)) from error
    state = app_state(request)
    answer = await state.work.finish(_receive(state, records))
    return json_reply(answer, _status(answer))


@get(include_in_schema=False)
async def list_executions(request: Request[Any, Any, Any]) -> Reply:
    """List executions, newest first."""
    limit, offset = page_of(request)
    # There are no more executions than ids, so nothing lies behind the largest one.
    page = await app_state(request).services.executions.page(limit=limit, offset=min(offset, LARGEST_ID))
    return json_reply(execution_list_answer(page, limit, offset), HTTPStatus.OK)


@get(include_in_schema=False)
async def get_execution(request: Request[Any, Any, Any]) -> Reply:
    """Show one execution."""
    return json_reply(execution_answer(await _asked_for(request)), HTTPStatus.OK)


@get(include_in_schema=False)
async def get_execution_delivery(request: Request[Any, Any, Any]) -> Reply:
    """Show how far an execution is on its way to Portfolio Accounting."""
    services = app_state(request).services
    find = FindDelivery(services.batches, services.deliveries, services.resolutions)
    return json_reply(whereabouts_answer(await find(await _asked_for(request))), HTTPStatus.OK)


async def _asked_for(request: Request[Any, Any, Any]) -> Execution:
    key = path_id(request)
    found = None if key is None else await app_state(request).services.executions.get(key)
    if found is None:
        raise RefusedRequestError(HTTPStatus.NOT_FOUND, "There is no execution of this id.")
    return found


async def _receive(state: AppState, records: Sequence[NewExecution | Unreadable]) -> CreateAnswer:
    """Receive the records, count and log what came of them; all of it also when the caller is gone."""
    receipts = await state.services.receive(records)
    answer = create_answer(receipts)
    deferred = sum(isinstance(one, Deferred) for one in receipts)
    if deferred:
        state.services.pending_lookups.wake()
    state.metrics.executions_answered(
        created=answer.processed_count - deferred,
        deferred=deferred,
        skipped=answer.skipped_count,
        failed=answer.error_count,
        differing=_report_differing(receipts),
    )
    return answer


def _status(answer: CreateAnswer) -> HTTPStatus:
    if answer.error_count == 0:
        return HTTPStatus.CREATED
    return HTTPStatus.BAD_REQUEST if answer.error_count == len(answer.results) else HTTPStatus.MULTI_STATUS


def _report_differing(receipts: list[Receipt]) -> int:
    differing = [one for one in receipts if isinstance(one, Skipped | Deferred) and one.differing]
    for one in differing:
        _log.warning(
            logs.REPEAT_DIFFERS,
            execution_service_id=one.execution_service_id,
            execution_id=one.execution_id if isinstance(one, Skipped) else None,
            fields=[camel_case(name) for name in one.differing],
        )
    return len(differing)
