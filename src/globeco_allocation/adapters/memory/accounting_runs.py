"""What a test asks of the runs of the twin in memory, and what it is told of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CutOff:
    """A run that is killed in the middle.

    Attributes:
        after: Records that are through by then.
        one_in_flight: Whether the next one is stored already, but never booked.
    """

    after: int
    one_in_flight: bool = False


@dataclass(frozen=True, slots=True)
class RunSpan:
    """When a run went on, for checking that no two touched a portfolio at a time.

    Attributes:
        run: Its name.
        lane: Its lane.
        lane_count: How many there were.
        portfolios: The portfolios of its file.
        begin: Its place among the beginnings and ends of all runs.
        end: Likewise; None while it goes on.
    """

    run: str
    lane: int
    lane_count: int
    portfolios: frozenset[str]
    begin: int
    end: int | None = None

    def overlaps(self, other: "RunSpan") -> bool:
        """Tell whether both touched a portfolio at the same time."""
        if not self.portfolios & other.portfolios:
            return False
        return (self.end is None or other.begin < self.end) and (other.end is None or self.begin < other.end)
