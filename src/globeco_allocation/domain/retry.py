"""When a delivery is tried again."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetryTerms:
    """How often a delivery is tried, and how long it waits in between (specification, answer 4).

    Attributes:
        attempts: Attempts in all until a person has to resend, the first one counted.
        first_delay: Before the second attempt; it doubles from there.
        longest_delay: At most.
    """

    attempts: int = 3
    first_delay: timedelta = timedelta(seconds=5)
    longest_delay: timedelta = timedelta(minutes=10)

    def delay_after(self, tries: int) -> timedelta | None:
        """Return how long to wait after so many failed attempts; None when there is to be no other.

        >>> terms = RetryTerms(attempts=3, first_delay=timedelta(seconds=5))
        >>> [str(terms.delay_after(tries)) for tries in (1, 2, 3)]
        ['0:00:05', '0:00:10', 'None']
        """
        if tries >= self.attempts:
            return None
        # The exponent is bounded, for no wait is longer than the longest.
        return min(self.first_delay * 2 ** min(tries - 1, 30), self.longest_delay)
