"""What adapters say while a command works, on standard error and for a person."""

import subprocess
import sys

_SAYS = """
import logging
from globeco_allocation.adapters import log_events
from globeco_allocation.entrypoints.commands import on_database
on_database._keep_logs_from_the_output()
log = logging.getLogger("globeco_allocation.adapters.x")
log.info(log_events.JOB_WAITS)
log.warning(log_events.RUN_OVERDUE, extra=log_events.facts(run="run-1", seconds=3600))
"""


def test_a_command_says_what_happened_and_to_what() -> None:
    answer = subprocess.run([sys.executable, "-c", _SAYS], check=True, capture_output=True, text=True)

    assert answer.stdout == ""
    assert answer.stderr == "accounting run is ended past its time (run=run-1, seconds=3600)\n"
