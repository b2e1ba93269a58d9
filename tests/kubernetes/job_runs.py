"""Runs of the accounting CLI through the runner under test, on the double of the Kubernetes API."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lightkube import KubeConfig
from tests.kubernetes.api_double import NAMESPACE, KubernetesDouble

from globeco_allocation.adapters.kubernetes_job import JobTemplate, KubernetesJobCli, Patience
from globeco_allocation.domain.accounting_run import AccountingRun, RunOrder

TEMPLATE = JobTemplate(image="accounting-cli:1", claim="files", timeout_seconds=30, grace_seconds=1)
PATIENCE = Patience(call=0.5, outage=1.5, watch=2.0, margin=0.2, shortest_pause=0.01, longest_pause=0.1)
WITHIN = 20.0


def order_of(batch_id: int = 7, *, lane: int = 0, lane_count: int = 1, attempt: int = 1) -> RunOrder:
    """The order of a file of its own for each batch and lane."""
    name = f"transactions_20260302_160000_{batch_id}_l{lane}.csv"
    return RunOrder(
        batch_id=batch_id,
        lane=lane,
        lane_count=lane_count,
        attempt=attempt,
        file_name=name,
        correlation_id="a-correlation",
    )


@dataclass
class Permit:
    """Whoever ordered a run, and what it noted of it."""

    on_begin: Callable[[], Awaitable[None]] | None = None
    loss: Exception | None = None
    begun: int = 0
    uids: list[str] = field(default_factory=list[str])

    async def begin(self) -> None:
        """Note that a start is near."""
        self.begun += 1
        if self.on_begin is not None:
            await self.on_begin()

    async def identified(self, uid: str) -> None:
        """Note the run's uid."""
        if self.loss is not None:
            raise self.loss
        self.uids.append(uid)


@dataclass
class JobRuns:
    """Opens runners on one output directory, each as another life of the service would."""

    kubernetes: KubernetesDouble
    kubeconfig: Path
    directory: Path
    template: JobTemplate = TEMPLATE
    patience: Patience = PATIENCE

    @asynccontextmanager
    async def runner(self, **changes: Any) -> AsyncGenerator[KubernetesJobCli]:  # noqa: ANN401
        """A runner of its own, with its own connections."""
        cli = KubernetesJobCli(
            replace(self.template, **changes),
            self.directory,
            namespace=NAMESPACE,
            patience=self.patience,
            config=KubeConfig.from_file(self.kubeconfig).get(),
        )
        async with cli as opened:
            yield opened

    def has_file(self, order: RunOrder, content: str = "") -> None:
        """Write the order's file."""
        (self.directory / order.file_name).write_text(content)

    async def run(self, order: RunOrder, permit: Permit | None = None, **changes: Any) -> AccountingRun:  # noqa: ANN401
        """Have an order run, in a life of its own."""
        self.has_file(order)
        async with asyncio.timeout(WITHIN), self.runner(**changes) as cli:
            return await cli.run(order, permit or Permit())

    @asynccontextmanager
    async def running(
        self, order: RunOrder, permit: Permit | None = None
    ) -> AsyncGenerator["asyncio.Task[AccountingRun]"]:
        """A run that is under way: its Job is created, and its process runs."""
        task = asyncio.ensure_future(self.run(order, permit))
        try:
            await self.kubernetes.cluster.until_ready(order.name)
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})

    def succeeds_when_ready(self, *orders: RunOrder) -> "asyncio.Task[None]":
        """Let each of these Jobs end well, one after the other, once its process runs."""

        async def drive() -> None:
            for order in orders:
                await self.kubernetes.cluster.until_ready(order.name)
                self.kubernetes.cluster.succeed(order.name)

        return asyncio.ensure_future(drive())

    def uid(self, name: str) -> str:
        """The uid of the newest Job of this name."""
        return str(self.kubernetes.cluster.life(name).job["metadata"]["uid"])

    def verbs(self) -> list[str]:
        """What was asked of the API so far."""
        return [request.verb for request in self.kubernetes.requests]
