"""What is written down of a run before it starts, so that it is found again whoever dies (design, "Lanes").

Three things, all in the output directory:

- the record, beside the data file: which attempt was begun last, where, and as which process;
- the mark of a run that was ended past its limit: a file by the attempt's number, so that a late hand cannot
  change what belongs to a later attempt;
- the list of runs that nobody has seen the end of: an empty file each in a hidden directory, named by lane
  count, lane and data file. It is how a run shows when somebody removed its lock.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

from globeco_allocation.adapters.output_files.directory import FILE_MODE, make_hidden, write_lasting
from globeco_allocation.adapters.output_files.leftovers import RECORD_SUFFIX
from globeco_allocation.adapters.subprocess_cli.living_process import this_host
from globeco_allocation.domain.accounting_run import RunOrder

OPEN_DIRECTORY = ".running"
TIMED_OUT_SUFFIX = ".timed-out"

_LARGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is known of the last run of a data file.

    Attributes:
        run: Its name; empty where the record cannot be read.
        attempt: Its number.
        lane: Its lane.
        lane_count: How many there were.
        host: Where it was begun, see `this_host`.
        begun: When (UTC, RFC 3339), for people.
        uid: As which process, see `ProcessMark`; empty while that is not known.
    """

    run: str
    attempt: int
    lane: int
    lane_count: int
    host: str
    begun: str
    uid: str = ""

    @classmethod
    def of(cls, order: RunOrder) -> "RunRecord":
        """Return the record of a run that is about to be started here."""
        begun = datetime.now(UTC).isoformat(timespec="milliseconds")
        return cls(order.name, order.attempt, order.lane, order.lane_count, this_host(), begun)

    def known_as(self, uid: str) -> "RunRecord":
        """Return the record with the process that was started."""
        return replace(self, uid=uid)


UNREADABLE = RunRecord(run="", attempt=0, lane=0, lane_count=0, host="", begun="")


class Rival(NamedTuple):
    """A run that may go on, by the list of those that nobody has seen the end of."""

    file_name: str
    record: RunRecord
    entry: Path

    def forget(self) -> None:
        """Take it off the list; blocks."""
        with suppress(OSError):
            self.entry.unlink(missing_ok=True)


class RunRecords:
    """The records in *directory*; every method blocks.

    What is written under a data file's name is written by the holder of its lane's locks alone.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open = directory / OPEN_DIRECTORY

    def read(self, file_name: str) -> RunRecord | None:
        """Return a file's record, `UNREADABLE` for one that is not as we write it, None when there is none.

        Raises:
            OSError: it cannot be known.
        """
        try:
            with self._path(file_name).open("rb") as file:
                content = file.read(_LARGEST)
        except FileNotFoundError:
            return None
        return _decoded(content)

    def begin(self, order: RunOrder, record: RunRecord) -> None:
        """Write down that a run is about to be started; once this returns, it outlasts a power cut.

        Raises:
            OSError: it was not written.
        """
        make_hidden(self._open)
        entry = self._entry(order)
        descriptor = os.open(entry, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        os.close(descriptor)
        self.write(order.file_name, record)

    def write(self, file_name: str, record: RunRecord) -> None:
        """Write a file's record.

        Raises:
            OSError: it stays as it was.
        """
        content = json.dumps(asdict(record), indent=1).encode() + b"\n"
        write_lasting(self._path(file_name), content)

    def undo(self, order: RunOrder) -> None:
        """Take back what `begin` wrote of a run that was not started."""
        with suppress(OSError):
            self._path(order.file_name).unlink(missing_ok=True)
        self.ended(order)

    def ended(self, order: RunOrder) -> None:
        """Write down that the run was seen to end."""
        with suppress(OSError):
            self._entry(order).unlink(missing_ok=True)

    def rivals(self, order: RunOrder) -> list["Rival"]:
        """Return the runs that nobody has seen the end of and that must not go on beside this one.

        These are those of the order's lane, of its own file too, and all of another lane count.

        Raises:
            OSError: it cannot be known.
        """
        found: list[Rival] = []
        with suppress(FileNotFoundError):
            for name in os.listdir(self._open):  # noqa: PTH208 - names are all that is wanted
                lane_count, _, rest = name.partition(".")
                lane, _, file_name = rest.partition(".")
                if lane_count == str(order.lane_count) and lane != str(order.lane):
                    continue
                record = self.read(file_name)
                if record is not None:
                    found.append(Rival(file_name, record, self._open / name))
        return found

    def mark_timed_out(self, file_name: str, attempt: int) -> None:
        """Write down that an attempt's run is ended past its limit.

        Raises:
            OSError: it was not written.
        """
        write_lasting(self._timed_out(file_name, attempt), b"")

    def timed_out(self, order: RunOrder) -> bool:
        """Tell whether the run was ended past its limit.

        Raises:
            OSError: it cannot be known.
        """
        try:
            self._timed_out(order.file_name, order.attempt).stat()
        except FileNotFoundError:
            return False
        return True

    def _path(self, file_name: str) -> Path:
        return self._directory / f"{file_name}{RECORD_SUFFIX}"

    def _entry(self, order: RunOrder) -> Path:
        return self._open / f"{order.lane_count}.{order.lane}.{order.file_name}"

    def _timed_out(self, file_name: str, attempt: int) -> Path:
        return self._directory / f"{file_name}{TIMED_OUT_SUFFIX}.attempt-{attempt}"


def _decoded(content: bytes) -> RunRecord:
    try:
        fields: object = json.loads(content)
    except (ValueError, RecursionError):
        return UNREADABLE
    if not isinstance(fields, Mapping):
        return UNREADABLE
    values = cast("Mapping[str, Any]", fields)
    try:
        return RunRecord(
            run=str(values["run"]),
            attempt=int(values["attempt"]),
            lane=int(values["lane"]),
            lane_count=int(values["lane_count"]),
            host=str(values["host"]),
            begun=str(values["begun"]),
            uid=str(values["uid"]),
        )
    except (KeyError, TypeError, ValueError):
        return UNREADABLE
