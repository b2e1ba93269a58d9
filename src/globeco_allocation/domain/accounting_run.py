"""A run of the accounting CLI: what is asked for, and what it leaves behind."""

from dataclasses import dataclass

from globeco_allocation.domain.trace_context import NO_TRACE, TraceContext


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """One attempt to have a transaction file loaded. The same order always means the same run.

    Attributes:
        batch_id: The file's batch.
        lane: Its lane, whose runs follow one another.
        lane_count: How many lanes there are beside it; runs of another count never go on at the same time.
        part: Its place among the files of the batch and lane, from 0.
        attempt: From 1.
        file_name: Bare.
        uid: By what the runner noted this attempt's run, see `RunPermit.identified`; empty if it did not.
        correlation_id: Of the request behind it; for people.
        trace: The trace that a run started for it belongs to; one that is found may belong to another.
    """

    batch_id: int
    lane: int = 0
    lane_count: int = 1
    part: int = 0
    attempt: int
    file_name: str
    uid: str = ""
    correlation_id: str = ""
    trace: TraceContext = NO_TRACE

    @property
    def name(self) -> str:
        """The run's name, unique for ever; fit for a process, a container and a Kubernetes Job.

        >>> RunOrder(batch_id=7, attempt=2, file_name="transactions_20260302_150000_7_l1_p0.csv").name
        'allocation-20260302-150000-7-l1-p0-a2'
        """
        stem = self.file_name.removesuffix(".csv").removeprefix("transactions_")
        return f"allocation-{stem.replace('_', '-')}-a{self.attempt}"


@dataclass(frozen=True, slots=True)
class PrintedCounts:
    """The counts that the CLI prints at its end (contract: accounting CLI, "Results").

    A row that its CSV reader cannot parse is in none of them, and a row whose answer it could not read is in
    ``total`` alone.
    """

    total: int
    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True)
class AccountingRun:
    """An ended run.

    Attributes:
        exit_code: Negative for a signal's number; None where it cannot be had, because the run outlived its
            parent or nobody may read it.
        counts: What it printed; None where that could not be had.
        complaint: The last thing it said on standard error, or why it ended, shortened, for a person.
        timed_out: Whether it was ended past its time limit.
    """

    exit_code: int | None
    counts: PrintedCounts | None
    complaint: str = ""
    timed_out: bool = False

    @property
    def completed(self) -> bool:
        """Whether it came to its own end. Otherwise it was cut off, perhaps in the middle of a record."""
        if self.timed_out:
            return False
        return self.exit_code == 0 or (self.exit_code is None and self.counts is not None)


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One row of the CLI's error file.

    Attributes:
        source_id: Empty when the row had too few fields.
        message: The complete ``error_message``; an HTTP answer names every record of its request. Empty when
            it could not be read: what became of the record is not known then.
    """

    source_id: str
    message: str
