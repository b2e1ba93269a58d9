"""The files that a run leaves beside its data file, and where an earlier attempt's go."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from globeco_allocation.adapters.output_files.directory import FILE_MODE, write_lasting
from globeco_allocation.adapters.output_files.error_file import SUFFIX

STDOUT_SUFFIX = ".stdout.log"
STDERR_SUFFIX = ".stderr.log"
RECORD_SUFFIX = ".run.json"
COMPLETED_SUFFIX = ".completed"

_MOST_NAMES = 1000


class Leftovers:
    """The error file, the two outputs and the record of a run on one transaction file; every method blocks.

    The names are visible ones: they are what an operator looks for when a run failed.
    """

    def __init__(self, directory: Path, file_name: str) -> None:
        self._directory = directory
        self._name = file_name
        self.errors = directory / f"{file_name}{SUFFIX}"
        self.stdout = directory / f"{file_name}{STDOUT_SUFFIX}"
        self.stderr = directory / f"{file_name}{STDERR_SUFFIX}"
        self._record = directory / f"{file_name}{RECORD_SUFFIX}"

    def put_aside(self, attempt: int) -> None:
        """Rename all that is there to ``.attempt-N``, without replacing anything.

        The CLI writes no error file when nothing failed: an old one would be taken for this run's.

        Raises:
            OSError: something is still in the way.
        """
        # The record last: while it stands, the others are taken for its own.
        _put_aside((self.errors, self.stdout, self.stderr, self._record), attempt)

    def put_outputs_aside(self, attempt: int) -> None:
        """Do so with the two outputs alone: whose they are cannot be told.

        Raises:
            OSError: something is still in the way.
        """
        _put_aside((self.stdout, self.stderr), attempt)

    def open_outputs(self) -> tuple[int, int]:
        """Make the two output files; returns their descriptors, which the caller closes.

        Raises:
            OSError: one cannot be made.
        """
        stdout = _create(self.stdout)
        try:
            return stdout, _create(self.stderr)
        except BaseException:
            os.close(stdout)
            raise

    def mark_completed(self, attempt: int) -> None:
        """Write down that an attempt's run came to its own end: of a Job nothing else may tell so one day.

        By the attempt's number, so that a late hand cannot change what belongs to a later attempt.

        Raises:
            OSError: it was not written.
        """
        write_lasting(self._directory / f"{self._name}{COMPLETED_SUFFIX}.attempt-{attempt}", b"")

    def remove_outputs(self) -> None:
        """Remove the output files of a run that did not begin."""
        for path in (self.stdout, self.stderr):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _put_aside(paths: Sequence[Path], attempt: int) -> None:
    for path in paths:
        if os.path.lexists(path):
            path.rename(_free_name(path, attempt))


def _free_name(path: Path, attempt: int) -> Path:
    # Only the holder of the lane's lock makes such names, so one that is free stays free.
    for number in range(_MOST_NAMES):
        again = f".{number}" if number else ""
        name = path.with_name(f"{path.name}.attempt-{attempt}{again}")
        if not os.path.lexists(name):
            return name
    raise FileExistsError(path)


def _create(path: Path) -> int:
    # Appending, so that an output which the CLI's children share is not written over.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(path, flags, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)
    return descriptor
