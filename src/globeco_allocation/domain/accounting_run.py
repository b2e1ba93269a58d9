"""What a run of the accounting CLI leaves behind: an exit code, printed counts, an error file."""

from dataclasses import dataclass


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
        exit_code: None when the run was killed past its time limit; negative for another signal's number.
        counts: What it printed; None where that could not be had.
        complaint: The last thing it said on standard error, shortened, for a person.
    """

    exit_code: int | None
    counts: PrintedCounts | None
    complaint: str = ""


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
