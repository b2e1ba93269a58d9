"""How the causes of alerts are made for real, and undone."""

import resource
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
from tests.alarms.stage import Place
from tests.http.bench import report
from tests.process.database_relay import DatabaseRelay

from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.migrations_folder import migrations_folder

Undo = Callable[[], object]
_GROUPS = Path("/sys/fs/cgroup")
_MEMORY = 64 * 2**20
_NEWEST = "0007.outstanding-work"


def with_trade_service(place: Place, _stack: ExitStack) -> None:
    place.trade_service()


def alone(_place: Place, _stack: ExitStack) -> None:
    pass


def trade_service_down(place: Place) -> Undo:
    place.again_and_again(place.post)
    place.end_trade_service()
    return place.trade_service


def cli_fails(place: Place) -> Undo:
    place.does("exit-1")
    place.post()
    place.send()

    def undo() -> None:
        place.does("")
        place.call("/api/v1/batches/2/resend", {})

    return undo


def record_refused(place: Place) -> Undo:
    place.post()
    place.post(securityId="S1")  # Portfolio Accounting wants 24 characters
    place.send()
    return lambda: place.run("batches", "resolve", "2", "--all", "--reason", "booked by hand")


def cli_hangs(place: Place) -> Undo:
    place.does("hang")
    place.post()
    place.send()

    def undo() -> None:
        place.does("")
        assert place.service is not None
        for child in psutil.Process(place.service.pid).children(recursive=True):
            with suppress(psutil.Error):
                child.kill()

    return undo


def relayed(place: Place, stack: ExitStack) -> None:
    relay = stack.enter_context(DatabaseRelay(place.database))
    relay.mend()
    _RELAYS[place.name] = relay
    place.settings |= {"DB_HOST": relay.address.host, "DB_PORT": str(relay.address.port)}


_RELAYS: dict[str, DatabaseRelay] = {}


def database_away(place: Place) -> Undo:
    place.again_and_again(lambda: place.get("/api/v1/executions"))
    _RELAYS[place.name].cut()
    return _RELAYS[place.name].mend


def small_pool(place: Place, _stack: ExitStack) -> None:
    place.settings["DB_POOL_SIZE"] = "3"


def table_locked(place: Place) -> Undo:
    """Lock the table as a person's session does: statements wait, and hold the connections meanwhile."""
    done = threading.Event()

    def lock() -> None:
        with connect(place.database, {}) as session, session.transaction():
            session.execute("LOCK TABLE execution IN ACCESS EXCLUSIVE MODE")
            done.wait(300)

    threading.Thread(target=lock, daemon=True).start()
    ends = [place.again_and_again(lambda: place.get("/api/v1/executions"), 0.01) for _ in range(6)]

    def undo() -> None:
        done.set()
        for end in ends:
            end()

    return undo


def directory_gone(place: Place) -> Undo:
    place.post()
    aside = place.files.with_name("aside")
    place.files.rename(aside)
    place.files.touch()  # a volume that is not what it was
    place.send()

    def undo() -> None:
        place.files.unlink()
        aside.rename(place.files)

    return undo


def no_room(place: Place) -> Undo:
    """Let the service write four kibibytes of a file and no more, as a disk does that is full."""
    assert place.service is not None
    pid = place.service.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    place.call("/api/v1/executions", [report(key) for key in range(1, 101)])
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
    place.send()
    return lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def schema_rolled_back(place: Place, _stack: ExitStack) -> None:
    script = (migrations_folder() / f"{_NEWEST}.rollback.sql").read_text()
    with connect(place.database, {}) as owner:
        owner.execute(script.encode())
        owner.execute("DELETE FROM _yoyo_migration WHERE migration_id = %s", (_NEWEST,))


def old_schema(place: Place) -> Undo:
    return lambda: place.run("migrate")


def database_made_anew(place: Place) -> Undo:
    """Book something, then begin with an empty database: its ids are known there already."""
    place.post()
    place.send()
    with connect(place.database, {}) as owner:
        owner.execute(
            "TRUNCATE execution, batch_claim, delivery, delivery_reject, delivery_stop, delivery_resolution"
            " RESTART IDENTITY CASCADE"
        )
    place.post()
    place.send()

    def undo() -> None:
        place.run("batches", "resolve", "--stop", "--reason", "renumbered")

    return undo


def nobody_sends(place: Place) -> Undo:
    place.post()
    return place.send


def deferring(place: Place, _stack: ExitStack) -> None:
    place.settings |= {"TRADE_SERVICE_DEFER": "true", "TRADE_SERVICE_DEFER_MAX_AGE_SECONDS": "75"}


def portfolio_unknown(place: Place) -> Undo:
    place.post()

    def undo() -> None:
        place.trade_service()
        time.sleep(12)  # the circuit breaker stays open for ten seconds
        place.run("pending", "retry")

    return undo


def loop_stalled(place: Place) -> Undo:
    """Take the CPU away for most of the time, as a container's quota does."""
    assert place.service is not None
    service = place.service

    def stall() -> None:
        service.send_signal(signal.SIGSTOP)
        time.sleep(0.9)
        service.send_signal(signal.SIGCONT)

    return place.again_and_again(stall, 0.1)


def _memory_group() -> Path | None:
    """Make a control group that limits memory; None where we may not."""
    for root, file in ((_GROUPS / "memory", "memory.limit_in_bytes"), (_GROUPS, "memory.max")):
        group = root / "globeco-allocation-alarms"
        with suppress(OSError):
            group.mkdir(exist_ok=True)
            (group / file).write_text(str(_MEMORY))
            return group
    return None


def limited(place: Place, stack: ExitStack) -> None:
    group = _memory_group()
    if group is None:
        return
    stack.callback(_removed, group)
    place.command = ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh")


def _removed(group: Path) -> None:
    with suppress(OSError):
        group.rmdir()


def little_memory(place: Place) -> Undo:
    def undo() -> None:
        assert place.service is not None
        place.service.terminate()
        place.service.wait(20)
        place.command = ()
        place.start()

    return undo
