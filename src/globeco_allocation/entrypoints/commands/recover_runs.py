"""The runs on transaction files, by what they have left in the output directory (design, "Lanes").

Everything here blocks and may raise OSError.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from globeco_allocation.adapters.output_files.directory import write_lasting
from globeco_allocation.adapters.output_files.error_file import SUFFIX, allow_long_fields, read_rows
from globeco_allocation.adapters.output_files.leftovers import (
    COMPLETED_SUFFIX,
    RECORD_SUFFIX,
    STDOUT_SUFFIX,
)
from globeco_allocation.adapters.subprocess_cli.printed_counts import printed_counts, tail
from globeco_allocation.adapters.subprocess_cli.run_record import TIMED_OUT_SUFFIX, RunRecords
from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow

_LAST_RECOVERY = ".recovered"
_KINDS = (SUFFIX, STDOUT_SUFFIX, RECORD_SUFFIX, TIMED_OUT_SUFFIX, COMPLETED_SUFFIX)
_LEFT = re.compile(
    rf"(?P<file>.+\.csv)(?P<kind>{'|'.join(map(re.escape, _KINDS))})"
    r"(?:\.attempt-(?P<attempt>[0-9]{1,9})(?:\.(?P<again>[0-9]{1,4}))?)?"
)

_Place = tuple[int, int]  # the attempt, and which one of several that were put aside under its number
_LAST: _Place = (1 << 31, 0)
"""Of what was not put aside: it is the last run's, whatever its number."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of which something is left.

    Attributes:
        run: How it ended, as far as that shows. Whichever printed its counts, wrote an error file or is
            marked as completed came to its end.
        errors: Its error file; None when there is none.
    """

    run: AccountingRun
    errors: Path | None = None

    def error_rows(self) -> Iterator[ErrorRow]:
        """Yield what its error file lists."""
        if self.errors is None:
            return
        allow_long_fields()
        with suppress(OSError), self.errors.open(encoding="utf-8", errors="replace", newline="") as file:
            yield from read_rows(file)


NOT_SEEN = PastRun(AccountingRun(exit_code=None, counts=None))
"""A run that may have been made and has left nothing: it may have been cut off."""


@dataclass(slots=True)
class PastRuns:
    """The runs of one transaction file.

    Attributes:
        highest_attempt: No attempt with a higher number was begun, as far as that shows.
    """

    highest_attempt: int = 0
    _last_attempt: int = 0
    _errors: dict[_Place, Path] = field(default_factory=dict[_Place, Path])
    _outputs: dict[_Place, Path] = field(default_factory=dict[_Place, Path])
    _timed_out: set[int] = field(default_factory=set[int])
    _completed: set[int] = field(default_factory=set[int])

    def left(self, kind: str, place: _Place, path: Path) -> None:
        """Take something that a run has left."""
        if kind in {TIMED_OUT_SUFFIX, COMPLETED_SUFFIX}:
            (self._timed_out if kind == TIMED_OUT_SUFFIX else self._completed).add(place[0])
            self._begun(place[0])
            return
        if kind == SUFFIX:
            self._errors[place] = path
        elif kind == STDOUT_SUFFIX:
            self._outputs[place] = path
        if place != _LAST:
            self._begun(place[0] + 1)  # for which it was put aside

    def last_was(self, attempt: int) -> None:
        """Take the number of the attempt whose run was begun last."""
        self._last_attempt = attempt
        self._begun(attempt)

    def __iter__(self) -> Iterator[PastRun]:
        """Yield them in their order, and `NOT_SEEN` where there may have been others.

        Of a Kubernetes Job its error file and a mark are all that stays: neither when it was cut off.
        """
        places = {*self._errors, *self._outputs}
        last = self._last_attempt or max(self._completed, default=0)
        places |= {(one, 0) for one in self._completed if one != last or _LAST not in places}
        before = 0
        for place in sorted(places):
            attempt = last if place == _LAST else place[0]
            yield from [NOT_SEEN] * _perhaps_between(before, attempt)
            yield self._run(place, attempt)
            before = attempt
        if _LAST not in places:
            yield NOT_SEEN

    def _run(self, place: _Place, attempt: int) -> PastRun:
        errors, output = self._errors.get(place), self._outputs.get(place)
        run = AccountingRun(
            exit_code=0 if errors is not None or attempt in self._completed else None,
            counts=None if output is None else printed_counts(tail(output)),
            timed_out=attempt in self._timed_out,
        )
        return PastRun(run, errors)

    def _begun(self, attempt: int) -> None:
        self.highest_attempt = max(self.highest_attempt, attempt)


def last_recovery(directory: Path) -> int:
    """Return under which attempt the last recovery has put files back; 0: there was none.

    It stands in the output directory, for the database that it was made in may be lost as well.
    """
    try:
        return int((directory / _LAST_RECOVERY).read_text())
    except (FileNotFoundError, ValueError):
        return 0


def note_recovery(directory: Path, attempt: int) -> None:
    """Write down under which attempt files are put back; once this returns, it outlasts a power cut."""
    write_lasting(directory / _LAST_RECOVERY, f"{attempt}\n".encode())


def past_runs(directory: Path) -> dict[str, PastRuns]:
    """Find the runs of all transaction files, by the files' names."""
    found: dict[str, PastRuns] = {}
    records = RunRecords(directory)
    with os.scandir(directory) as entries:
        for entry in entries:
            match = _LEFT.fullmatch(entry.name)
            if match is None or not entry.is_file(follow_symlinks=False):
                continue
            runs = found.setdefault(match["file"], PastRuns())
            if match["attempt"] is not None:
                place = int(match["attempt"]), int(match["again"] or 0)
                runs.left(match["kind"], place, Path(entry.path))
            elif match["kind"] != RECORD_SUFFIX:
                runs.left(match["kind"], _LAST, Path(entry.path))
            elif record := records.read(match["file"]):
                runs.last_was(record.attempt)
    return found


def _perhaps_between(before: int, attempt: int) -> int:
    """Return how many runs there may have been between two attempts; 2 stands for any number of them."""
    if not attempt or attempt // 1000 > before // 1000:  # its number is lost; or it is behind a recovery
        return 1
    return min(max(attempt - before - 1, 0), 2)
