"""Where is it: how far one execution is, also where the file's attempts have failed."""

from collections.abc import Callable

from tests.unit.delivering import ScriptedCli, World

from globeco_allocation.domain import AccountingRun, ErrorRow, NewExecution, PrintedCounts
from globeco_allocation.domain.use_cases.find_delivery import FindDelivery

EOF = 'Post "http://accounting.invalid/api/v1/transactions": EOF'


async def statuses(world: World, *execution_ids: int) -> list[str]:
    find = FindDelivery(world.batches, world.deliveries, world.resolutions)
    found = [await world.executions.get(key) for key in execution_ids]
    return [str((await find(one)).status) for one in found if one is not None]


async def failed_file(world: World, run: AccountingRun, *rows: ErrorRow) -> None:
    """Let every attempt on a file of three records end like this."""
    await world.written(3)
    cli = ScriptedCli([(run, rows)] * 3)
    work_off = world.work_off(cli)
    while (delivery := await world.present()).status.ended is False:
        world.clock.step((delivery.not_before or world.clock.now()) - world.clock.now())
        work = await work_off.take_delivery()
        assert work is not None
        await work_off.deliver(work)


async def test_in_a_failed_file_only_the_records_that_the_attempt_names_are_unknown(
    make_report: Callable[..., NewExecution],
) -> None:
    world = World(make_report)
    await failed_file(world, AccountingRun(0, PrintedCounts(3, 2, 1)), ErrorRow("AC2", EOF))

    assert await statuses(world, 1, 2, 3) == ["delivered", "unknown", "delivered"]


async def test_after_a_run_that_was_cut_off_every_record_of_its_file_is_unknown(
    make_report: Callable[..., NewExecution],
) -> None:
    world = World(make_report)
    await failed_file(world, AccountingRun(-9, None))

    assert await statuses(world, 1, 2, 3) == ["unknown"] * 3
