"""Deliveries and the columns of the table ``delivery``."""

import asyncpg

from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, Knowledge, Outcome, WrittenFile
from globeco_allocation.domain.trace_context import TraceContext


def to_delivery(row: asyncpg.Record) -> Delivery:
    """Read a whole row."""
    return Delivery(
        id=row["id"],
        batch_id=row["batch_id"],
        lane=row["lane"],
        lane_count=row["lane_count"],
        part=row["part"],
        file_name=row["file_name"],
        status=DeliveryStatus(row["status"]),
        record_count=row["record_count"],
        file=_to_file(row),
        attempts=row["attempts"],
        under_way=row["under_way"],
        tries=row["tries"],
        confirming=row["confirming"],
        not_before=row["not_before"],
        run_uid=row["run_uid"],
        outcome=_to_outcome(row),
        knowledge=Knowledge(row["knowledge_attempt"], row["cut_offs"]),
        error=row["error"] or "",
        requested_by=row["requested_by"],
        trace=TraceContext(row["trace_parent"], row["trace_state"]),
        created=row["claimed_timestamp"],
        written=row["written_timestamp"],
        started=row["started_timestamp"],
        ended=row["ended_timestamp"],
    )


def _to_file(row: asyncpg.Record) -> WrittenFile | None:
    checksum: str | None = row["checksum"]
    if checksum is None:
        return None
    return WrittenFile(row["record_count"], row["byte_count"], checksum, row["first_id"], row["last_id"])


def _to_outcome(row: asyncpg.Record) -> Outcome | None:
    status: str | None = row["outcome_status"]
    if status is None:
        return None
    return Outcome(
        DeliveryStatus(status),
        row["accepted_count"],
        row["rejected_count"],
        row["unknown_count"],
        row["exit_code"],
        row["outcome_error"],
    )
