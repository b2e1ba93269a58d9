"""``globeco-allocation pending``: what waits for its portfolio, and what needs a person."""

import argparse
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from globeco_allocation.entrypoints.commands.arguments import Subcommands, positive
from globeco_allocation.entrypoints.commands.tables import count, instant, one_line, table
from globeco_allocation.entrypoints.exit_codes import ExitCode

if TYPE_CHECKING:
    from globeco_allocation.adapters.postgres.pool import Pool
    from globeco_allocation.domain.pending import PendingCounts, PendingExecution
    from globeco_allocation.entrypoints.settings import Settings
    from globeco_allocation.ports.pending import PendingExecutions

EPILOG = """\
An execution is pending while the Trade Service cannot name its portfolio (TRADE_SERVICE_DEFER). The
running service looks it up by itself. In error are those whose lookup failed for good, or that waited
for longer than TRADE_SERVICE_DEFER_MAX_AGE_SECONDS: put right what their reason says, then
`pending retry`. Both work on the database of the settings; the service need not run.

exit codes: 0 done; 1 the database refuses us as we are set up or needs `migrate`, or an id to be
retried is not in error; 2 the settings are wrong; 3 the database cannot be reached
"""

_USUALLY_LISTED = 1000
_TITLES = ("ID", "STATUS", "SINCE", "ATTEMPTS", "REASON")

Work = Callable[["PendingExecutions"], Awaitable[ExitCode]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to do with pending executions."""
    parser.epilog = EPILOG
    what = Subcommands(parser)
    listing = what.add("list", "print pending executions, those in error first")
    listing.add_argument("--errors", action="store_true", help="only those in error")
    listing.add_argument(
        "--limit",
        type=positive,
        default=_USUALLY_LISTED,
        metavar="N",
        help="how many to print (default: %(default)s)",
    )
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    retry = what.add("retry", "have executions in error looked up again, at once")
    retry.add_argument(
        "ids", type=positive, nargs="*", metavar="ID", help="executionServiceId (default: all in error)"
    )


def run(arguments: argparse.Namespace) -> int:
    """List or retry."""
    from globeco_allocation.entrypoints.commands.on_database import run_on_database  # noqa: PLC0415 (not for --help)

    work = _list(arguments) if arguments.what == "list" else _retry(arguments.ids)

    async def on_pending(_settings: "Settings", pool: "Pool") -> ExitCode:
        from globeco_allocation.adapters.postgres.pending import PostgresPendingExecutions  # noqa: PLC0415

        return await work(PostgresPendingExecutions(pool))

    return run_on_database("pending", on_pending)


def _list(arguments: argparse.Namespace) -> Work:
    async def work(pending: "PendingExecutions") -> ExitCode:
        from globeco_allocation.domain.pending import PendingStatus  # noqa: PLC0415

        status = PendingStatus.ERROR if arguments.errors else None
        found = await pending.listed(limit=arguments.limit, status=status)
        counts = await pending.counts()
        print(_as_json(found, counts) if arguments.json else _as_table(found, counts))
        return ExitCode.OK

    return work


def _retry(ids: list[int]) -> Work:
    async def work(pending: "PendingExecutions") -> ExitCode:
        retried = await pending.retry(set(ids) if ids else None)
        again = count(len(retried), "execution")
        print(f"{again} to be looked up again; the running service does it in seconds")
        others = sorted(set(ids) - retried)
        if others:
            listed = ", ".join(map(str, others))
            print(f"globeco-allocation: not in error: {listed}", file=sys.stderr)
            return ExitCode.FAILED
        return ExitCode.OK

    return work


def _as_table(found: "Sequence[PendingExecution]", counts: "PendingCounts") -> str:
    rows = [
        (
            str(one.execution.execution_service_id),
            one.status.value,
            instant(one.deferred),
            str(one.attempts),
            one_line(one.reason),
        )
        for one in found
    ]
    total = f"{counts.pending} pending, {counts.error} in error; {len(found)} shown"
    return "\n".join([*table(_TITLES, rows), total])


def _as_json(found: "Sequence[PendingExecution]", counts: "PendingCounts") -> str:
    executions: list[dict[str, Any]] = [
        {
            "executionServiceId": one.execution.execution_service_id,
            "status": one.status.value,
            "since": _exact(one.deferred),
            "attempts": one.attempts,
            "nextAttempt": _exact(one.next_attempt),
            "reason": one.reason,
        }
        for one in found
    ]
    return json.dumps({"pending": counts.pending, "error": counts.error, "executions": executions}, indent=2)


def _exact(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
