"""The log: one JSON object a line, from structlog and the standard library alike."""

import json
import logging

import pytest
import structlog

from globeco_allocation.entrypoints.logs import begin_request, configure_logging


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
