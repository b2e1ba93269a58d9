"""``globeco-allocation serve``: the HTTP service."""

import argparse
import os
import sys

EPILOG = """\
It serves at once: /healthz answers 200, and /readyz 503 until the database is there and its
schema up to date (`MIGRATE_ON_START`); it waits for a database that is away. SIGTERM or Ctrl-C
ends it in order within `SHUTDOWN_GRACE_SECONDS`: requests are answered, work under way is handed
over, and a run of the accounting CLI is never killed. A second signal ends it at once. With
`WORKERS` above 1 so many processes serve the port; one that dies is started again.

exit codes: 0 ended in order, 1 the database refuses us as we are set up, the port is taken, no
Kubernetes Job can be started from here or a worker dies again and again, 2 the settings are wrong
(all faults are named)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it does; all it needs are settings."""
    parser.epilog = EPILOG


def run(_arguments: argparse.Namespace) -> int:
    """Serve until told to end."""
    from globeco_allocation.entrypoints.commands.settings_or_exit import settings_or_exit  # noqa: PLC0415

    settings = settings_or_exit()

    from globeco_allocation.entrypoints import garbage  # noqa: PLC0415
    from globeco_allocation.entrypoints.lean_import import import_without  # noqa: PLC0415

    garbage.leave_alone()
    import_without("structlog", "rich")

    from globeco_allocation.entrypoints.logs import configure_logging  # noqa: PLC0415 (after the settings)
    from globeco_allocation.entrypoints.server import run_alone, serve  # noqa: PLC0415

    log_request = configure_logging(settings.log_level.value, human=sys.stdout.isatty())
    if settings.workers == 1:
        return serve(settings, os.environ, log_request, run_alone)

    from globeco_allocation.entrypoints.workers.workers import run_workers  # noqa: PLC0415 (only for several)

    return serve(settings, dict(os.environ), log_request, run_workers)
