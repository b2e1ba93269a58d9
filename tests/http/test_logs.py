"""The log: one JSON object a line, from structlog and the standard library alike."""

import asyncio
import errno
import io
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import structlog

from globeco_allocation.entrypoints.log_output import LineOutput
from globeco_allocation.entrypoints.logs import RequestLine, begin_request, configure_logging, log_request


class Writes(io.RawIOBase):
    """Standard output, remembering each call of the system."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 (whatever holds bytes)
        self.chunks.append(bytes(data))
        return len(self.chunks[-1])


def lines_of(capsysbinary: pytest.CaptureFixture[bytes]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]


def test_a_line_is_a_json_object_with_the_requests_id(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    configure_logging("info")
    begin_request("abc")
    structlog.get_logger().info("batch claimed", batch_id=7)

    (line,) = lines_of(capsysbinary)
    assert line["message"] == "batch claimed"
    assert (line["level"], line["batch_id"], line["correlation_id"]) == ("info", 7, "abc")
    assert str(line["timestamp"]).endswith("Z")


def test_an_exception_is_one_line_with_its_traceback(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    configure_logging("info")
    try:
        int("half a pair: \ud800")
    except ValueError as error:
        structlog.get_logger().error("request failed", exc_info=error)

    (line,) = lines_of(capsysbinary)
    assert "Traceback (most recent call last)" in str(line["exception"])
    assert "half a pair" in str(line["exception"])


def test_other_libraries_write_through_the_same_pipeline(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    configure_logging("info")
    begin_request("abc")
    logging.getLogger("uvicorn.error").warning("caught %s", "it")
    logging.getLogger("asyncio").debug("not for info")

    (line,) = lines_of(capsysbinary)
    assert (line["message"], line["level"], line["logger"]) == ("caught it", "warning", "uvicorn.error")
    assert line["correlation_id"] == "abc"


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("INFO", 2), ("error", 1)])
def test_the_level_decides_what_is_written(
    capsysbinary: pytest.CaptureFixture[bytes], level: str, count: int
) -> None:
    configure_logging(level)
    log = structlog.get_logger()
    log.debug("one")
    log.info("two")
    log.error("three")

    assert len(lines_of(capsysbinary)) == count


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="no log level 'loud'"):
        configure_logging("loud")


def test_people_get_lines_they_can_read(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    configure_logging("info", human=True)
    structlog.get_logger().info("batch claimed", batch_id=7)

    text = capsysbinary.readouterr().out.decode()
    assert "batch claimed" in text
    assert "batch_id=7" in text
    assert not text.startswith("{")


def test_not_even_people_are_shown_what_variables_hold(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    password = "secret"
    configure_logging("info", human=True)
    try:
        int("x" * len(password))
    except ValueError:
        structlog.get_logger().exception("request failed")

    text = capsysbinary.readouterr().out.decode()
    assert "Traceback" in text
    assert "secret" not in text.replace('password = "secret"', "")


LINE = RequestLine(
    method="GET",
    route="/api/v1/executions/{id}",
    status=200,
    ms=1.25,
    correlation_id="abc",
    level="info",
    timestamp=datetime(2026, 3, 2, 15, tzinfo=UTC),
)


async def test_requests_are_logged_with_the_fields_that_every_line_has(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    log = configure_logging("info")
    log_request(LINE)
    log(LINE)
    await asyncio.sleep(0.2)

    by_the_pipeline, past_it = lines_of(capsysbinary)
    assert past_it | {"timestamp": ""} == by_the_pipeline | {"timestamp": ""}
    assert past_it["timestamp"] == "2026-03-02T15:00:00Z"


@pytest.mark.parametrize(("level", "written"), [("debug", 2), ("info", 1), ("warning", 0)])
async def test_probes_are_for_whoever_wants_to_see_everything(
    capsysbinary: pytest.CaptureFixture[bytes], level: str, written: int
) -> None:
    log = configure_logging(level)
    log(LINE)
    log(msgspec.structs.replace(LINE, level="debug"))
    await asyncio.sleep(0.2)

    assert len(lines_of(capsysbinary)) == written


async def test_lines_that_wait_come_before_what_is_logged_after_them(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    log = configure_logging("info")
    log(LINE)
    log(LINE)
    assert not lines_of(capsysbinary), "they wait for company"
    structlog.get_logger().error("request failed")

    assert [line["message"] for line in lines_of(capsysbinary)] == ["request", "request", "request failed"]


async def test_lines_never_wait_until_they_are_more_than_a_pipe_takes_at_once() -> None:
    writes = Writes()
    output = LineOutput(io.BufferedWriter(writes))
    line = b"x" * 999 + b"\n"
    for _ in range(9):
        output.write_soon(line)
    assert writes.chunks == [line * 4, line * 4]
    await asyncio.sleep(0.2)
    assert writes.chunks == [line * 4, line * 4, line]


class FullDisk(Writes):
    """Standard output on a disk without room, until there is some."""

    room = False

    def write(self, data: Any) -> int:  # noqa: ANN401 (whatever holds bytes)
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


async def test_a_line_that_the_disk_does_not_take_ends_no_work_and_later_ones_are_written() -> None:
    disk = FullDisk()
    output = LineOutput(io.BufferedWriter(disk, buffer_size=100))
    for _ in range(100):
        output.write_soon(b"x" * 99 + b"\n")
        output.write(b"y" * 99 + b"\n")
        output.flush()
    disk.room = True
    output.write(b"there is room\n")
    output.flush()

    assert b"".join(disk.chunks).endswith(b"there is room\n")
    assert len(b"".join(disk.chunks)) < 1000, "what was not taken is not kept"


def test_a_library_with_a_level_of_its_own_says_no_more_than_is_wanted(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    configure_logging("error")
    library = logging.getLogger("uvicorn.error")
    level = library.level
    library.setLevel(logging.WARNING)
    try:
        library.warning("Invalid HTTP request received.")
    finally:
        library.setLevel(level)

    assert lines_of(capsysbinary) == []


def test_where_no_event_loop_runs_a_line_is_written_at_once(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    configure_logging("info")(LINE)

    assert len(lines_of(capsysbinary)) == 1


@pytest.mark.parametrize("length", [10, 4000, 20_000, 1_000_000])
def test_a_line_is_one_write_so_that_lines_of_several_processes_do_not_mix(
    monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    writes = Writes()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(writes)))
    configure_logging("info")
    structlog.get_logger().info("short")
    structlog.get_logger().info("x" * length)
    logging.getLogger("uvicorn.error").warning("y" * length)

    assert len(writes.chunks) == 3
    assert all(chunk.endswith(b"\n") and json.loads(chunk) for chunk in writes.chunks)
