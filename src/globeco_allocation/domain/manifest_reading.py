"""A manifest read again: checked line by line, and the transaction file that it describes made from it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from globeco_allocation.domain.batch import Batch, ClaimTerms, FileQuantity
from globeco_allocation.domain.delivery import PlannedFile, WrittenFile
from globeco_allocation.domain.errors import AllocationError
from globeco_allocation.domain.lane import lane_of
from globeco_allocation.domain.manifest import (
    BATCH,
    BATCH_COLUMNS,
    COLUMNS,
    END,
    EXECUTION,
    EXECUTION_COLUMNS,
    MANIFEST_VERSION,
    manifest_name,
)
from globeco_allocation.domain.transaction_file import HEADER, file_name, file_row
from globeco_allocation.domain.window import Window

_PLACES = {name: place for place, name in enumerate(EXECUTION_COLUMNS)}
_ID, _PORTFOLIO, _READY = _PLACES["id"], _PLACES["portfolio_id"], _PLACES["ready_to_send_timestamp"]
_SECURITY, _TYPE = _PLACES["security_id"], _PLACES["trade_type"]
_PRICE, _DAY = _PLACES["average_price"], _PLACES["trade_date"]
_QUANTITIES = {
    FileQuantity.ORDERED: _PLACES["quantity"],
    FileQuantity.FILLED: _PLACES["quantity_filled"],
}
_DAYS = {"infinity": "99991231", "-infinity": "00010101"}


class ManifestFaultError(AllocationError):
    """A manifest is not what was written: cut off, changed, or somebody else's."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says of its file.

    Attributes:
        batch: Its batch.
        file: The file as it was planned.
    """

    batch: Batch
    file: PlannedFile


class ManifestReader:
    """Takes a manifest's lines as the csv module reads them, some at a time.

    Args:
        name: The bare name under which it was found.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._records = 0
        self._first_id = self._last_id = 0
        self._ended = ""
        self._bytes = len(HEADER)
        self._hash = hashlib.sha256(HEADER)

    def begin(self, lines: Sequence[Sequence[str]]) -> Manifest:
        """Take the first two lines.

        Raises:
            ManifestFaultError: it is none of ours.
        """
        if len(lines) != 2 or tuple(lines[0]) != COLUMNS:  # noqa: PLR2004 (header and batch)
            raise self._fault("its header is not a manifest's")
        line = self._whole(lines[1])
        facts: dict[str, str] = dict(zip(COLUMNS, line, strict=True))
        if line[0] != BATCH or any(line[1 : len(EXECUTION_COLUMNS) + 1]):
            raise self._fault("its second line is not the batch's")
        if facts["manifest_version"] != str(MANIFEST_VERSION):
            raise self._fault(
                f"its format is version {facts['manifest_version']}, and this program reads"
                f" {MANIFEST_VERSION}: use the program that wrote it, or a newer one"
            )
        try:
            self._manifest = manifest = _manifest(facts)
        except ValueError as error:
            raise self._fault("its second line holds no batch") from error
        if self._name != manifest_name(manifest.file.file_name):
            raise self._fault("it was renamed: it describes " + manifest.file.file_name)
        names = {
            file_name(manifest.batch, manifest.file.lane, manifest.file.part, parts=parts) for parts in (1, 2)
        }
        if manifest.file.file_name not in names:
            raise self._fault("its file's name is not its batch's")
        return manifest

    def executions(self, lines: Sequence[Sequence[str]]) -> list[list[str]]:
        """Take more lines, and return the columns of the executions among them.

        Raises:
            ManifestFaultError: they are not its batch's executions, by ascending id.
        """
        found = [self._execution(line) for line in lines if self._is_execution(line)]
        rows = "".join(map(self._file_row, found)).encode()
        self._hash.update(rows)
        self._bytes += len(rows)
        return found

    def end(self, checksum: str) -> WrittenFile:
        """Return what its transaction file is, made from what was read.

        Args:
            checksum: SHA-256, in hex, of the manifest's bytes before its last line.

        Raises:
            ManifestFaultError: it was cut off, or changed.
        """
        if not self._ended:
            raise self._fault("it is cut off")
        if self._ended != checksum:
            raise self._fault("it was changed after it was written")
        if self._records != self._manifest.file.record_count:
            raise self._fault(
                f"it holds {self._records} executions, and should hold {self._manifest.file.record_count}"
            )
        return WrittenFile(self._records, self._bytes, self._hash.hexdigest(), self._first_id, self._last_id)

    def _is_execution(self, line: Sequence[str]) -> bool:
        if self._ended:
            raise self._fault("it goes on behind its end")
        if line and line[0] == EXECUTION:
            return True
        self._whole(line)
        if line[0] != END or any(line[1:-1]) or not line[-1]:
            raise self._fault(f"line {self._records + 3} is none of a manifest")
        self._ended = line[-1]
        return False

    def _execution(self, line: Sequence[str]) -> list[str]:
        one = list(self._whole(line)[1 : len(EXECUTION_COLUMNS) + 1])
        batch, lane = self._manifest.batch, self._manifest.file.lane
        try:
            key, ready = int(one[_ID]), datetime.fromisoformat(one[_READY])
        except ValueError as error:
            raise self._fault(f"line {self._records + 3} holds no execution") from error
        if key <= self._last_id and self._records:
            raise self._fault(f"execution {key} does not come by its id")
        if ready not in batch.window:
            raise self._fault(f"execution {key} is not in its batch's window")
        if lane_of(one[_PORTFOLIO].rstrip(" "), batch.terms.lane_count) != lane:
            raise self._fault(f"execution {key} is not of its lane")
        self._first_id = key if not self._records else self._first_id
        self._last_id = key
        self._records += 1
        return one

    def _file_row(self, one: Sequence[str]) -> str:
        """Write a line of the transaction file: ids without what fills their columns, amounts as they are."""
        day = one[_DAY]
        return file_row(
            portfolio_id=one[_PORTFOLIO].rstrip(" "),
            security_id=one[_SECURITY].rstrip(" "),
            execution_id=int(one[_ID]),
            trade_type=one[_TYPE],
            quantity=one[_QUANTITIES[self._manifest.batch.terms.file_quantity]],
            price=one[_PRICE],
            day=_DAYS.get(day) or day.replace("-", ""),
        )

    def _whole(self, line: Sequence[str]) -> Sequence[str]:
        if len(line) != len(COLUMNS):
            raise self._fault("it is cut off, or a line of it is none of a manifest")
        return line

    def _fault(self, what: str) -> ManifestFaultError:
        return ManifestFaultError(f"the manifest {self._name} cannot be used: {what}")


def _manifest(facts: dict[str, str]) -> Manifest:
    numbers = {name: int(facts[name]) for name in BATCH_COLUMNS if name in _NUMBERS}
    terms = ClaimTerms(
        file_quantity=FileQuantity(facts["file_quantity"]),
        file_format_version=numbers["file_format_version"],
        lane_count=numbers["lane_count"],
        file_max_records=numbers["file_max_records"],
        requested_by=facts["requested_by"],
    )
    if min(numbers["lane_count"], numbers["file_max_records"], numbers["record_count"]) < 1:
        raise ValueError(numbers)
    window = Window(
        datetime.fromisoformat(facts["previous_start_time"]), datetime.fromisoformat(facts["start_time"])
    )
    file = PlannedFile(numbers["lane"], numbers["part"], facts["file_name"], numbers["record_count"])
    return Manifest(Batch(numbers["batch_id"], window, terms), file)


_NUMBERS = frozenset(
    {
        "batch_id",
        "file_format_version",
        "lane_count",
        "file_max_records",
        "lane",
        "part",
        "record_count",
    }
)
