"""The whole stack on a laptop, in the foreground."""

import signal
import sys
from pathlib import Path
from types import FrameType

from globeco_allocation.entrypoints.stack import Stack, StackError, StackOptions, running_stack


def run(folder: Path, *, port: int, trade_service_port: int) -> int:
    """Run the stack until Ctrl-C or SIGTERM; its data stay in *folder* for the next time.

    Returns:
        0 after Ctrl-C or SIGTERM; 1 when a part did not start, or the service ended by itself.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    folder.mkdir(parents=True, exist_ok=True)
    options = StackOptions(
        data=folder / "postgresql",
        output=folder / "files",
        port=port,
        trade_service_port=trade_service_port,
    )
    try:
        with running_stack(options) as stack:
            _greet(stack)
            ended = stack.service.wait()
            print(f"The service ended with exit code {ended}.", file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        return 0
    except StackError as error:
        print(f"The stack did not start: {error}", file=sys.stderr)
        return 1


def _greet(stack: Stack) -> None:
    print(
        f"""
  service             {stack.url}   (documentation: {stack.url}/docs)
  Trade Service       {stack.trade_service_url}   (simulated: knows every id)
  PostgreSQL          psql -h {stack.database.host} -U {stack.database.user} {stack.database.name}
  transaction files   {stack.output}

Ctrl-C stops everything; the data stay.
""",
        flush=True,
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
