"""The whole stack on a laptop, in the foreground."""

import shlex
import sys
from pathlib import Path

from globeco_allocation.entrypoints.end_signals import EndSignals, ToldToEnd
from globeco_allocation.entrypoints.stack import Stack, StackError, StackOptions, running_stack


def run(folder: Path, *, port: int, trade_service_port: int) -> int:
    """Run the stack until Ctrl-C, SIGTERM or SIGHUP; its data stay in *folder* for the next time.

    Returns:
        0 after one of the signals; 1 when a part did not start, or the service ended by itself.
    """
    options = StackOptions(
        data=folder / "postgresql",
        output=folder / "files",
        port=port,
        trade_service_port=trade_service_port,
    )
    try:
        with EndSignals() as signals, running_stack(options, signals) as stack, signals.may_interrupt():
            _greet(stack)
            ended = stack.service.wait()
            print(f"The service ended with exit code {ended}.", file=sys.stderr)
            return 1
    except ToldToEnd:
        return 0
    except StackError as error:
        print(f"The stack did not start: {error}", file=sys.stderr)
        return 1


def _greet(stack: Stack) -> None:
    database = stack.database
    print(
        f"""
  service             {stack.url}   (documentation: {stack.url}/docs)
  Trade Service       {stack.trade_service_url}   (simulated: knows every id)
  PostgreSQL          psql -h {shlex.quote(database.host)} -U {database.user} {database.name}
  transaction files   {stack.output}

Ctrl-C stops everything; the data stay.
""",
        flush=True,
    )
