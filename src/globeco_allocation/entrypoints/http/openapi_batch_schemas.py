"""The schemas of batches, their deliveries, and the way of one execution."""

from globeco_allocation.domain.delivery import DeliveryStatus, RecordVerdict
from globeco_allocation.domain.use_cases.find_delivery import FOREIGN, NEVER_READY, WAITING
from globeco_allocation.entrypoints.http.openapi_kinds import (
    Json,
    count,
    json_object,
    kept_instant,
    optional,
    ref,
)
from globeco_allocation.entrypoints.send_report import EMPTY

_VERDICTS = [one.value for one in RecordVerdict if one is not RecordVerdict.ACCEPTED]
_VERDICT_TEXT = (
    "`refused`: refused for good, not stored. `not_booked`: stored, not booked; `unconfirmed`: stored, "
    "perhaps not booked, for a run was cut off: a person must look at both. `duplicate`: a foreign row has "
    "its source id. `not_sent`, `unknown`: the file is sent again."
)


def batch_schemas() -> Json:
    """Return these schemas by name."""
    return {
        "Batch": _batch(),
        "BatchSummary": _summary(),
        "BatchList": json_object(
            batches={"type": "array", "items": ref("BatchSummary"), "maxItems": 1000},
            pagination=ref("Pagination"),
        ),
        "Delivery": _delivery(),
        "Reject": _reject(),
        "Resolution": _resolution(),
        "Whereabouts": _whereabouts(),
    }


def _window() -> Json:
    return {
        "id": count("As Send answers it."),
        "previousStartTime": kept_instant("It holds what became ready from then on,"),
        "startTime": kept_instant("and before then."),
        "requestedBy": _text("The correlation id of the request that claimed it."),
        "status": {
            "enum": [EMPTY, *(status.value for status in DeliveryStatus)],
            "description": "The worst of its deliveries; `empty` where nothing was ready.",
        },
        "recordCount": count("Executions in its files, as far as these are planned."),
    }


def _summary() -> Json:
    return json_object(**_window(), deliveryCount=count("Its files, as far as they are planned."))


def _batch() -> Json:
    return json_object(
        **_window(),
        stopped={
            "type": ["string", "null"],
            "description": "Why nothing is delivered until an operator decides, where that concerns it.",
        },
        deliveries={
            "type": "array",
            "items": ref("Delivery"),
            "description": "Its files by lane and part; none when nothing was ready, or none is planned yet.",
        },
    )


def _delivery() -> Json:
    return json_object(
        fileName=_text("Bare, unique for ever."),
        lane=count("From 0; runs of one lane follow one another."),
        part=count("Its place among the lane's files, from 0."),
        status={"enum": [status.value for status in DeliveryStatus]},
        attempts=count("Runs of the accounting CLI that were begun."),
        nextAttempt=optional(kept_instant("When it is tried again, where an attempt has failed.")),
        recordCount=count("Executions in the file."),
        byteCount=optional(count("Its size.")),
        checksum={"type": ["string", "null"], "description": "SHA-256 of its bytes, in hexadecimal."},
        acceptedCount=optional(count("Records booked, as the last attempt that has ended found.")),
        rejectedCount=optional(count("Records that a person must look at: see the verdicts.")),
        unknownCount=optional(count("Records of which neither is known.")),
        exitCode={"type": ["integer", "null"], "description": "The last run's; 0 is not success."},
        error={"type": ["string", "null"], "description": "Why it is no further, for a person."},
        claimed=kept_instant("When it was planned."),
        written=optional(kept_instant("When its file was.")),
        started=optional(kept_instant("When the last attempt was begun.")),
        ended=optional(kept_instant("When it ended.")),
        rejects={"type": "array", "items": ref("Reject"), "description": "The first ones, see the counts."},
        resolutions={"type": "array", "items": ref("Resolution"), "description": "Oldest first."},
    )


def _reject() -> Json:
    return json_object(
        sourceId=_text("AC and our id; empty where the CLI names none."),
        verdict={"enum": _VERDICTS, "description": _VERDICT_TEXT},
        reason=_text("The words of Portfolio Accounting or its CLI."),
    )


def _resolution() -> Json:
    return json_object(
        sourceId={"type": ["string", "null"], "description": "The record; null for the whole delivery."},
        reason=_text("The operator's words."),
        resolvedBy=_text("Who it was."),
        resolved=kept_instant(),
    )


def _whereabouts() -> Json:
    ended = [DeliveryStatus.DELIVERED, DeliveryStatus.RESOLVED]
    on_its_way = [status for status in DeliveryStatus if not status.ended]
    return json_object(
        executionId={"type": "integer", "format": "int32", "description": "Ours."},
        sourceId=_text("What Portfolio Accounting knows it by."),
        status={
            "enum": [WAITING, NEVER_READY, FOREIGN, *(str(one) for one in [*on_its_way, *ended]), *_VERDICTS],
            "description": f"`{WAITING}`: the next send takes it. `{NEVER_READY}`: it has no ready stamp, "
            f"and no batch will ever hold it. `{FOREIGN}`: another program sent it. Then how far its "
            "delivery is; and once that has ended `delivered`, `resolved`, or its own verdict.",
        },
        batchId=optional(count("The batch that holds it.")),
        fileName={"type": ["string", "null"], "description": "Its file, once it is written."},
        lane=optional(count("Its lane.")),
        part=optional(count("Its part.")),
        attempts=optional(count("Runs over its file that were begun.")),
        reject={"anyOf": [ref("Reject"), {"type": "null"}], "description": "Why it was not accepted."},
        resolution={
            "anyOf": [ref("Resolution"), {"type": "null"}],
            "description": "How an operator settled it by hand.",
        },
    )


def _text(about: str) -> Json:
    return {"type": "string", "description": about}
