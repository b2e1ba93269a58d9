"""Texts of strangers: in files they stay what they are, and in logs and terminals they steer nothing."""

import csv
import io
import json

import pytest
from tests.cli.conftest import office
from tests.cli.office import Office
from tests.http.bench import Bench, report

from globeco_allocation.entrypoints.commands.tables import one_line
from globeco_allocation.entrypoints.http import app as http_app
from globeco_allocation.entrypoints.logs import configure_logging

__all__ = ["office"]

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "=cmd|'/C calc'!A0", ' "x"', "x\ny", "a,b", 'a"b']
STEERING = "\x1b[2J\x1b]0;owned\x07\r\n\t\x9b31m\x7f\u2028\u202e end"


@pytest.mark.parametrize("text", FORMULAS)
async def test_a_field_that_a_spreadsheet_would_take_for_a_formula_is_written_as_it_is(text: str) -> None:
    """A program reads the file, and an id is looked up by it: altered, it would name another security."""
    bench = Bench()
    known: dict[int, str | None] = {1: text, 2: "P-2"}
    bench.portfolios.portfolios = known
    async with bench.client() as client:
        sent = await client.post("/api/v1/executions", json=[report(1, securityId=text), report(2)])
        name = (await client.post("/api/v1/executions/send")).json()["fileName"]

    assert sent.status_code == 201
    content = bench.files.contents[name].decode()
    _, first, second = csv.reader(io.StringIO(content, newline=""), strict=True)
    assert first[:3] == [text, text, "AC1"]
    assert second[2] == "AC2"


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "\udfff x"])
@pytest.mark.parametrize("field", ["securityId", "ticker", "destination", "executionStatus"])
async def test_what_no_text_column_can_hold_is_an_error_on_its_field(field: str, text: str) -> None:
    async with Bench().client() as client:
        answer = await client.post(
            "/api/v1/executions", content=json.dumps([report(1, **{field: text}), report(2)])
        )

    assert answer.status_code == 207
    assert answer.json()["results"][0]["error"].startswith(field)


async def test_no_text_of_a_caller_makes_a_line_of_the_log_or_part_of_one(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    bench = Bench()
    log_request = configure_logging("debug")
    app = http_app.create_app(bench.options, bench.services, bench.metrics, log_request)
    forged = '\n{"level":"error","message":"forged"}\n'
    async with bench.client(app) as client:
        for text in (STEERING, forged):
            fields = dict.fromkeys(("securityId", "ticker", "destination", "executionStatus"), text)
            await client.post("/api/v1/executions", json=[report(1, **fields)])
            await client.post("/api/v1/executions", json=[report(1, ticker=f"{text}2")])
            await client.post("/api/v1/executions", content=text)
            await client.get("/api/v1/executions", params={"limit": text})
            await client.get(f"/api/v1/batches/{text.encode().hex()}%0a%1b[2J")
            await client.get("/healthz", headers={b"X-Correlation-ID": text.encode()})
            await client.request("BREW", "/healthz")
    out = capsysbinary.readouterr().out

    lines = out.split(b"\n")
    assert lines.pop() == b""
    assert {type(json.loads(line)) for line in lines} == {dict}
    assert "forged" not in {json.loads(line)["message"] for line in lines}
    assert b"\x1b" not in out
    assert "\u2028".encode() not in out


async def test_a_log_field_with_control_characters_stays_one_json_object_a_line(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    import structlog  # noqa: PLC0415 (its configuration is this test's own)

    configure_logging("info")
    structlog.get_logger().info("event", reason=STEERING + "\n{}\n\0", half="\ud800")
    out = capsysbinary.readouterr().out

    assert out.count(b"\n") == 1
    assert json.loads(out)["reason"].startswith("\x1b[2J")
    assert not any(byte < 32 for byte in out.rstrip(b"\n"))


def test_the_words_of_others_steer_no_terminal(office: Office) -> None:
    delivery = office.partial(3, "AC1", why=STEERING)
    for arguments in (
        ("show", str(delivery.batch_id)),
        ("show", str(delivery.batch_id), "--json"),
        ("list",),
    ):
        said = office.run(*arguments)
        assert said.code == 0
        assert all(line.isprintable() for line in (said.out + said.err).split("\n"))


def test_one_line_keeps_what_can_be_read() -> None:
    assert one_line(STEERING).isprintable()
    assert one_line(STEERING).endswith("end")
