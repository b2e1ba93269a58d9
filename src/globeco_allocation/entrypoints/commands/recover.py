"""``globeco-allocation recover``: a database restored from a backup learns what was sent after it."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from globeco_allocation.entrypoints.exit_codes import ExitCode

if TYPE_CHECKING:
    from globeco_allocation.adapters.postgres.recovery_steps import Changes
    from globeco_allocation.entrypoints.commands.recover_files import Findings
    from globeco_allocation.entrypoints.settings import Settings

EPILOG = """\
After a backup was restored, and BEFORE any replica is started on it: reads the manifests in
OUTPUT_DIR (BATCH_MANIFEST), and puts back what was sent after the backup: executions under their
own ids, windows, deliveries (each is sent again, and what is booked already is known by that). It
moves the ids on, so that none is handed out again. Without --apply it only says what it would do.
It may run as often as wanted: a second time it finds nothing to do.

With --reconcile, when the service may run again: pages through the Trade Service's executions and
names the ids that are not here, one a line. Only those are to be posted again.

exit codes: 0 done, or nothing to do (--reconcile: nothing is missing); 1 refused, nothing has
changed; 2 the settings are wrong; 3 the database or the Trade Service is away or busy; 4 with
--reconcile: ids are missing; without --apply: there is something to do
"""

_WHAT_TO_DO = """\
Nothing has changed. Rows that were made after the restore stand in the way of what was sent before:
restore the backup once more, keep every replica stopped, and run `recover` before anything else.
What was posted since then is named by `recover --reconcile`, and is to be posted again."""

_BROKEN = """\
Nothing has changed. Bring what is broken back from a copy of OUTPUT_DIR. If there is none, see
docs/operations/disaster-recovery.md, "What recover refuses"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to do."""
    parser.epilog = EPILOG
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--apply", action="store_true", help="do it (default: only say what would be done)")
    what.add_argument(
        "--reconcile", action="store_true", help="name the Trade Service's executions that are not here"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="with --reconcile: write the ids there (default: print them)",
    )
    parser.add_argument(
        "--without-manifest",
        action="append",
        default=[],
        metavar="FILE",
        help="go on although this transaction file has no manifest; its ids are passed over; may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Recover, or reconcile."""
    from globeco_allocation.entrypoints.commands.settings_or_exit import settings_or_exit  # noqa: PLC0415

    out_of_place = arguments.without_manifest if arguments.reconcile else arguments.output
    if out_of_place:
        return _failed("--output goes with --reconcile, and --without-manifest without it", ExitCode.USAGE)
    if arguments.reconcile:
        from globeco_allocation.entrypoints.commands.recover_reconcile import reconcile  # noqa: PLC0415

        return reconcile(arguments.output)
    from globeco_allocation.adapters.postgres.errors import DatabaseUnreachableError  # noqa: PLC0415
    from globeco_allocation.domain.errors import AllocationError  # noqa: PLC0415

    settings = settings_or_exit()
    try:
        return _recover(settings, set(arguments.without_manifest), apply=arguments.apply)
    except DatabaseUnreachableError as error:
        return _failed(f"{error}; run it again: what is done already, it finds done", ExitCode.TRY_AGAIN)
    except AllocationError as error:
        return _failed(str(error), ExitCode.FAILED)
    except OSError as error:
        return _failed(f"OUTPUT_DIR cannot be used: {error.strerror}; nothing has changed", ExitCode.FAILED)


def _recover(settings: "Settings", left_out: set[str], *, apply: bool) -> ExitCode:
    from globeco_allocation.adapters.postgres.recovery import open_recovery  # noqa: PLC0415
    from globeco_allocation.adapters.subprocess_cli.lane_lock import lanes_in_use  # noqa: PLC0415
    from globeco_allocation.entrypoints.commands.recover_evidence import Evidence  # noqa: PLC0415
    from globeco_allocation.entrypoints.commands.recover_files import read_files  # noqa: PLC0415
    from globeco_allocation.entrypoints.commands.recover_runs import (  # noqa: PLC0415
        last_recovery,
        note_recovery,
    )

    directory = settings.output_dir
    if lanes := lanes_in_use(directory):
        return _failed(
            f"a run of the accounting CLI goes on ({', '.join(lanes)} is held): wait for its end",
            ExitCode.TRY_AGAIN,
        )
    with open_recovery(settings.database) as recovery:
        found = read_files(directory, recovery, left_out)
        _say_what_was_read(found)
        if reasons := found.faults or recovery.tables.contradictions():
            return _refused(reasons, _BROKEN)
        if conflicts := recovery.tables.conflicts():
            return _refused(conflicts, _WHAT_TO_DO)
        evidence = Evidence(directory)
        recovery.tables.add_attempts(evidence.highest_attempts)
        doubts = recovery.doubts(last_recovery(directory))
        for file in recovery.steps.put_back(found.highest_id, doubts):
            told = evidence.of(file.file_name)
            doubts.tell(file, told.rejects, cut_offs=told.cut_offs)
        changes = recovery.steps.changes
        if changes.nothing:
            print("nothing to do: the database knows everything that was sent")
            return ExitCode.OK
        _say_what_changes(changes, done=apply)
        if apply:
            note_recovery(directory, doubts.attempt)
            recovery.commit()
    if not apply:
        print("\nNothing has changed yet. To do it: globeco-allocation recover --apply")
        return ExitCode.PARTIAL
    print(
        "\nDone. Start the service: it sends these files again, and Portfolio Accounting refuses what it has."
        "\nWhat was resolved by hand after the backup (`batches resolve`) is sent again as well."
        "\nThen run `globeco-allocation recover --reconcile`: what was never sent is in no manifest."
    )
    return ExitCode.OK


def _say_what_was_read(found: "Findings") -> None:
    from globeco_allocation.entrypoints.commands.tables import count  # noqa: PLC0415

    print(
        f"{count(found.manifests, 'manifest')} in OUTPUT_DIR: {found.known} known to the database,"
        f" {found.new} of files that it does not know, with {count(found.executions, 'execution')}"
    )


def _say_what_changes(changes: "Changes", *, done: bool) -> None:
    from globeco_allocation.entrypoints.commands.tables import count  # noqa: PLC0415

    lines = (
        (changes.executions, "execution", "", "put back under the ids under which they were sent"),
        (changes.known_executions, "execution", "", "known as not sent yet, and now as sent"),
        (changes.batches, "batch", "batches", "put back with their windows"),
        (
            changes.bridges,
            "empty window",
            "",
            "put in where none is known, so that windows follow one another",
        ),
        (changes.deliveries, "delivery", "deliveries", "put back, to be sent again and so confirmed"),
        (
            changes.doubtful_deliveries,
            *("delivery", "deliveries", "of the backup to be sent again: it may have been sent since"),
        ),
        (changes.next_window, "execution", "", "of the backup never sent: moved into the next window"),
        (changes.no_longer_pending, "execution", "", "no longer pending: they were sent"),
    )
    print("what is done:" if done else "what would be done:")
    for number, one, several, what in lines:
        if number:
            print(f"  {count(number, one, several)} {what}")
    print(
        f"  new executions get ids above {changes.execution_id}, new batches above {changes.batch_id}"
        f"{'' if changes.ids_to_move else ' (as it is)'}"
    )


def _refused(reasons: list[str], what_to_do: str) -> ExitCode:
    print(*reasons, sep="\n", file=sys.stderr)
    return _failed(what_to_do, ExitCode.FAILED)


def _failed(words: str, code: ExitCode) -> ExitCode:
    print(f"globeco-allocation: {words}", file=sys.stderr)
    return code
