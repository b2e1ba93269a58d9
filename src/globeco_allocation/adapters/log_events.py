"""The names of what adapters log, and how they give the facts to it.

A name never changes with what happened: that stands in the line's own fields.
"""

from typing import Final

CALL_REPEATED: Final = "call is tried again"
BREAKER_CHANGED: Final = "circuit breaker of the Trade Service has a new state"
DIRECTORY_NOT_PREPARED: Final = "output directory could not be prepared"
FILE_NOT_REMOVED: Final = "delivered file could not be removed"
FILE_NOT_PUT_BACK: Final = "transaction file could not be put back"
PROCESS_NOT_NOTED: Final = "process of a run was not written down"
RUN_NOT_NOTED: Final = "by what a run is found again was not stored"
RUN_OVERDUE: Final = "accounting run is ended past its time"
RUN_END_NOT_NOTED: Final = "that a run is ended was not written down"
OVERDUE_NOT_SOUGHT: Final = "runs past their time could not be looked for"
JOB_WAITS: Final = "Job waits for the end of another one"
JOB_NOT_ANSWERED: Final = "creation of a Job was not answered"
JOB_WATCH_ENDED: Final = "watch of a Job ended"
KUBERNETES_REFUSES: Final = "Kubernetes API refuses"
KUBERNETES_ANSWERS: Final = "Kubernetes API refuses no more"


FACTS: Final = "facts"
"""The attribute of a log record that has its line's own fields, by their names."""


def facts(**known: object) -> dict[str, object]:
    """Return what a logger of the standard library takes as ``extra``, to give a line fields of its own."""
    return {FACTS: known}
