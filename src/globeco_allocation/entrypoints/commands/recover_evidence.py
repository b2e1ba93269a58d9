"""What the runs on a file tell of its records, for a database that has forgotten them."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from globeco_allocation.adapters.local_files.manifests import ManifestLines, UnreadableLinesError
from globeco_allocation.adapters.local_files.reading import IdReader, NotOursError
from globeco_allocation.adapters.postgres.recovery_doubts import WORDS
from globeco_allocation.domain.delivery import RecordVerdict, Reject
from globeco_allocation.domain.judging.id_set import IdSet
from globeco_allocation.domain.judging.replay import Replay
from globeco_allocation.domain.manifest import EXECUTION_COLUMNS, manifest_name
from globeco_allocation.domain.manifest_reading import ManifestFaultError, ManifestReader
from globeco_allocation.entrypoints.commands.recover_runs import PastRuns, past_runs

_ID = EXECUTION_COLUMNS.index("id")
_FIRST_LINES = 2


@dataclass(frozen=True, slots=True)
class Told:
    """What the next attempt has to know of a file's records.

    Attributes:
        rejects: Those of which the runs have told anything but that they are booked.
        cut_offs: Runs that were cut off, or may have been, and are not cleared up by a later one.
    """

    rejects: Iterable[Reject]
    cut_offs: int


_NOTHING = Told([Reject("", RecordVerdict.UNKNOWN, WORDS)], 1)


class Evidence:
    """What all runs have left in the output directory; read once.

    Raises:
        OSError: the directory cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runs: Mapping[str, PastRuns] = past_runs(directory)

    @property
    def highest_attempts(self) -> dict[str, int]:
        """The highest attempt that was begun, by the names of the files."""
        return {name: runs.highest_attempt for name, runs in self._runs.items()}

    def of(self, file_name: str) -> Told:
        """Judge the file's runs once more, one after the other."""
        runs = self._runs.get(file_name)
        execution_ids = None if runs is None else self._execution_ids(file_name)
        if runs is None or execution_ids is None:
            return _NOTHING
        replay = Replay(execution_ids)
        for past in runs:
            replay.run(past.run, past.error_rows())
        return Told(replay.rejects(WORDS), replay.cut_offs)

    def _execution_ids(self, file_name: str) -> IdSet | None:
        """Return the ids in a file; None when neither it nor its manifest tells."""
        for read in (self._ids_in_file, self._ids_in_manifest):
            ids = IdSet()
            try:
                read(file_name, ids)
            except (OSError, NotOursError, ManifestFaultError, UnreadableLinesError):
                continue
            return ids
        return None

    def _ids_in_file(self, file_name: str, ids: IdSet) -> None:
        with closing(IdReader(self._directory, file_name)) as reader:
            while some := reader.next_ids():
                for one in some:
                    ids.add(one)

    def _ids_in_manifest(self, file_name: str, ids: IdSet) -> None:
        name = manifest_name(file_name)
        with closing(ManifestLines(self._directory, name)) as lines:
            reader = ManifestReader(name)
            reader.begin(lines.next_lines(_FIRST_LINES))
            while some := lines.next_lines():
                for row in reader.executions(some):
                    ids.add(int(row[_ID]))
