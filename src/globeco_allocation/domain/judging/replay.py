"""What the runs of a file tell of its records, judged once more from what they left (design, "Verdicts")."""

from collections.abc import Iterable, Iterator

from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow
from globeco_allocation.domain.delivery import Knowledge, RecordVerdict, Reject
from globeco_allocation.domain.judging.earlier import EarlierAttempts
from globeco_allocation.domain.judging.id_set import IdSet
from globeco_allocation.domain.judging.judge import Judge


class Replay:
    """Judges one run of a file after the other, as each was judged when it ended.

    Args:
        execution_ids: Those in the file.
    """

    def __init__(self, execution_ids: IdSet) -> None:
        self._execution_ids = execution_ids
        self._runs = 0
        self._earlier = EarlierAttempts(Knowledge())

    def run(self, run: AccountingRun, rows: Iterable[ErrorRow] = ()) -> None:
        """Take the next run, and what its error file lists."""
        self._runs += 1
        judge = Judge(self._runs, self._earlier)
        for execution_id in self._execution_ids:
            judge.expect(execution_id)
        told = EarlierAttempts(Knowledge(self._runs))
        if run.completed:  # one that was cut off wrote no error file
            for row in rows:
                if reject := judge.see(row):
                    told.see(reject)
        for reject in judge.conclude(run):
            told.see(reject)
        knowledge = judge.judgement(run).knowledge
        if knowledge.attempt == self._runs:
            self._earlier = told
        self._earlier.knowledge = knowledge

    @property
    def cut_offs(self) -> int:
        """How many runs were cut off, or may have been, since the last one that tells of their records."""
        return self._earlier.knowledge.cut_offs

    def rejects(self, words: str) -> Iterator[Reject]:
        """Yield what the next attempt has to know; *words* tell of all of which nothing else is known."""
        if not self._earlier.knowledge.attempt:
            yield Reject("", RecordVerdict.UNKNOWN, words)
        yield from self._earlier.told()
