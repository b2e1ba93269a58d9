"""What the system says of other processes, which may end while it is asked."""

from contextlib import suppress

import psutil


def has_ended(process: psutil.Process | int) -> bool:
    """Tell whether it, or that of this id, is gone, or left to an init that reaps nobody."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(process) if isinstance(process, int) else process
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def command_line(process: psutil.Process) -> str:
    """Return its command line; an empty one where it has ended, or is not ours to look at."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
