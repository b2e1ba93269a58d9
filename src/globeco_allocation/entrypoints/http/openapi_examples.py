"""The examples of the OpenAPI document: real requests, and what the service answers to them."""

from typing import Any, Final

Json = dict[str, Any]

_NOW: Final = "2026-11-22T20:53:30.418116Z"

FULL_FILL: Final[Json] = {
    "executionServiceId": 5002,
    "isOpen": False,
    "executionStatus": "FULL",
    "tradeType": "BUY",
    "destination": "ML",
    "securityId": "68336002fe95851f0a2aeda9",
    "ticker": "IBM",
    "quantity": 1000,
    "limitPrice": None,
    "receivedTimestamp": "2026-11-22T20:52:52.502720594Z",
    "sentTimestamp": "2026-11-22T20:53:02.126176595Z",
    "lastFillTimestamp": "2026-11-22T20:53:21.376176595Z",
    "quantityFilled": 1000,
    "totalAmount": 190409.6,
    "averagePrice": 190.4096,
}
_OPEN: Final[Json] = FULL_FILL | {"executionServiceId": 5005, "isOpen": True, "executionStatus": "WORK"}
_FAULTY: Final[Json] = FULL_FILL | {"executionServiceId": 5009, "tradeType": "SHORT", "quantity": 0}

_CREATED: Final[Json] = {"executionServiceId": 5002, "status": "created", "executionId": 9}
_KNOWN: Final[Json] = {
    "executionServiceId": 5002,
    "status": "skipped",
    "error": "execution already exists",
    "executionId": 9,
}
_DEFERRED: Final[Json] = {"executionServiceId": 5002, "status": "deferred"}
_STILL_OPEN: Final[Json] = {
    "executionServiceId": 5005,
    "status": "skipped",
    "error": "execution is still open",
}
_FAILED: Final[Json] = {
    "executionServiceId": 5009,
    "status": "error",
    "error": "tradeType must be BUY or SELL; quantity must be greater than 0",
}

EXECUTION: Final[Json] = {
    "id": 9,
    **FULL_FILL,
    "portfolioId": "68336002fe95851f0a2aedb1",
    "receivedTimestamp": "2026-11-22T20:52:52.502720Z",
    "sentTimestamp": "2026-11-22T20:53:02.126176Z",
    "lastFillTimestamp": "2026-11-22T20:53:21.376176Z",
    "version": 1,
}
EXECUTION_LIST: Final[Json] = {
    "executions": [EXECUTION],
    "pagination": {
        "totalElements": 9,
        "totalPages": 9,
        "currentPage": 0,
        "pageSize": 1,
        "hasNext": True,
        "hasPrevious": False,
    },
}

SEND_RESULT: Final[Json] = {
    "processedCount": 120,
    "fileName": "transactions_20261122_205330_7.csv",
    "status": "success",
    "message": "Portfolio Accounting booked every record of the batch: 120.",
    "batchId": 7,
    "jobName": "",
    "jobStatus": "",
    "executionMode": "subprocess",
}


def receipt_list(*results: Json) -> Json:
    """Make Create's answer to these results."""
    statuses = [one["status"] for one in results]
    return {
        "processedCount": statuses.count("created") + statuses.count("deferred"),
        "skippedCount": statuses.count("skipped"),
        "errorCount": statuses.count("error"),
        "results": list(results),
    }


def error(status: int, message: str, details: Json | None = None) -> Json:
    """Make an error's body."""
    body: Json = {"message": message, "status": status, "timestamp": _NOW}
    return body if details is None else {**body, "details": details}


REPORTS: Final[Json] = {
    "one full fill, as the Confirmation Service sends it": [FULL_FILL],
    "three records with three outcomes": [FULL_FILL, _OPEN, _FAULTY],
}
RECEIVED: Final[Json] = {
    "created": receipt_list(_CREATED),
    "the same again": receipt_list(_KNOWN),
    "deferred, for the Trade Service is away": receipt_list(_DEFERRED),
}
PARTLY_RECEIVED: Final[Json] = {
    "three records with three outcomes": receipt_list(_CREATED, _STILL_OPEN, _FAILED)
}
NOT_RECEIVED: Final[Json] = {
    "every record failed": receipt_list(_FAILED),
    "too many records": error(400, "The body must hold between 1 and 100 executions, and holds 101."),
    "no JSON": error(400, "The body is not valid JSON."),
}
SENT: Final[Json] = {
    "all booked": SEND_RESULT,
    "some refused": SEND_RESULT | {"status": "partial", "message": "119 of 120 records booked, 1 refused."},
    "nothing to send": SEND_RESULT
    | {
        "processedCount": 0,
        "fileName": "",
        "message": "Nothing to send: no execution became ready since the last batch.",
    },
}
SENT_AGAIN: Final[Json] = {"all booked now": SEND_RESULT}
_UNDER_WAY: Final = SEND_RESULT | {"status": "processing"}
STILL_SENDING: Final[Json] = {
    "not ended in time": _UNDER_WAY | {"message": "The accounting run is under way."},
    "behind an earlier batch": _UNDER_WAY
    | {"message": "The file is written and waits for its accounting run; earlier batches go first."},
    "no accounting CLI is set": _UNDER_WAY
    | {
        "message": "The file is written and stays where it is: no accounting CLI is set (CLI_COMMAND).",
        "executionMode": "none",
    },
    "all delivery is stopped": _UNDER_WAY
    | {
        "message": "The file is written. All delivery is stopped until an operator decides "
        "(globeco-allocation batches resolve): 1 of 120 records has the source id of a foreign row."
    },
}
_TRIED_AGAIN = "0 of 120 records booked, 120 not known to be booked. It is tried again at 20:53:35 UTC."
_FOR_GOOD = (
    "0 of 1 records booked, 1 refused (such as: quantity: must be positive). The service does not try it "
    "again by itself: send it again with POST /api/v1/batches/7/resend."
)
_NOT_WRITTEN = (
    "The file transactions_20261122_205330_7.csv was not written: no space is left. It is tried again in a "
    "moment."
)
NOT_SENT: Final[Json] = {
    name: error(500, message, SEND_RESULT | {"status": "failed", "message": message})
    for name, message in {
        "the first attempt failed": _TRIED_AGAIN,
        "failed for good": _FOR_GOOD,
        "no file was written": _NOT_WRITTEN,
    }.items()
}
