"""The examples of batches, and of the way of one execution, in the OpenAPI document."""

from typing import Final

from globeco_allocation.entrypoints.http.openapi_kinds import Json

_REJECT: Final[Json] = {
    "sourceId": "AC44",
    "verdict": "refused",
    "reason": "security_id must be 24 characters",
}
_DELIVERY: Final[Json] = {
    "fileName": "transactions_20261122_205330_7.csv",
    "lane": 0,
    "part": 0,
    "status": "partial",
    "attempts": 1,
    "nextAttempt": None,
    "recordCount": 120,
    "byteCount": 11284,
    "checksum": "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4",
    "acceptedCount": 119,
    "rejectedCount": 1,
    "unknownCount": 0,
    "exitCode": 0,
    "error": "119 of 120 records booked, 1 refused (such as: security_id must be 24 characters)",
    "claimed": "2026-11-22T20:53:30.418116Z",
    "written": "2026-11-22T20:53:30.431002Z",
    "started": "2026-11-22T20:53:30.448127Z",
    "ended": "2026-11-22T20:53:31.490018Z",
    "rejects": [_REJECT],
    "resolutions": [],
}
BATCH: Final[Json] = {
    "id": 7,
    "previousStartTime": "2026-11-22T20:23:30.081522Z",
    "startTime": "2026-11-22T20:53:30.418116Z",
    "requestedBy": "921874afa1a7ff9a",
    "status": "partial",
    "recordCount": 120,
    "stopped": None,
    "deliveries": [_DELIVERY],
}
WAITING_BATCH: Final[Json] = BATCH | {
    "status": "delivering",
    "deliveries": [
        _DELIVERY
        | {
            "status": "delivering",
            "nextAttempt": "2026-11-22T20:53:36.490018Z",
            "acceptedCount": 0,
            "rejectedCount": 0,
            "unknownCount": 120,
            "exitCode": 1,
            "error": "0 of 120 records booked, 120 not known to be booked",
            "rejects": [],
        }
    ],
}
BATCH_LIST: Final[Json] = {
    "batches": [
        {name: value for name, value in BATCH.items() if name not in {"stopped", "deliveries"}}
        | {"deliveryCount": 1}
    ],
    "pagination": {
        "totalElements": 3,
        "totalPages": 3,
        "currentPage": 0,
        "pageSize": 1,
        "hasNext": True,
        "hasPrevious": False,
    },
}

WAITING: Final[Json] = {
    "executionId": 9,
    "sourceId": "AC9",
    "status": "waiting",
    "batchId": None,
    "fileName": None,
    "lane": None,
    "part": None,
    "attempts": None,
    "reject": None,
    "resolution": None,
}
BOOKED: Final[Json] = WAITING | {
    "status": "delivered",
    "batchId": 7,
    "fileName": "transactions_20261122_205330_7.csv",
    "lane": 0,
    "part": 0,
    "attempts": 1,
}
SETTLED: Final[Json] = BOOKED | {
    "executionId": 44,
    "sourceId": "AC44",
    "status": "resolved",
    "reject": _REJECT,
    "resolution": {
        "sourceId": "AC44",
        "reason": "booked by hand under another security, ticket 4711",
        "resolvedBy": "ann",
        "resolved": "2026-11-23T08:12:44.017331Z",
    },
}
