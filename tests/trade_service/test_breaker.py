"""The circuit breaker alone, by a clock that the tests move."""

import asyncio
import contextlib
import gc
import weakref

import pytest
from tests.trade_service.looking_up import PATIENCE

from globeco_allocation.adapters.trade_service.breaker import CircuitBreaker, CircuitOpenError

THRESHOLD = 3
OPEN_SECONDS = 10.0


class HostFailedError(Exception):
    """What counts."""


class CallersMistakeError(Exception):
    """What does not."""


class Circuit:
    """A breaker with its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.changes: list[str] = []
        self.breaker = CircuitBreaker(
            threshold=THRESHOLD,
            open_seconds=OPEN_SECONDS,
            clock=lambda: self.now,
            on_change=self.changes.append,
        )

    @property
    def state(self) -> str:
        return self.breaker.state

    def call(self, error: BaseException | None = None) -> None:
        """Make one call that ends with *error*, or well."""
        with self.breaker.admission(HostFailedError):
            if error is not None:
                raise error

    def end_with(self, error: BaseException) -> None:
        with pytest.raises(type(error)):
            self.call(error)

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.end_with(HostFailedError())

    def refuse(self) -> CircuitOpenError:
        with pytest.raises(CircuitOpenError) as caught:
            self.call()
        return caught.value


@pytest.fixture
def circuit() -> Circuit:
    return Circuit()


@pytest.fixture
def opened(circuit: Circuit) -> Circuit:
    circuit.fail(THRESHOLD)
    return circuit


@pytest.fixture
def half_open(opened: Circuit) -> Circuit:
    opened.now += OPEN_SECONDS
    return opened


def test_it_opens_at_the_last_of_so_many_failures(circuit: Circuit) -> None:
    circuit.fail(THRESHOLD - 1)
    assert circuit.state == "closed"

    circuit.fail()
    assert circuit.state == "open"
    circuit.refuse()


def test_a_success_forgets_the_failures_before_it(circuit: Circuit) -> None:
    circuit.fail(THRESHOLD - 1)
    circuit.call()
    circuit.fail(THRESHOLD - 1)

    assert circuit.state == "closed"


@pytest.mark.parametrize("neither", [asyncio.CancelledError(), CallersMistakeError(), KeyboardInterrupt()])
def test_a_cancellation_or_a_callers_mistake_is_no_failure(circuit: Circuit, neither: BaseException) -> None:
    for _ in range(THRESHOLD + 1):
        circuit.end_with(neither)

    assert circuit.state == "closed"


@pytest.mark.parametrize("neither", [asyncio.CancelledError(), CallersMistakeError()])
def test_a_cancellation_or_a_callers_mistake_is_no_success(circuit: Circuit, neither: BaseException) -> None:
    circuit.fail(THRESHOLD - 1)
    circuit.end_with(neither)
    circuit.fail()

    assert circuit.state == "open"


def test_it_stays_open_for_its_time_and_not_longer(opened: Circuit) -> None:
    opened.now += OPEN_SECONDS - 0.001
    assert opened.state == "open"
    opened.refuse()

    opened.now += 0.001
    assert opened.state == "half-open"
    opened.call()
    assert opened.state == "closed"


def test_a_step_of_the_wall_clock_changes_nothing(opened: Circuit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)
    opened.now += OPEN_SECONDS

    opened.call()

    assert opened.state == "closed"


def test_one_at_a_time_may_try_while_half_open(half_open: Circuit) -> None:
    with half_open.breaker.admission(HostFailedError):
        for _ in range(10):
            half_open.refuse()
        assert half_open.state == "half-open"

    assert half_open.state == "closed"


def test_a_probe_that_fails_opens_it_for_the_whole_time_again(half_open: Circuit) -> None:
    half_open.fail()
    half_open.now += OPEN_SECONDS - 0.001
    assert half_open.state == "open"

    half_open.now += 0.001
    assert half_open.state == "half-open"


@pytest.mark.parametrize("neither", [asyncio.CancelledError(), CallersMistakeError()])
def test_a_probe_that_tells_nothing_leaves_the_place_to_the_next(
    half_open: Circuit, neither: BaseException
) -> None:
    half_open.end_with(neither)
    assert half_open.state == "half-open"

    half_open.call()
    assert half_open.state == "closed"


@pytest.mark.parametrize("ending", [None, HostFailedError()], ids=["well", "failed"])
def test_a_call_from_before_does_not_decide_for_the_probe(
    circuit: Circuit, ending: HostFailedError | None
) -> None:
    straggler = contextlib.ExitStack()
    straggler.enter_context(circuit.breaker.admission(HostFailedError))
    circuit.fail(THRESHOLD)
    circuit.now += OPEN_SECONDS

    with circuit.breaker.admission(HostFailedError):
        straggler.__exit__(ending and type(ending), ending, None)
        assert circuit.state == "half-open"
        circuit.refuse()

    assert circuit.state == "closed"


async def test_whoever_waits_for_the_probe_learns_its_outcome(half_open: Circuit) -> None:
    async def wait_and_call() -> None:
        await half_open.breaker.wait_for_probe()
        half_open.call()

    probe = contextlib.ExitStack()
    probe.enter_context(half_open.breaker.admission(HostFailedError))
    waiting = asyncio.create_task(wait_and_call())
    await asyncio.sleep(0)
    assert not waiting.done()

    failure = HostFailedError()
    probe.__exit__(HostFailedError, failure, None)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(CircuitOpenError):
            await waiting


async def test_without_a_probe_nobody_waits(half_open: Circuit) -> None:
    async with asyncio.timeout(PATIENCE):
        await half_open.breaker.wait_for_probe()
        half_open.call()
        await half_open.breaker.wait_for_probe()


async def test_of_those_who_wait_one_at_a_time_tries_while_probes_tell_nothing(half_open: Circuit) -> None:
    trying = 0
    tried: list[int] = []

    async def wait_and_try(number: int) -> None:
        nonlocal trying
        await half_open.breaker.wait_for_probe()
        with half_open.breaker.admission(HostFailedError):
            trying += 1
            assert trying == 1
            await asyncio.sleep(0)
            trying -= 1
            tried.append(number)
            raise CallersMistakeError

    async with asyncio.timeout(PATIENCE):
        ends = await asyncio.gather(*(wait_and_try(number) for number in range(5)), return_exceptions=True)

    assert {type(end) for end in ends} == {CallersMistakeError}
    assert sorted(tried) == [0, 1, 2, 3, 4]
    assert half_open.state == "half-open"


def test_refusals_keep_nothing_of_each_other_alive(opened: Circuit) -> None:
    class Payload:
        """Stands for whatever a refused caller has among its locals."""

    def refused_call() -> weakref.ref[Payload]:
        payload = Payload()
        try:
            opened.call()
        except CircuitOpenError:
            return weakref.ref(payload)
        raise AssertionError

    payloads = [refused_call() for _ in range(3)]
    gc.collect()

    assert [payload() for payload in payloads] == [None, None, None]


def test_each_refusal_is_an_error_of_its_own_without_a_past(opened: Circuit) -> None:
    first, second = opened.refuse(), opened.refuse()

    assert first is not second
    assert first.__context__ is second.__context__ is None


def test_each_new_state_is_told_once(half_open: Circuit) -> None:
    half_open.call()
    half_open.call()
    half_open.fail(THRESHOLD)

    assert half_open.changes == ["open", "half-open", "closed", "open"]
