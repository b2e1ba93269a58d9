"""A batch: one claimed window, and the terms under which its files are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from globeco_allocation.domain.trace_context import NO_TRACE, TraceContext
from globeco_allocation.domain.window import Window

FILE_FORMAT_VERSION = 1
"""The transaction file format that this package writes."""

FILE_MAX_RECORDS = 100_000
"""Executions in one file at most, unless configured otherwise: the accounting CLI's own limit."""


class FileQuantity(StrEnum):
    """Which amount a transaction file's ``quantity`` is; they differ on part-filled, cancelled orders."""

    ORDERED = "quantity"
    FILLED = "quantityFilled"


@dataclass(frozen=True, slots=True)
class ClaimTerms:
    """What a batch's files are derived from, kept with the claim: settings may change, its files must not.

    Attributes:
        file_quantity: Which amount is written.
        file_format_version: See `FILE_FORMAT_VERSION`.
        lane_count: Into how many lanes the portfolios are spread.
        file_max_records: Executions in one file at most; a longer window becomes several parts.
        requested_by: Who asked, such as a correlation id; kept for people.
        trace: The place in a trace from which it was asked for.
    """

    file_quantity: FileQuantity = FileQuantity.ORDERED
    file_format_version: int = FILE_FORMAT_VERSION
    lane_count: int = 1
    file_max_records: int = FILE_MAX_RECORDS
    requested_by: str = ""
    trace: TraceContext = NO_TRACE


@dataclass(frozen=True, slots=True)
class Batch:
    """A claimed window: it always holds the same executions.

    Attributes:
        id: The id of its ``batch_history`` row.
        window: The stamps it takes in.
        terms: How its files are made.
        prepared: Whether all its files are written; an empty batch has none.
    """

    id: int
    window: Window
    terms: ClaimTerms
    prepared: bool = False

    @property
    def start(self) -> datetime:
        """Its start time, which ends the window."""
        return self.window.start


@dataclass(frozen=True, slots=True)
class Extent:
    """How many executions a batch has, and between which ids they lie.

    Attributes:
        lane_sizes: The number of executions in each lane that has any.
        first_id: Their smallest id; 0 where there are none.
        last_id: Their largest.
    """

    lane_sizes: Mapping[int, int]
    first_id: int = 0
    last_id: int = 0
