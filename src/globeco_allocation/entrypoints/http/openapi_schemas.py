"""The schemas of the OpenAPI document: what is sent and what is answered, field by field."""

from globeco_allocation.domain.execution import ID_LENGTH, LARGEST_ID
from globeco_allocation.entrypoints.http.openapi_batch_schemas import batch_schemas
from globeco_allocation.entrypoints.http.openapi_kinds import (
    Json,
    amount,
    count,
    instant,
    json_object,
    kept_amount,
    kept_instant,
    optional,
    ref,
    short_text,
    word,
)
from globeco_allocation.entrypoints.http.openapi_overview import overview_schemas
from globeco_allocation.entrypoints.http.records import MOST_RECORDS


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
        "ExecutionList": json_object(
            executions={"type": "array", "items": ref("Execution"), "maxItems": 1000},
            pagination=ref("Pagination"),
        ),
        "Pagination": _pagination(),
        "SendResult": _send_result(),
        **batch_schemas(),
        **overview_schemas(),
        "Health": json_object(
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
        "executionStatus": word("Such as `FULL` or `CPART`."),
        "tradeType": {"enum": ["BUY", "SELL"]},
        "destination": word("Where it was traded, such as `ML`."),
        "securityId": {**short_text(ID_LENGTH), "description": "Blanks at its end carry no meaning."},
        "ticker": word("Such as `IBM`."),
        "quantity": amount(exclusiveMinimum=0, text="Units ordered."),
        "limitPrice": optional(amount(text="Price per unit.")),
        "receivedTimestamp": instant("When the Execution Service received the order."),
        "sentTimestamp": instant(
            "When it sent the order out. The trade date is the calendar date of this instant in New York."
        ),
        "lastFillTimestamp": optional(instant("The last fill.")),
        "quantityFilled": optional(amount(minimum=0, text="Units filled. Absent means 0.")),
        "totalAmount": optional(amount(minimum=0, text="Value of all fills. Absent means 0.")),
        "averagePrice": amount(exclusiveMinimum=0, text="Price per unit over all fills."),
    }
    may_be_absent = {"isOpen", "limitPrice", "lastFillTimestamp", "quantityFilled", "totalAmount"}
    return {
        "type": "object",
        "description": "An execution as a client reports it. Unknown fields are ignored; null is absent.",
        "required": [name for name in fields if name not in may_be_absent],
        "properties": fields,
    }


def _execution() -> Json:
    return json_object(
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
        quantity=kept_amount(),
        limitPrice=optional(kept_amount()),
        receivedTimestamp=kept_instant(),
        sentTimestamp=kept_instant(),
        lastFillTimestamp=optional(kept_instant()),
        quantityFilled=kept_amount(),
        totalAmount=kept_amount(),
        averagePrice=kept_amount(),
        version={"type": "integer", "format": "int32"},
    )


def _receipt_list() -> Json:
    return json_object(
        processedCount=count("Records created or deferred."),
        skippedCount=count("Records skipped."),
        errorCount=count("Records that failed."),
        results={
            "type": "array",
            "items": ref("Receipt"),
            "description": "One for each record, in the request's order.",
        },
    )


def _receipt() -> Json:
    receipt = json_object(
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
    return json_object(
        totalElements=count("In all."),
        totalPages=count("Pages of this size in all."),
        currentPage=count("`offset / limit`, from 0."),
        pageSize=count("The limit."),
        hasNext={"type": "boolean"},
        hasPrevious={"type": "boolean"},
    )


def _send_result() -> Json:
    return json_object(
        processedCount=count("Executions in the batch's files."),
        fileName={"type": "string", "description": "The first file's bare name; empty when there is none."},
        status={"enum": ["success", "partial", "processing", "failed"]},
        message={"type": "string", "description": "For a person."},
        batchId=count("The batch that was claimed."),
        jobName={"type": "string", "description": "The Kubernetes Job; empty without one."},
        jobStatus={"type": "string", "description": "Its status; empty without one."},
        executionMode={
            "type": "string",
            "description": "How the accounting CLI is run; `none` when CLI_COMMAND is not set.",
        },
    )


def _readiness() -> Json:
    return json_object(
        status={"enum": ["ready", "not ready"]},
        checks={
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "By part: `ok`, or the reason's name.",
        },
    )


def _error() -> Json:
    error = json_object(
        message={"type": "string", "description": "What is wrong and what to do, for a person."},
        status={"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
        timestamp=kept_instant(),
    )
    error["properties"]["details"] = {"type": "object", "description": "More, where there is more to say."}
    return error
