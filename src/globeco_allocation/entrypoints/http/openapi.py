"""The OpenAPI 3.1 document: every endpoint, every answer it can give, and examples that are true.

It is written by hand, for the handlers decode and encode by hand; the tests hold it against the running app.
"""

from globeco_allocation import __version__
from globeco_allocation.entrypoints.http import openapi_examples as examples
from globeco_allocation.entrypoints.http.errors import WINDOW_TAKEN
from globeco_allocation.entrypoints.http.observability import CORRELATION_HEADER
from globeco_allocation.entrypoints.http.openapi_access import with_access
from globeco_allocation.entrypoints.http.openapi_batches import (
    list_batches,
    resend_batch,
    show_batch,
    where_is_it,
)
from globeco_allocation.entrypoints.http.openapi_kinds import Json, ref
from globeco_allocation.entrypoints.http.openapi_overview import show_overview
from globeco_allocation.entrypoints.http.openapi_parts import (
    JSON,
    answer,
    batch_ended,
    batch_failed,
    batch_goes_on,
    common_headers,
    fault,
    id_parameter,
    malformed,
    named_examples,
    no_page,
    not_found,
    operation,
    page_parameters,
    prefer_parameter,
    too_large,
    unavailable,
)
from globeco_allocation.entrypoints.http.openapi_schemas import schemas
from globeco_allocation.entrypoints.http.options import HttpOptions

_ABOUT = """
Takes finished trade executions, finds their portfolios in the Trade Service, and sends them to Portfolio
Accounting in batches.

* Amounts are exact decimals from the byte on the wire to the byte in the file.
* Every answer carries `X-Correlation-ID`: the caller's, or a new one. The service's log lines carry it too.
* Every error has one shape: `message`, `status`, `timestamp`, and `details` where there is more to say.
"""


def document(options: HttpOptions) -> Json:
    """Return the document of an app with these options."""
    paths: Json = {
        "/api/v1/executions": {"get": _list(), "post": _create(options)},
        "/api/v1/executions/{id}": {"get": _get()},
        "/api/v1/executions/{id}/delivery": {"get": where_is_it()},
        "/api/v1/executions/send": {"post": _send(options)},
        "/api/v1/batches": {"get": list_batches()},
        "/api/v1/batches/{id}": {"get": show_batch()},
        "/api/v1/batches/{id}/resend": {"post": resend_batch(options)},
        "/api/v1/overview": {"get": show_overview()},
        "/healthz": {"get": _healthz()},
        "/readyz": {"get": _readyz()},
    }
    if options.metrics_enabled:
        paths["/metrics"] = {"get": _metrics()}
    return with_access(_described(paths), tokens=bool(options.api_tokens_file))


def _described(paths: Json) -> Json:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GlobeCo Allocation Service",
            "version": __version__,
            "description": _ABOUT.strip(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "..", "description": "Where this document comes from, behind a gateway too."}],
        "tags": [
            {"name": "executions", "description": "Receive, show and send executions."},
            {"name": "batches", "description": "What became of what was sent."},
            {"name": "operations", "description": "For the cluster and for Prometheus."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "headers": {
                "CorrelationId": {
                    "description": "The caller's correlation id if it is sane, else a new one.",
                    "required": True,
                    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
                }
            },
            "parameters": {
                "CorrelationId": {
                    "name": CORRELATION_HEADER,
                    "in": "header",
                    "description": "1 to 128 of `A-Z a-z 0-9 . _ : -`; else a new one is made.",
                    "schema": {"type": "string"},
                    "example": "921874afa1a7ff9a",
                }
            },
        },
    }


def _create(options: HttpOptions) -> Json:
    return operation(
        "receiveExecutions",
        "executions",
        "Receive 1 to 100 executions",
        "Each record is judged alone: a faulty one never spoils the others. A known `executionServiceId` is "
        "`skipped` and never overwritten, so a request may be repeated at will. Open executions are "
        "`skipped`. With TRADE_SERVICE_DEFER, an execution whose portfolio cannot be looked up at once is "
        "`deferred`: it is safe, and becomes an execution once the Trade Service has answered. The work goes "
        "on when the caller hangs up.",
        {
            "201": answer(
                "Nothing failed: each record is created, deferred or skipped.",
                "ReceiptList",
                examples.RECEIVED,
            ),
            "207": answer("Some records failed, not all.", "ReceiptList", examples.PARTLY_RECEIVED),
            "400": answer(
                "Every record failed: a list of results. Or the body is no JSON array of 1 to 100 elements.",
                {"anyOf": [ref("ReceiptList"), ref("Error")]},
                examples.NOT_RECEIVED,
            ),
            "413": too_large(options),
            "500": fault(),
            "503": unavailable(),
        },
        requestBody={
            "required": True,
            "content": {
                JSON: {"schema": ref("ExecutionReports"), "examples": named_examples(examples.REPORTS)}
            },
        },
    )


def _list() -> Json:
    return operation(
        "listExecutions",
        "executions",
        "List executions, newest first",
        "By descending id. Totals are exact.",
        {
            "200": answer("A page.", "ExecutionList", {"the first of nine": examples.EXECUTION_LIST}),
            "400": no_page(),
            "500": fault(),
            "503": unavailable(),
        },
        parameters=page_parameters("Executions"),
    )


def _get() -> Json:
    return operation(
        "getExecution",
        "executions",
        "Show one execution",
        "By our id, which Create answers as `executionId`.",
        {
            "200": answer("The execution.", "Execution", {"a full fill": examples.EXECUTION}),
            **not_found("There is no execution of this id."),
        },
        parameters=[id_parameter(9)],
    )


def _send(options: HttpOptions) -> Json:
    return operation(
        "sendExecutions",
        "executions",
        "Send what became ready since the last batch",
        "Claims the batch, writes its transaction files and has the accounting CLI load them. The answer "
        f"comes {options.send_wait_seconds:g} s after the request's arrival at the latest; what is not done "
        "by then goes on, and so it does when the caller hangs up. Takes no body; any that comes is ignored.",
        {
            "200": batch_ended(examples.SENT),
            "202": batch_goes_on(),
            "400": malformed(),
            "409": answer(
                "Another sender claimed the same batch.",
                "Error",
                {
                    "claimed by another": examples.error(
                        409,
                        WINDOW_TAKEN,
                    )
                },
            ),
            "413": too_large(options),
            "500": batch_failed(),
            "503": unavailable(),
        },
        parameters=[prefer_parameter()],
    )


def _healthz() -> Json:
    return operation(
        "health",
        "operations",
        "Tell that the process is alive",
        "Alive even while the database is not.",
        {"200": answer("Alive.", "Health", {"alive": {"status": "ok", "version": __version__}})},
    )


def _readyz() -> Json:
    ready: Json = {"status": "ready", "checks": {"database": "ok"}}
    not_ready: Json = {"status": "not ready", "checks": {"database": "unavailable"}}
    return operation(
        "readiness",
        "operations",
        "Tell whether requests can be served",
        "Looks anew each time, and so recovers by itself.",
        {
            "200": answer("Ready.", "Readiness", {"ready": ready}),
            "500": fault(),
            "503": answer("Not ready; the checks name the reason.", "Readiness", {"not ready": not_ready}),
        },
    )


def _metrics() -> Json:
    text: Json = {"schema": {"type": "string"}, "example": "globeco_allocation_sends_under_way 0.0\n"}
    return operation(
        "metrics",
        "operations",
        "Show metrics for Prometheus",
        "In Prometheus' text format.",
        {
            "200": {
                "description": "Every metric.",
                "headers": common_headers(),
                "content": {"text/plain": text},
            }
        },
    )
