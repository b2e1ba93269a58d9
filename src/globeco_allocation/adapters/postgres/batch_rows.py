"""Batches and the columns of the tables ``batch_history`` and ``batch_claim``."""

import asyncpg

from globeco_allocation.domain.batch import Batch, ClaimTerms, FileQuantity
from globeco_allocation.domain.trace_context import TraceContext
from globeco_allocation.domain.window import Window


def to_batch(row: asyncpg.Record) -> Batch:
    """Read whole rows of both, side by side."""
    terms = ClaimTerms(
        file_quantity=FileQuantity(row["file_quantity"]),
        file_format_version=row["file_format_version"],
        lane_count=row["lane_count"],
        file_max_records=row["file_max_records"],
        requested_by=row["requested_by"],
        trace=TraceContext(row["trace_parent"], row["trace_state"]),
    )
    window = Window(row["previous_start_time"], row["start_time"])
    return Batch(row["id"], window, terms, prepared=row["prepared_timestamp"] is not None)
