"""Gates in the database: steps of a send that wait until the test lets them pass.

Each is a trigger that waits for an advisory lock. So that somebody has come to a step, and not past it, is
seen in pg_stat_activity, and not guessed by the clock.
"""

from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum

import psycopg
from tests.process.service_process import wait_until

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect


class Step(StrEnum):
    """A step that can be held up; its value is the trigger's condition."""

    KEPT = "INSERT ON execution FOR EACH ROW"
    """Executions are about to be kept."""
    CLAIM = "INSERT ON batch_claim FOR EACH ROW"
    """A window is about to be claimed."""
    PLAN = "INSERT ON delivery FOR EACH ROW"
    """The batch is claimed, nothing is written."""
    WRITTEN = "UPDATE ON delivery FOR EACH ROW WHEN (OLD.status = 'claimed' AND NEW.status = 'written')"
    """A file stands, and is not recorded."""
    BEGUN = "UPDATE ON delivery FOR EACH ROW WHEN (NEW.attempts > OLD.attempts)"
    """A run is about to be started."""
    JUDGED = "UPDATE ON delivery FOR EACH ROW WHEN (NEW.outcome_status IS NOT NULL)"
    """A run has ended, and its verdict is to be stored."""


_MAKE = """
CREATE FUNCTION gate_{name}() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared({key}); RETURN NEW; END $$;
CREATE TRIGGER gate_{name} BEFORE {when} EXECUTE FUNCTION gate_{name}();
"""


class Closed:
    """A gate that is closed: who comes waits."""

    def __init__(self, holder: psycopg.Connection, looker: psycopg.Connection) -> None:
        self._holder = holder
        self._looker = looker

    def until_reached(self) -> None:
        """Wait until somebody waits at the gate."""
        wait_until(lambda: bool(self._waiting()), "somebody is at the gate")

    def turn_away(self) -> None:
        """End the sessions that wait: what they wanted to do is never done."""
        for pid in self._waiting():
            self._looker.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    def _waiting(self) -> list[int]:
        mine = self._holder.info.backend_pid
        rows = self._looker.execute(
            "SELECT pid FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", (mine,)
        )
        return [pid for (pid,) in rows]


@contextmanager
def closed_gate(database: DatabaseAddress, step: Step) -> Generator[Closed]:
    """Hold up whoever comes to a step for as long as the block lasts; then let all pass."""
    key = 77_000_000 + list(Step).index(step)
    with connect(database, {}) as holder, connect(database, {}) as looker:
        make = _MAKE.format(name=step.name.lower(), key=key, when=step.value)
        if not looker.execute(
            "SELECT 1 FROM pg_trigger WHERE tgname = %s", (f"gate_{step.name.lower()}",)
        ).fetchone():
            looker.execute(make)  # pyright: ignore[reportCallIssue, reportArgumentType]
        holder.execute("SELECT pg_advisory_lock(%s)", (key,))
        yield Closed(holder, looker)
