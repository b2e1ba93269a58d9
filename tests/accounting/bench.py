"""Small programs that stand in for the accounting CLI, and the directory in which they run."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.accounting.permit import Permit

from globeco_allocation.adapters.subprocess_cli import CommandTemplate, SubprocessCli
from globeco_allocation.domain.accounting_run import AccountingRun, RunOrder

NAME = "transactions_20260302_160000_7.csv"
PATIENCE = 30.0
"""Seconds after which a test that waits has failed."""


class Bench:
    """An output directory with one transaction file, and programs that are run on it."""

    name = NAME

    def __init__(self, path: Path) -> None:
        self.path = path
        self.out = path / "out"
        self.out.mkdir()
        self.file = self.out / NAME
        self.content = b"header\nrow\n"
        self.file.write_bytes(self.content)

    def command(self, source: str) -> str:
        """Write a Python program; returns the command that runs it with the file's name and directory."""
        program = self.path / f"program-{len(list(self.path.glob('program-*')))}.py"
        program.write_text(source)
        return f"{sys.executable} {program} {{filename}} {{output_dir}}"

    def cli(self, source: str, timeout_seconds: float = PATIENCE, **options: Any) -> SubprocessCli:  # noqa: ANN401
        template = CommandTemplate.parse(self.command(source))
        return SubprocessCli(template, self.out, timeout_seconds, **options)

    def marked(self, mark: str) -> bool:
        return (self.path / mark).exists()

    def mark(self, mark: str) -> None:
        (self.path / mark).touch()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110 (what other processes do)
                await asyncio.sleep(0.01)

    def until_now(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir() if not path.name.startswith("."))


def order_for(
    file_name: str = NAME, attempt: int = 1, *, lane: int = 0, lane_count: int = 1, uid: str = ""
) -> RunOrder:
    return RunOrder(
        batch_id=7, attempt=attempt, file_name=file_name, lane=lane, lane_count=lane_count, uid=uid
    )


async def load(
    cli: SubprocessCli,
    file_name: str = NAME,
    attempt: int = 1,
    permit: Permit | None = None,
    **order: Any,  # noqa: ANN401
) -> AccountingRun:
    """Find or start a run, with every permit."""
    return await cli.run(order_for(file_name, attempt, **order), permit or Permit())
