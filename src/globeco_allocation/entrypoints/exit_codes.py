"""The command line's exit codes, for scripts."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What became of a command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    TRY_AGAIN = 3
    PARTIAL = 4
    UNDER_WAY = 5
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "done; for `send` also: there was nothing to send",
    ExitCode.FAILED: "failed; trying again as it is will not help",
    ExitCode.USAGE: "the command line or the settings are wrong",
    ExitCode.TRY_AGAIN: "not now: the database or the service is away or busy; try again later",
    ExitCode.PARTIAL: "`send`, `batches deliver`: delivered, but some records were refused",
    ExitCode.UNDER_WAY: "`send`, `batches deliver`: not delivered yet",
    ExitCode.INTERRUPTED: "Ctrl-C",
}
"""For ``--help``."""
