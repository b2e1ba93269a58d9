"""Whether a run's printed counts, its error file and the file that was sent fit together."""

from dataclasses import dataclass

from globeco_allocation.domain.accounting_run import AccountingRun


@dataclass(frozen=True, slots=True)
class RunReport:
    """What an ended run tells in numbers (contract: accounting CLI, "Results").

    Attributes:
        run: The run.
        records: How many the file has.
        listed: How many of them the error file names.
        unnamed: Rows of the error file whose fields the CLI could not tell apart.
        strays: Rows that stand for no record of the file, or for one that is listed already.
    """

    run: AccountingRun
    records: int
    listed: int
    unnamed: int
    strays: int

    @property
    def unlisted(self) -> int:
        """How many records the error file does not speak of."""
        return self.records - self.listed - self.unnamed

    @property
    def fits(self) -> bool:
        """Whether the printed counts, where there are any, agree with the error file and the file sent."""
        counts = self.run.counts
        return counts is None or (
            counts.total <= self.records
            and counts.failed == self.listed + self.unnamed + self.strays
            and counts.succeeded + counts.failed <= counts.total
        )

    @property
    def succeeded(self) -> int:
        """How many records the run has booked without listing them, for sure."""
        counts = self.run.counts
        return counts.succeeded if self.run.completed and counts is not None and self.fits else 0

    @property
    def unlisted_are_booked(self) -> bool:
        """Whether all records that are not listed are booked."""
        return self.unlisted > 0 and self.succeeded == self.unlisted

    @property
    def unlisted_are_stored(self) -> bool:
        """Whether what is not listed can be taken for stored; not that it is booked."""
        if self.run.counts is None:  # the CLI lists whatever it could not load
            return not self.strays and not self.unnamed
        return self.unlisted_are_booked

    @property
    def is_whole(self) -> bool:
        """Whether it accounts for every record, one way or the other."""
        if not self.run.completed or self.strays:
            return False
        if self.run.counts is None:  # an error file that names every record says enough
            return not self.unlisted
        return self.fits
