"""Work on files in a process of its own, whose limits and memory are its own."""

import subprocess
import sys
from pathlib import Path

_PATIENCE = 30.0
_ROOT = str(Path(__file__).parents[2])
# VmHWM and not ru_maxrss, which begins with what the parent had.
_PROGRAM = """
import asyncio, re, sys
from contextlib import AsyncExitStack
from pathlib import Path
sys.path[:0] = [{root!r}]
from tests.files.rows import NAME, rows, write
from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.domain import FileNotWrittenError
from globeco_allocation.domain.transaction_file import HEADER

async def main():
    files = LocalFiles(Path(sys.argv[1]))
    try:
        {work}
    except FileNotWrittenError as error:
        print("refused:", error)

{before}
asyncio.run(main())
print(re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1])
"""


def in_process(
    directory: Path, work: str, *, before: str = "", prefix: tuple[str, ...] = ()
) -> tuple[str, float]:
    """Do *work* on ``files``; returns what was printed, and the most memory that was ever used, in MiB."""
    indented = work.strip("\n").replace("\n", "\n        ")
    program = _PROGRAM.format(root=_ROOT, work=indented, before=before)
    command = [*prefix, sys.executable, "-c", program, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True)
    said, _, peak = done.stdout.rstrip("\n").rpartition("\n")
    return said, int(peak) / 1024
