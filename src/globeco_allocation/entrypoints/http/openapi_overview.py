"""What an operator sees at a glance, in the OpenAPI document."""

from typing import Final

from globeco_allocation import __version__
from globeco_allocation.domain.backlog import MOST_COUNTED
from globeco_allocation.entrypoints.day_chart import MOST_EXECUTIONS
from globeco_allocation.entrypoints.http.openapi_kinds import (
    Json,
    count,
    json_object,
    kept_instant,
    optional,
    ref,
)
from globeco_allocation.entrypoints.http.openapi_parts import (
    answer,
    common_headers,
    fault,
    operation,
    unavailable,
)
from globeco_allocation.entrypoints.overviews import NEWEST_BATCHES, TROUBLED_BATCHES
from globeco_allocation.entrypoints.send_report import KUBERNETES, NO_CLI, SUBPROCESS

_ETAG: Final[Json] = {
    "ETag": {
        "description": "Another one whenever the answer is another; the same on every replica.",
        "required": True,
        "schema": {"type": "string"},
        "example": '"2c26b46b68ffc68ff99b453c1d304134"',
    }
}
_NOTHING: Final[Json] = {"count": 0, "oldest": None}
_NO_DELIVERY: Final[Json] = {**_NOTHING, "recordCount": 0}
_EXAMPLE: Final[Json] = {
    "version": __version__,
    "executionMode": SUBPROCESS,
    "stopped": None,
    "waiting": {
        "executions": {"count": 37, "oldest": "2026-11-22T20:54:02.118116Z"},
        "pending": _NOTHING,
        "inError": _NOTHING,
        "batches": _NOTHING,
        "deliveries": _NO_DELIVERY,
        "unresolved": {"count": 1, "oldest": "2026-11-22T20:53:31.490018Z", "recordCount": 1},
        "mostCounted": MOST_COUNTED,
    },
    "batches": [
        {
            "id": 7,
            "startTime": "2026-11-22T20:53:30.418116Z",
            "status": "partial",
            "recordCount": 120,
            "deliveryCount": 1,
            "acceptedCount": 119,
            "rejectedCount": 1,
            "unknownCount": 0,
            "attempts": 1,
            "nextAttempt": None,
            "ended": "2026-11-22T20:53:31.490018Z",
            "errors": ["119 of 120 records booked, 1 refused (such as: security_id must be 24 characters)"],
        }
    ],
    "batchCount": 7,
    "halfHours": [
        {
            "start": "2026-11-22T20:30:00Z",
            "readyCount": 157,
            "batchCount": 1,
            "bookedCount": 119,
            "rejectedCount": 1,
            "unknownCount": 0,
        }
    ],
}


def show_overview() -> Json:
    """Describe the overview."""
    return operation(
        "getOverview",
        "operations",
        "Show what waits, the last batches and the last day",
        "For pages that ask every few seconds: bounded in size, looked up at most once a second by each "
        "process, and answered 304 to a caller who names the ETag that it has.",
        {
            "200": answer("At a glance.", "Overview", {"one record refused": _EXAMPLE}, _ETAG),
            "304": {"description": "It is what the caller has.", "headers": {**common_headers(), **_ETAG}},
            "500": fault(),
            "503": unavailable(),
        },
        parameters=[
            {
                "name": "If-None-Match",
                "in": "header",
                "description": "The ETag of the answer that the caller has.",
                "schema": {"type": "string"},
            }
        ],
    )


def overview_schemas() -> Json:
    """Return the schemas by name."""
    shown = NEWEST_BATCHES + TROUBLED_BATCHES
    return {
        "Overview": json_object(
            version={"type": "string", "description": "The service's."},
            executionMode={
                "enum": [SUBPROCESS, KUBERNETES, NO_CLI],
                "description": f"How the accounting CLI is run; `{NO_CLI}`: files are written and stay.",
            },
            stopped={
                "type": ["string", "null"],
                "description": "Why nothing is delivered until an operator decides.",
            },
            waiting=ref("Outstanding"),
            batches={
                "type": "array",
                "items": ref("OverviewBatch"),
                "maxItems": shown,
                "description": f"The newest {NEWEST_BATCHES}, and up to {TROUBLED_BATCHES} older ones that a "
                "person must resolve or send again; by descending id.",
            },
            batchCount=count("How many there are in all."),
            halfHours={
                "type": "array",
                "items": ref("HalfHour"),
                "maxItems": 49,
                "description": "The last day, oldest first; the last one is under way.",
            },
        ),
        "Outstanding": json_object(
            executions=ref("Waiting"),
            pending=ref("Waiting"),
            inError=ref("Waiting"),
            batches=ref("Waiting"),
            deliveries=ref("WaitingDeliveries"),
            unresolved=ref("WaitingDeliveries"),
            mostCounted=count("No more are counted of one kind: such a count means that many or more."),
        ),
        "Waiting": json_object(**_waiting()),
        "WaitingDeliveries": json_object(
            **_waiting(),
            recordCount=count("Their records; of `unresolved`, those that a person must look at."),
        ),
        "OverviewBatch": _batch(),
        "HalfHour": _half_hour(),
    }


def _waiting() -> Json:
    return {
        "count": count("How many."),
        "oldest": optional(kept_instant("Since when the first of them waits; null: none does.")),
    }


def _batch() -> Json:
    return json_object(
        id=count("As Send answers it."),
        startTime=kept_instant("It holds what became ready before then."),
        status={"type": "string", "description": "As a batch's in a list."},
        recordCount=count("Executions in its files, as far as these are planned."),
        deliveryCount=count("Its files, as far as they are planned."),
        acceptedCount=optional(count("Records booked; null while no attempt has ended.")),
        rejectedCount=optional(count("Records that a person must look at.")),
        unknownCount=optional(count("Records of which neither is known.")),
        attempts=count("Runs that were begun, of the file that had most of them."),
        nextAttempt=optional(kept_instant("When the next attempt is due, where one has failed.")),
        ended=optional(kept_instant("When its last file's last attempt ended; null while one is open.")),
        errors={
            "type": "array",
            "items": {"type": "string"},
            "maxItems": 3,
            "description": "Why it is no further, for a person; the first ones, each once.",
        },
    )


def _half_hour() -> Json:
    most = f"{MOST_EXECUTIONS} may mean more"
    return json_object(
        start=kept_instant("When it begins."),
        readyCount=optional(count(f"Executions that became ready; null: not counted yet; {most}.")),
        batchCount=count("Batches that were claimed."),
        bookedCount=count("Records booked by then, of the files whose newest attempt ended in it."),
        rejectedCount=count("Records of these files that a person must look at."),
        unknownCount=count("Records of these files of which neither is known."),
    )
