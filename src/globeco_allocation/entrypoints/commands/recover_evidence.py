"""What the runs on a file have left beside it, for a database that has forgotten them."""

from collections.abc import Iterator
from contextlib import suppress
from glob import escape
from pathlib import Path

from globeco_allocation.adapters.output_files.error_file import SUFFIX, allow_long_fields, read_rows
from globeco_allocation.adapters.output_files.leftovers import STDOUT_SUFFIX
from globeco_allocation.adapters.subprocess_cli.printed_counts import printed_counts, tail
from globeco_allocation.domain.delivery import RecordVerdict, Reject
from globeco_allocation.domain.judging.judge import LONGEST_REASON
from globeco_allocation.domain.judging.rows import RowReader


def may_be_cut_off(directory: Path, file_name: str) -> bool:
    """Tell whether a run of the file may have been cut off, with one record in flight.

    Only runs that all printed their counts were surely not; of a Kubernetes Job nothing printed is left here.
    """
    outputs = list(directory.glob(f"{escape(file_name)}{STDOUT_SUFFIX}*"))
    return not outputs or any(printed_counts(tail(path)) is None for path in outputs)


def not_booked(directory: Path, file_name: str) -> Iterator[Reject]:
    """Yield the records that Portfolio Accounting stored without booking them, as error files tell.

    When such a file is sent again they are refused as known, and only here it still stands why.
    """
    allow_long_fields()
    seen: set[str] = set()
    for path in sorted(directory.glob(f"{escape(file_name)}{SUFFIX}*")):
        with suppress(OSError), path.open(encoding="utf-8", errors="replace", newline="") as file:
            reader = RowReader()
            for row in read_rows(file):
                verdict, reason = reader.read(row)
                if verdict is RecordVerdict.NOT_BOOKED and row.source_id not in seen:
                    seen.add(row.source_id)
                    yield Reject(row.source_id, verdict, reason[:LONGEST_REASON])
