"""What ``recover`` reads in the output directory, a few thousand lines at a time."""

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from globeco_allocation.adapters.local_files.manifests import (
    ManifestLines,
    UnreadableLinesError,
    files_without_manifest,
    manifest_names,
    place_of,
)
from globeco_allocation.adapters.local_files.reading import IdReader, NotOursError, checksum_of
from globeco_allocation.adapters.postgres.recovery import Recovery
from globeco_allocation.domain.manifest_reading import ManifestFaultError, ManifestReader
from globeco_allocation.entrypoints.commands.ticker import SlowLine

_FIRST_LINES = 2


@dataclass(slots=True)
class Findings:
    """What was found.

    Attributes:
        manifests: How many there are.
        known: Those whose files the database has.
        new: Those whose files it has not.
        executions: In these.
        highest_id: The highest id of an execution in files without a manifest.
        faults: What cannot be used, in words.
    """

    manifests: int = 0
    known: int = 0
    new: int = 0
    executions: int = 0
    highest_id: int = 0
    faults: list[str] = field(default_factory=list[str])


def read_files(directory: Path, recovery: Recovery, left_out: set[str]) -> Findings:
    """Read every manifest, and put what the database does not know beside its tables.

    Args:
        directory: The output directory.
        recovery: Where it goes.
        left_out: Files whose manifests may be missing.

    Raises:
        OSError: the directory cannot be read.
    """
    found = Findings()
    names = manifest_names(directory)
    show = SlowLine(lambda: f"{found.manifests} of {len(names)} manifests, {found.executions} executions")
    for name in names:
        found.manifests += 1
        try:
            _read_manifest(directory, name, recovery, found, show)
        except ManifestFaultError as error:
            found.faults.append(str(error))
        except UnreadableLinesError:
            found.faults.append(f"the manifest {name} cannot be used: it is no text in CSV")
        except OSError as error:
            directory.stat()
            found.faults.append(f"the manifest {name}, or its file, cannot be read: {error.strerror}")
    without = files_without_manifest(directory)
    found.faults += [
        f"--without-manifest {name}: there is no such file, or it has its manifest"
        for name in sorted(left_out - set(without))
    ]
    for name in without:
        if name in left_out:
            recovery.tables.leave_out(*place_of(name))
        if not recovery.tables.names_a_delivery(name):
            _look_at_ids(directory, name, recovery, found, left_out=name in left_out)
    show.end()
    return found


def _read_manifest(directory: Path, name: str, recovery: Recovery, found: Findings, show: SlowLine) -> None:
    with closing(ManifestLines(directory, name)) as lines:
        reader = ManifestReader(name)
        manifest = reader.begin(lines.next_lines(_FIRST_LINES))
        known = recovery.tables.knows(manifest)
        if known:
            found.known += 1
            return
        if known is None:
            raise ManifestFaultError(
                f"the manifest {name} cannot be used: the database has another file of that name"
            )
        found.new += 1
        while some := lines.next_lines():
            reader.executions(some)
            show.again()
        written = reader.end(lines.checksum)
    stands = checksum_of(directory, manifest.file.file_name)
    if stands not in {None, written.checksum}:  # one that is gone is made again
        raise ManifestFaultError(
            f"the file {manifest.file.file_name} is not the one that its manifest describes"
        )
    with closing(ManifestLines(directory, name)) as lines:  # only now: nothing in it is broken
        reader = ManifestReader(name)
        reader.begin(lines.next_lines(_FIRST_LINES))
        while some := lines.next_lines():
            executions = reader.executions(some)
            recovery.tables.add_executions(executions)
            found.executions += len(executions)
            show.again()
    recovery.tables.add_file(manifest, written)


def _look_at_ids(directory: Path, name: str, recovery: Recovery, found: Findings, *, left_out: bool) -> None:
    try:
        with closing(IdReader(directory, name)) as reader:
            count = known = 0
            while ids := reader.next_ids():
                count += len(ids)
                known += recovery.knows_ids(ids)
                found.highest_id = max(found.highest_id, *ids)
    except (NotOursError, OSError) as error:
        directory.stat()
        if not left_out:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            found.faults.append(f"the file {name} has no manifest, and cannot be read: {reason}")
        return
    if not left_out:
        found.faults.append(
            f"the file {name} has no manifest, and the database does not know it: it may have been sent."
            f" {count - known} of its {count} executions are lost, and can only be matched by hand"
        )
