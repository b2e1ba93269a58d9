"""The schemas of the OpenAPI document: what is sent and what is answered, field by field."""

from typing import Any, Final

from globeco_allocation.domain.delivery import DeliveryStatus, RecordVerdict
from globeco_allocation.domain.execution import ID_LENGTH, LARGEST_ID, WORD_LENGTH
from globeco_allocation.domain.money import INTEGER_DIGITS
from globeco_allocation.entrypoints.http.records import MOST_RECORDS

Json = dict[str, Any]

_BOUND: Final = 10**INTEGER_DIGITS
_AMOUNT_TEXT: Final = f"Exact; at most {INTEGER_DIGITS} digits before the point, rounded half-up to 8 places."


def ref(name: str) -> Json:
    """Refer to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas() -> Json:
    """Return every schema by name."""
    return {
        "ExecutionReport": _execution_report(),
        "ExecutionReports": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_RECORDS,
            "items": ref("ExecutionReport"),
        },
        "ReceiptList": _receipt_list(),
        "Receipt": _receipt(),
        "Execution": _execution(),
        "ExecutionList": _object(
            executions={"type": "array", "items": ref("Execution"), "maxItems": 1000},
            pagination=ref("Pagination"),
        ),
        "Pagination": _pagination(),
        "SendResult": _send_result(),
        "Batch": _batch(),
        "Delivery": _delivery(),
        "Reject": _reject(),
        "Health": _object(
            status={"const": "ok"}, version={"type": "string", "description": "The service's version."}
        ),
        "Readiness": _readiness(),
        "Error": _error(),
        "SendFailure": {
            "allOf": [
                ref("Error"),
                {"properties": {"details": ref("SendResult")}},
            ],
            "description": "An error; after a failed send `details` holds the fields of a send's answer.",
        },
    }


def _execution_report() -> Json:
    fields: Json = {
        "executionServiceId": {
            "type": "integer",
            "format": "int32",
            "minimum": 1,
            "maximum": LARGEST_ID,
            "description": "Its id in the Execution Service; one execution is kept for each.",
        },
        "isOpen": {
            "type": ["boolean", "null"],
            "default": False,
            "description": "Whether more fills may come: open executions are skipped. Absent means false.",
        },
        "executionStatus": _word("Such as `FULL` or `CPART`."),
        "tradeType": {"enum": ["BUY", "SELL"]},
        "destination": _word("Where it was traded, such as `ML`."),
        "securityId": {**_text(ID_LENGTH), "description": "Blanks at its end carry no meaning."},
        "ticker": _word("Such as `IBM`."),
        "quantity": _amount(exclusiveMinimum=0, text="Units ordered."),
        "limitPrice": _optional(_amount(text="Price per unit.")),
        "receivedTimestamp": _instant("When the Execution Service received the order."),
        "sentTimestamp": _instant(
            "When it sent the order out. The trade date is the calendar date of this instant in New York."
        ),
        "lastFillTimestamp": _optional(_instant("The last fill.")),
        "quantityFilled": _optional(_amount(minimum=0, text="Units filled. Absent means 0.")),
        "totalAmount": _optional(_amount(minimum=0, text="Value of all fills. Absent means 0.")),
        "averagePrice": _amount(exclusiveMinimum=0, text="Price per unit over all fills."),
    }
    optional = {"isOpen", "limitPrice", "lastFillTimestamp", "quantityFilled", "totalAmount"}
    return {
        "type": "object",
        "description": "An execution as a client reports it. Unknown fields are ignored; null is absent.",
        "required": [name for name in fields if name not in optional],
        "properties": fields,
    }


def _execution() -> Json:
    return _object(
        id={
            "type": "integer",
            "format": "int32",
            "description": "Ours; the source id in Portfolio Accounting is AC and this.",
        },
        executionServiceId={"type": "integer", "format": "int32"},
        isOpen={"type": "boolean"},
        executionStatus={"type": "string"},
        tradeType={"type": "string", "description": "`BUY` or `SELL`."},
        destination={"type": "string"},
        securityId={"type": "string", "description": "Without padding."},
        portfolioId={
            "type": ["string", "null"],
            "description": "From the Trade Service, without padding; null only in rows of another program.",
        },
        ticker={"type": "string"},
        quantity=_kept_amount(),
        limitPrice=_optional(_kept_amount()),
        receivedTimestamp=_kept_instant(),
        sentTimestamp=_kept_instant(),
        lastFillTimestamp=_optional(_kept_instant()),
        quantityFilled=_kept_amount(),
        totalAmount=_kept_amount(),
        averagePrice=_kept_amount(),
        version={"type": "integer", "format": "int32"},
    )


def _receipt_list() -> Json:
    return _object(
        processedCount=_count("Records created or deferred."),
        skippedCount=_count("Records skipped."),
        errorCount=_count("Records that failed."),
        results={
            "type": "array",
            "items": ref("Receipt"),
            "description": "One for each record, in the request's order.",
        },
    )


def _receipt() -> Json:
    receipt = _object(
        executionServiceId={
            "type": "integer",
            "format": "int64",
            "description": "The record's, as far as it could be read; else 0.",
        },
        status={
            "enum": ["created", "deferred", "skipped", "error"],
            "description": "`deferred`: safe, and an execution once its portfolio is known; the background "
            "work looks it up, and a person is told if it cannot. It has neither `error` nor `executionId`.",
        },
    )
    receipt["properties"] |= {
        "error": {
            "type": "string",
            "description": "Why it was skipped, or everything wrong with it, field by field.",
        },
        "executionId": {
            "type": "integer",
            "format": "int32",
            "description": "Our id of the execution that was created or exists already.",
        },
    }
    return receipt


def _pagination() -> Json:
    return _object(
        totalElements=_count("Executions in all."),
        totalPages=_count("Pages of this size in all."),
        currentPage=_count("`offset / limit`, from 0."),
        pageSize=_count("The limit."),
        hasNext={"type": "boolean"},
        hasPrevious={"type": "boolean"},
    )


def _send_result() -> Json:
    return _object(
        processedCount=_count("Executions in the batch's file."),
        fileName={"type": "string", "description": "Its bare name; empty when there was nothing to send."},
        status={"enum": ["success", "partial", "processing", "failed"]},
        message={"type": "string", "description": "For a person."},
        batchId=_count("The batch that was claimed."),
        jobName={"type": "string", "description": "The Kubernetes Job; empty without one."},
        jobStatus={"type": "string", "description": "Its status; empty without one."},
        executionMode={
            "type": "string",
            "description": "How the accounting CLI is run; `none` when CLI_COMMAND is not set.",
        },
    )


def _batch() -> Json:
    return _object(
        id=_count("As Send answers it."),
        previousStartTime=_kept_instant(),
        startTime=_kept_instant(),
        requestedBy={"type": "string", "description": "The correlation id of the request that claimed it."},
        deliveries={
            "type": "array",
            "items": ref("Delivery"),
            "description": "Its files; none when nothing was ready, or none is begun.",
        },
    )


def _delivery() -> Json:
    return _object(
        fileName={"type": "string", "description": "Bare, unique for ever."},
        status={"enum": [status.value for status in DeliveryStatus]},
        attempts=_count("Runs of the accounting CLI that were begun."),
        recordCount=_optional(_count("Executions in the file.")),
        byteCount=_optional(_count("Its size.")),
        checksum={"type": ["string", "null"], "description": "SHA-256 of its bytes, in hexadecimal."},
        acceptedCount=_optional(_count("Records booked by the last run.")),
        rejectedCount=_optional(_count("Records refused for good, or stored without being booked.")),
        unknownCount=_optional(_count("Records of which neither is known.")),
        exitCode={"type": ["integer", "null"], "description": "The last run's; 0 is not success."},
        error={"type": ["string", "null"], "description": "Why it is not `delivered`, for a person."},
        rejects={"type": "array", "items": ref("Reject"), "description": "The first ones, see the counts."},
    )


def _reject() -> Json:
    return _object(
        sourceId={"type": "string", "description": "AC and our id; empty where the CLI names none."},
        verdict={"enum": [one.value for one in RecordVerdict if one is not RecordVerdict.ACCEPTED]},
        reason={"type": "string", "description": "The words of Portfolio Accounting or its CLI."},
    )


def _readiness() -> Json:
    return _object(
        status={"enum": ["ready", "not ready"]},
        checks={
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "By part: `ok`, or the reason's name.",
        },
    )


def _error() -> Json:
    error = _object(
        message={"type": "string", "description": "What is wrong and what to do, for a person."},
        status={"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
        timestamp=_kept_instant(),
    )
    error["properties"]["details"] = {"type": "object", "description": "More, where there is more to say."}
    return error


def _object(**properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}


def _optional(schema: Json) -> Json:
    return {**schema, "type": [schema["type"], "null"]}


def _text(longest: int) -> Json:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _word(text: str) -> Json:
    return {**_text(WORD_LENGTH), "description": text}


def _instant(text: str) -> Json:
    more = "RFC 3339 with an offset, years 2 to 9998; digits past the microsecond are cut off."
    return {"type": "string", "format": "date-time", "description": f"{text} {more}"}


def _kept_instant() -> Json:
    return {"type": "string", "format": "date-time", "description": "UTC."}


def _amount(text: str, **bounds: int) -> Json:
    usual = {} if bounds else {"exclusiveMinimum": -_BOUND}
    return {
        "type": "number",
        **usual,
        **bounds,
        "exclusiveMaximum": _BOUND,
        "description": f"{text} {_AMOUNT_TEXT}",
    }


def _kept_amount() -> Json:
    return {"type": "number", "description": "Exact, up to 8 places, never in exponent form."}


def _count(text: str) -> Json:
    return {"type": "integer", "minimum": 0, "description": text}
