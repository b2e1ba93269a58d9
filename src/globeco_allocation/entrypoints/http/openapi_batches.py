"""The operations on batches, and where one execution is, in the OpenAPI document."""

from globeco_allocation.entrypoints.http import openapi_batch_examples as examples
from globeco_allocation.entrypoints.http.batches import MOST_REJECTS, MOST_REJECTS_IN_ALL
from globeco_allocation.entrypoints.http.openapi_examples import SENT_AGAIN, error
from globeco_allocation.entrypoints.http.openapi_kinds import Json
from globeco_allocation.entrypoints.http.openapi_parts import (
    answer,
    batch_ended,
    batch_failed,
    batch_goes_on,
    fault,
    id_parameter,
    no_page,
    not_found,
    operation,
    page_parameters,
    prefer_parameter,
    too_large,
    unavailable,
)
from globeco_allocation.entrypoints.http.options import HttpOptions

_NO_BATCH = "There is no batch of this id."


def list_batches() -> Json:
    """Describe the list."""
    return operation(
        "listBatches",
        "batches",
        "List batches, newest first",
        "By descending id; those of another program are not among them. Totals are exact.",
        {
            "200": answer("A page.", "BatchList", {"the newest of three": examples.BATCH_LIST}),
            "400": no_page(),
            "500": fault(),
            "503": unavailable(),
        },
        parameters=page_parameters("Batches"),
    )


def show_batch() -> Json:
    """Describe the lookup of a batch."""
    return operation(
        "getBatch",
        "batches",
        "Show one batch",
        "By the id that Send answers as `batchId`: its window, its files by lane and part, and what became "
        f"of them. Of the rejects, {MOST_REJECTS} of a file are shown, and {MOST_REJECTS_IN_ALL} in all.",
        {
            "200": answer(
                "The batch.",
                "Batch",
                {"one record refused": examples.BATCH, "to be tried again": examples.WAITING_BATCH},
            ),
            **not_found(_NO_BATCH),
        },
        parameters=[id_parameter(7)],
    )


def resend_batch(options: HttpOptions) -> Json:
    """Describe the resend."""
    under_way = "The file transactions_20260302_150000_12.csv is delivering: wait for its end."
    nothing = "Batch 7 has no failed or partial delivery to be sent again."
    return operation(
        "resendBatch",
        "batches",
        "Deliver what has failed or was refused again",
        "Its `failed` and `partial` files are delivered again as they are, last in the queue; Portfolio "
        "Accounting refuses what it has, so nothing is booked twice. Answers as Send does, after "
        f"{options.send_wait_seconds:g} s at the latest. Takes no body; any that comes is ignored.",
        {
            "200": batch_ended(SENT_AGAIN),
            "202": batch_goes_on(),
            "400": not_found(_NO_BATCH)["400"],
            "404": not_found(_NO_BATCH)["404"],
            "409": answer(
                "It is still under way, or nothing of it is to be sent again.",
                "Error",
                {"under way": error(409, under_way), "nothing to send again": error(409, nothing)},
            ),
            "413": too_large(options),
            "500": batch_failed(),
            "503": unavailable(),
        },
        parameters=[id_parameter(7), prefer_parameter()],
    )


def where_is_it() -> Json:
    """Describe the way of one execution."""
    return operation(
        "getExecutionDelivery",
        "executions",
        "Tell where one execution is on its way to Portfolio Accounting",
        "By our id, which Create answers as `executionId`: its batch and file, and what became of it there.",
        {
            "200": answer(
                "How far it is.",
                "Whereabouts",
                {
                    "booked": examples.BOOKED,
                    "not sent yet": examples.WAITING,
                    "refused, and settled by hand": examples.SETTLED,
                },
            ),
            **not_found("There is no execution of this id."),
        },
        parameters=[id_parameter(9)],
    )
