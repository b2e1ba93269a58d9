"""What earlier attempts tell of a file's records (design, "Verdicts")."""

from collections.abc import Iterator

from globeco_allocation.domain.delivery import Knowledge, RecordVerdict, Reject
from globeco_allocation.domain.judging.id_set import IdSet
from globeco_allocation.domain.source_id import execution_id_of, source_id

_MOST_WORDS = 10_000
_WORDS_ELSEWHERE = "an earlier attempt's answer said so"

_NEVER_STORED = frozenset({RecordVerdict.REFUSED, RecordVerdict.NOT_SENT, RecordVerdict.DUPLICATE})
_STORED_FOR_A_PERSON = frozenset({RecordVerdict.NOT_BOOKED, RecordVerdict.UNCONFIRMED})


class EarlierAttempts:
    """The memory of the attempts before this one, in a few bytes a record.

    Args:
        knowledge: What the delivery's row says; show the rejects of its attempt to `see`.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self._never_stored, self._foreign, self._unknown = IdSet(), IdSet(), IdSet()
        self._others_are_unknown = False
        self._not_booked, self._unconfirmed = IdSet(), IdSet()
        self._words: dict[int, str] = {}

    def see(self, reject: Reject) -> None:
        """Take in one reject of the newest attempt that tells something.

        An unknown one without a record stands for all that the attempt did not name.
        """
        key = execution_id_of(reject.source_id)
        if key is None:
            if reject.verdict is RecordVerdict.UNKNOWN:
                self._others_are_unknown = True
            return
        if reject.verdict in _NEVER_STORED:
            self._never_stored.add(key)
            if reject.verdict is RecordVerdict.DUPLICATE:
                self._foreign.add(key)
        elif reject.verdict is RecordVerdict.UNKNOWN:
            self._unknown.add(key)
        elif reject.verdict in _STORED_FOR_A_PERSON:
            kind = self._not_booked if reject.verdict is RecordVerdict.NOT_BOOKED else self._unconfirmed
            kind.add(key)
            if len(self._words) < _MOST_WORDS:
                self._words[key] = reject.reason

    @property
    def were_cut_off(self) -> bool:
        """Whether runs were cut off since: one of their records may have been in flight."""
        return self.knowledge.cut_offs > 0

    def never_stored(self, key: int) -> bool:
        """Tell whether no attempt before the cut-off ones can have stored the record."""
        return self.knowledge.attempt == 0 or key in self._never_stored

    def is_unknown(self, key: int) -> bool:
        """Tell whether the newest attempt that tells named the record as unknown."""
        return key in self._unknown

    def may_be_new_since(self, key: int) -> bool:
        """Tell whether the record may have been stored by a run after the newest attempt that tells.

        One that this attempt found booked, foreign or otherwise stored was not.
        """
        if self.knowledge.attempt == 0 or key in self._unknown:
            return True
        if key in self._never_stored:
            return key not in self._foreign
        return self._others_are_unknown and self.stored_for_a_person(key) is None

    def stored_for_a_person(self, key: int) -> tuple[RecordVerdict, str] | None:
        """Return what was found out for good of a record that is stored, but not known to be booked."""
        if key in self._not_booked:
            return RecordVerdict.NOT_BOOKED, self._words.get(key, _WORDS_ELSEWHERE)
        if key in self._unconfirmed:
            return RecordVerdict.UNCONFIRMED, self._words.get(key, _WORDS_ELSEWHERE)
        return None

    def told(self) -> Iterator[Reject]:
        """Yield rejects that tell another one the same."""
        if self._others_are_unknown:
            yield Reject("", RecordVerdict.UNKNOWN, _WORDS_ELSEWHERE)
        for key in self._never_stored:
            verdict = RecordVerdict.DUPLICATE if key in self._foreign else RecordVerdict.NOT_SENT
            yield Reject(source_id(key), verdict, _WORDS_ELSEWHERE)
        for key in self._unknown:
            yield Reject(source_id(key), RecordVerdict.UNKNOWN, _WORDS_ELSEWHERE)
        for key in self.all_stored_for_a_person():
            if found := self.stored_for_a_person(key):
                yield Reject(source_id(key), *found)

    def all_stored_for_a_person(self) -> list[int]:
        """Return the ids of all such records, in ascending order."""
        return sorted([*self._not_booked, *self._unconfirmed])
