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

BATCH: Final[Json] = {
    "id": 7,
    "previousStartTime": "2026-11-22T20:23:30.081522Z",
    "startTime": "2026-11-22T20:53:30.418116Z",
    "requestedBy": "921874afa1a7ff9a",
    "deliveries": [
        {
            "fileName": "transactions_20261122_205330_7.csv",
            "status": "partial",
            "attempts": 1,
            "recordCount": 120,
            "byteCount": 11284,
            "checksum": "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4",
            "acceptedCount": 119,
            "rejectedCount": 1,
            "unknownCount": 0,
            "exitCode": 0,
            "error": "119 of 120 records booked, 1 refused",
            "rejects": [
                {
                    "sourceId": "AC44",
                    "verdict": "refused",
                    "reason": "security_id must be 24 characters",
                }
            ],
        }
    ],
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
STILL_SENDING: Final[Json] = {
    "not ended in time": SEND_RESULT
    | {"status": "processing", "message": "The accounting run is under way."},
    "no accounting CLI is set": SEND_RESULT
    | {
        "status": "processing",
        "message": "The file is written and stays where it is: no accounting CLI is set (CLI_COMMAND).",
        "executionMode": "none",
    },
}
_SEND_FAULT = (
    "0 of 120 records booked, 120 not known to be booked. The service does not try it again by itself."
)
NOT_SENT: Final[Json] = {
    "the accounting run failed": error(
        500, _SEND_FAULT, SEND_RESULT | {"status": "failed", "message": _SEND_FAULT}
    ),
}
