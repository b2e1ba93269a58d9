"""Which record a run that was cut off had in flight (design, "Verdicts").

Such a run leaves no report. It has stored the file's records one after the other, as far as they were not
stored before, and the last one perhaps without booking it. The next run shows how far it came: it did not
reach the first record that is new to Portfolio Accounting, so it had stored those before it that are known.
Of several in a row only the last one's way is seen: each of the known records may have been in flight once.
"""

from collections.abc import Iterator

from globeco_allocation.domain.delivery import RecordVerdict
from globeco_allocation.domain.judging.earlier import EarlierAttempts
from globeco_allocation.domain.judging.id_set import IdSet


class InFlight:
    """Judges what a run after a cut-off found known.

    Args:
        earlier: What the attempts before it tell.
    """

    def __init__(self, earlier: EarlierAttempts) -> None:
        self._earlier = earlier
        self._known = IdSet()
        self._first_unanswered: int | None = None

    def concerns(self, key: int) -> bool:
        """Tell whether a run that was cut off may have had the record in flight."""
        return self._earlier.were_cut_off and self._earlier.may_be_new_since(key)

    def known(self, key: int) -> None:
        """Take in that such a record was refused as known."""
        self._known.add(key)

    def unanswered(self, key: int) -> None:
        """Take in that such a record got no answer, or that the answer was lost."""
        if self._first_unanswered is None or key < self._first_unanswered:
            self._first_unanswered = key

    def can_be_told(self, first_new: int | None) -> bool:
        """Tell whether all those that may have been in flight are answered, given the first new record."""
        first = self._first_unanswered
        return first is None or (first_new is not None and first > first_new)

    def verdicts(self, first_new: int | None) -> Iterator[tuple[int, RecordVerdict]]:
        """Yield each of the known ones with its verdict, given the first record that the run has stored."""
        doubtful = RecordVerdict.UNCONFIRMED if self.can_be_told(first_new) else RecordVerdict.UNKNOWN
        several = self._earlier.knowledge.cut_offs > 1  # how far the first of them came, nobody saw
        last: dict[bool, int] = {}
        for key in self._known:
            never_stored = self._earlier.never_stored(key)
            if first_new is not None and key > first_new:  # no run that was cut off has come so far
                yield key, RecordVerdict.DUPLICATE if never_stored else RecordVerdict.ACCEPTED
            elif several or self._earlier.is_unknown(key):  # any of them may be the one in flight
                yield key, doubtful
            else:
                if never_stored in last:
                    yield last[never_stored], RecordVerdict.ACCEPTED
                last[never_stored] = key
        for key in last.values():
            yield key, doubtful
