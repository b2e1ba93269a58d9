"""What must never happen: looked for after every port call, and at every start of a run."""

import csv
import io
from typing import Any, cast

from tests.simulation.books import Books

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.rows import DeliveryRow
from globeco_allocation.domain.accounting_run import RunOrder
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, RecordVerdict
from globeco_allocation.domain.errors import AllocationError
from globeco_allocation.domain.lease import Lease, Leased
from globeco_allocation.ports.batches import LeasedBatch
from globeco_allocation.ports.deliveries import LeasedDelivery

_FOR_A_PERSON = frozenset({RecordVerdict.NOT_BOOKED, RecordVerdict.UNCONFIRMED, RecordVerdict.DUPLICATE})


class Watch:
    """Safety, by what each replica asked for and by what is in database, directory and books.

    Attributes:
        violations: What has happened that must never happen.
    """

    def __init__(self, database: MemoryDatabase, contents: dict[str, bytes]) -> None:
        self._database = database
        self._contents = contents
        self._seen: dict[int, Delivery] = {}
        self._tokens: dict[tuple[Leased, int], int] = {}
        self._published: dict[str, bytes] = {}
        self._claims: dict[int, int] = {}
        self._resends: dict[int, int] = {}
        self._last_place = 0
        self._starts: dict[int, int] = {}
        self.violations: list[str] = []
        self.books: Books

    # After a port call

    def observe(self, who: str, call: str, arguments: tuple[Any, ...], answer: object) -> None:
        """See what a port call has done."""
        if call == "batches.claim" and isinstance(answer, LeasedBatch):
            self._claims[answer.batch.id] = self._next_place()
        if call == "deliveries.resend" and isinstance(answer, tuple):
            place = self._next_place()
            self._resends |= {one.id: place for one in cast("tuple[Delivery, ...]", answer)}
        if isinstance(answer, LeasedBatch | LeasedDelivery):
            self._require(
                answer.lease.token > self._tokens.get((answer.lease.of, answer.lease.id), 0),
                f"{who} was given an old token by {call}",
            )
            self._tokens[answer.lease.of, answer.lease.id] = answer.lease.token
        elif arguments and isinstance(lease := arguments[0], Lease) and call != "leases.release":
            newest = self._tokens.get((lease.of, lease.id), 0)
            late = lease.token < newest and not isinstance(answer, AllocationError)
            self._require(not late, f"late write: {who} {call} with token {lease.token} after {newest}")
        self._look_at_deliveries(call)
        self._look_at_files()

    def _look_at_deliveries(self, call: str) -> None:
        for key, row in self._database.deliveries.items():
            before, now = self._seen.get(key), row.delivery
            if before is now:
                continue
            self._seen[key] = now
            if before is not None:
                self._compare(call, before, now)
            if now.status.ended and (before is None or not before.status.ended):
                self._look_at_outcome(row)
            if before is not None and before.status.ended and not now.status.ended:
                self._tokens[Leased.DELIVERY, key] = self._tokens.get((Leased.DELIVERY, key), 0) + 1

    def _compare(self, call: str, before: Delivery, now: Delivery) -> None:
        step = f"{call}: delivery {now.id} {before.status}, attempt {before.attempts}"
        legal = now.status is before.status or before.status in now.status.follows
        self._require(legal, f"{step} became {now.status}")
        self._require(now.attempts - before.attempts in {0, 1}, f"{step} became attempt {now.attempts}")
        if now.attempts > before.attempts:
            self._require(not before.under_way, f"{step} was under way when the next attempt began")
        ended = now.status is not DeliveryStatus.RESOLVED and before.under_way and not now.under_way
        if ended or now.attempts > before.attempts:
            name = order_of(before).name
            span = self.books.spans.get(name)
            self._require(span is None or span.end is not None, f"{step} was over while {name} went on")

    def _look_at_outcome(self, row: DeliveryRow) -> None:
        """Each record is booked, or named, or the delivery says that it does not know."""
        delivery, books = row.delivery, self.books
        outcome = delivery.outcome
        if delivery.status is DeliveryStatus.RESOLVED or outcome is None:
            return
        name = delivery.file_name
        ids = _source_ids(self._published[name])
        # Of several runs that were cut off, or of one among foreign rows, not each record in flight is known.
        foreign = not books.once_foreign.isdisjoint(ids)
        several = books.cut_offs[name] > (0 if foreign else 1)
        blurred = name in books.blurred or (several and delivery.status is not DeliveryStatus.DELIVERED)
        named = {one.source_id: one.verdict for one in row.shown_rejects}
        for source_id in ids:
            # What no report told of: the design says what is made of it, "Verdicts".
            excused = (
                source_id in books.unreported
                or (source_id in books.once_foreign and self._starts.get(delivery.id, 0) > 1)
                or (source_id in books.stored and blurred)
            )
            if source_id in books.booked or excused or outcome.unknown_count:
                continue
            self._require(
                source_id in named, f"delivery {delivery.id} is {delivery.status}: {source_id} is lost"
            )
            if source_id in books.stored and source_id not in books.foreign:
                self._require(
                    named.get(source_id) in _FOR_A_PERSON,
                    f"{source_id} is stored and not booked, and listed as {named.get(source_id)}",
                )
        booked = sum(one in books.booked for one in ids)
        excused_count = sum(one in books.unreported | books.stored | books.once_foreign for one in ids)
        self._require(
            outcome.accepted_count <= booked + excused_count,
            f"delivery {delivery.id}: {outcome.accepted_count} accepted, {booked} booked",
        )

    def _look_at_files(self) -> None:
        for name, content in self._contents.items():
            first = self._published.setdefault(name, content)
            self._require(first is content or first == content, f"the file {name} has changed")

    # At the start of a run

    def starting(self, order: RunOrder) -> None:
        """See that a run is started."""
        rows = self._database.deliveries.values()
        own = next(one.delivery for one in rows if one.delivery.file_name == order.file_name)
        self._starts[own.id] = self._starts.get(own.id, 0) + 1
        self._require(order.name not in self.books.spans, f"a second run {order.name}")
        self._require(
            own.attempts == order.attempt and (own.under_way or own.status is DeliveryStatus.RESOLVED),
            f"{order.name} starts, which is not under way",
        )
        if own.status is DeliveryStatus.RESOLVED:
            return
        for other in (one.delivery for one in rows):
            in_the_way = other.lane_count != own.lane_count or other.lane == own.lane
            earlier = (self._place(other), other.part) < (self._place(own), own.part)
            self._require(
                other.id == own.id or not (in_the_way and earlier) or other.status.ended,
                f"{order.name} starts before {other.file_name}, which is {other.status}",
            )
        for row in self._database.batches.values():
            later = self._claims[row.batch.id] >= self._place(own)
            self._require(
                row.batch.prepared or later or row.batch.id == own.batch_id,
                f"{order.name} starts before batch {row.batch.id} is prepared",
            )

    def _place(self, delivery: Delivery) -> int:
        return self._resends.get(delivery.id, self._claims[delivery.batch_id])

    def _next_place(self) -> int:
        self._last_place += 1
        return self._last_place

    # At the end

    def end(self) -> None:
        """Look at everything once more."""
        for one, other in self.books.overlaps:
            self.violations.append(f"{one.run} and {other.run} went on side by side")
        if self.books.booked_twice:
            self.violations.append(f"booked twice: {sorted(self.books.booked_twice)}")
        files: dict[str, str] = {}
        for name, content in self._published.items():
            for source_id in _source_ids(content):
                self._require(source_id not in files, f"{source_id} is in two files")
                files[source_id] = name

    def ids_in_files(self) -> set[int]:
        """Return the ids of all executions that were ever in a file."""
        return {int(one[2:]) for content in self._published.values() for one in _source_ids(content)}

    def _require(self, truth: bool, otherwise: str) -> None:
        if not truth and otherwise not in self.violations:
            self.violations.append(otherwise)


def order_of(delivery: Delivery) -> RunOrder:
    """Return the order of a delivery's last attempt."""
    return RunOrder(
        batch_id=delivery.batch_id, attempt=max(delivery.attempts, 1), file_name=delivery.file_name
    )


def _source_ids(content: bytes) -> list[str]:
    return [record[2] for record in csv.reader(io.StringIO(content.decode(), newline=""))][1:]
