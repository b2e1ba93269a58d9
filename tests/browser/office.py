"""A running service for the operator's page: executions to order, and a CLI that fails when it is told to."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

from tests.process.service_process import ServiceProcess

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect

REPORT: dict[str, Any] = {
    "executionStatus": "FULL",
    "tradeType": "BUY",
    "destination": "ML",
    "securityId": "68336002fe95851f0a2aeda9",
    "ticker": "IBM",
    "quantity": 100,
    "receivedTimestamp": "2026-03-02T14:59:00Z",
    "sentTimestamp": "2026-03-02T14:59:01.5Z",
    "quantityFilled": 100,
    "totalAmount": 33333.33333333,
    "averagePrice": 333.33333333,
}
REFUSED_SECURITY = "not!24!alphanumeric!char"
"""A security id that Portfolio Accounting refuses."""

_WAITING = """
SELECT count(*) FROM execution WHERE ready_to_send_timestamp >= (SELECT max(start_time) FROM batch_history)
"""

_keys = itertools.count(1)


@dataclass
class Office:
    """A service, its database and the fault of its accounting CLI."""

    service: ServiceProcess
    database: DatabaseAddress
    fault_file: Path

    @property
    def url(self) -> str:
        return f"{self.service.url}/"

    def fault(self, name: str = "") -> None:
        """Have the CLI fail in this way from now on."""
        self.fault_file.write_text(name)

    def post(self, how_many: int, **changes: Any) -> list[int]:  # noqa: ANN401 (any field)
        """Post executions as another client does, and return their ids."""
        records = [REPORT | {"executionServiceId": next(_keys)} | changes for _ in range(how_many)]
        status, answer = self.service.post("/api/v1/executions", records)
        assert status == 201, answer
        return [one["executionId"] for one in answer["results"]]

    def send(self) -> int:
        """Send a batch as another client does, and return its id."""
        _, answer = self.service.post("/api/v1/executions/send", {})
        return int((answer.get("details") or answer)["batchId"])

    def refuse_one(self, **changes: Any) -> tuple[int, str]:  # noqa: ANN401 (any field)
        """Send a batch of which one record is refused; return its id and the record's source id."""
        self.post(2)
        (refused,) = self.post(1, securityId=REFUSED_SECURITY, **changes)
        return self.send(), f"AC{refused}"

    def fail_one(self) -> int:
        """Send a batch whose delivery fails, and return its id."""
        self.fault("server-down")
        self.post(3)
        batch = self.send()
        self.fault()
        return batch

    def waiting(self) -> int:
        """Return how many executions are ready to be sent: the database's answer, not a kept one."""
        with connect(self.database, {}) as owner:
            row = owner.execute(_WAITING).fetchone()
        assert row is not None
        return int(row[0])

    def batch_count(self) -> int:
        """Return how many batches were ever claimed."""
        return int(self.service.get("/api/v1/batches?limit=1")[1]["pagination"]["totalElements"])

    def settle(self) -> None:
        """Leave nothing ready, and a CLI that books."""
        self.fault()
        if self.waiting():
            self.send()

    def execute(self, sql: LiteralString, *arguments: object) -> None:
        """Change the database behind the service's back."""
        with connect(self.database, {}) as owner:
            owner.execute(sql, arguments)
