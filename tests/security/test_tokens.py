"""Bearer tokens: who gets in, who does not, and what is told of it."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import structlog
from tests.http.bench import Bench, report

from globeco_allocation.entrypoints import api_tokens
from globeco_allocation.entrypoints.api_tokens import Right, line_of, new_token, read_tokens
from globeco_allocation.entrypoints.cli import main
from globeco_allocation.entrypoints.http import app as http_app
from globeco_allocation.entrypoints.http import token_watch
from globeco_allocation.entrypoints.http.options import HttpOptions
from globeco_allocation.entrypoints.logs import configure_logging
from globeco_allocation.entrypoints.settings import Settings
from globeco_allocation.entrypoints.settings.reading import SettingsError

READ, SEND = new_token(), new_token()
LINES = [line_of("grafana", Right.READ, READ), line_of("portal", Right.SEND, SEND)]

GETS = [
    "/api/v1/executions",
    "/api/v1/executions/1",
    "/api/v1/executions/1/delivery",
    "/api/v1/batches",
    "/api/v1/batches/1",
]
POSTS = ["/api/v1/executions", "/api/v1/executions/send", "/api/v1/batches/1/resend"]
OPEN = {
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/docs/openapi.json",
    "/docs/static/{name:str}",
    "/static/{name:str}",
}
"""What needs no token: nothing of it shows an execution, a batch or a secret."""


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(autouse=True)
def own_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logger keeps the output that it first wrote to, and each test has another one."""
    monkeypatch.setattr(token_watch, "_log", structlog.get_logger())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "tokens"
    made.write_text("# for tests\n\n" + "\n".join(LINES) + "\n")
    return made


@pytest.fixture
def bench(file: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(token_watch.TokenWatch.__init__, "__defaults__", (0.02,))
    return Bench(options=HttpOptions(api_tokens_file=str(file), cors_allowed_origins=("https://a.example",)))


@pytest.mark.parametrize("path", GETS)
async def test_reading_takes_either_token_and_never_none(client: httpx.AsyncClient, path: str) -> None:
    without = await client.get(path)
    with_token = [(await client.get(path, headers=bearer(token))).status_code for token in (READ, SEND)]

    assert without.status_code == 401
    assert set(with_token) <= {200, 404}
    assert (await client.head(path)).status_code == 401


@pytest.mark.parametrize("path", POSTS)
async def test_whatever_changes_something_takes_a_token_to_send(client: httpx.AsyncClient, path: str) -> None:
    body = [report()]
    refused = [await client.post(path, json=body), await client.post(path, json=body, headers=bearer(READ))]
    taken = await client.post(path, json=body, headers=bearer(SEND))

    assert [one.status_code for one in refused] == [401, 403]
    assert taken.status_code in {200, 201, 202, 404}


async def test_a_refused_post_has_done_nothing(client: httpx.AsyncClient, bench: Bench) -> None:
    await client.post("/api/v1/executions", json=[report()])
    await client.post("/api/v1/executions", json=[report()], headers=bearer(READ))

    assert (await bench.executions.page(limit=1, offset=0)).total == 0


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        f"Token {SEND}",
        "Bearer wrong",
        f"Bearer {SEND}x",
        "Bearer \x7f",
    ],
    ids=["none", "nothing", "blank", "basic", "other scheme", "wrong", "longer", "control character"],
)
async def test_what_is_no_known_token_is_a_401_in_the_error_shape(
    client: httpx.AsyncClient, header: str
) -> None:
    answer = await client.get("/api/v1/batches", headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="globeco-allocation"')
    assert set(answer.json()) == {"message", "status", "timestamp"}


async def test_a_hash_from_the_file_is_no_token(client: httpx.AsyncClient) -> None:
    known_by = LINES[1].split()[2]
    for one in (known_by, known_by.removeprefix("sha256:")):
        assert (await client.get("/api/v1/batches", headers=bearer(one))).status_code == 401


async def test_two_tokens_in_one_request_are_none(client: httpx.AsyncClient) -> None:
    both = [("Authorization", f"Bearer {READ}"), ("Authorization", f"Bearer {SEND}")]
    assert (await client.get("/api/v1/batches", headers=both)).status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_may_be_written_in_any_case(client: httpx.AsyncClient, scheme: str) -> None:
    answer = await client.get("/api/v1/batches", headers={"Authorization": f"{scheme}  {READ} "})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "//api/v1/batches",
        "/api//v1/batches",
        "/api/v1/batches/",
        "/./api/v1/batches",
        "/docs/../api/v1/batches",
        "/%61pi/v1/batches",
        "/api%2Fv1%2Fbatches",
        "/API/v1/batches",
        "/api/v1/batches;x",
        "/api/v1/batches?a=/",
    ],
)
async def test_no_other_spelling_of_a_path_leads_past_the_guard(bench: Bench, path: str) -> None:
    async with bench.server() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        status = int((await reader.read()).split()[1])
        writer.close()

    assert status in {400, 401, 404}


def test_every_path_is_guarded_or_open_on_purpose() -> None:
    paths: set[str] = {*http_app._ADDRESSES, "/metrics"}  # pyright: ignore[reportPrivateUsage]

    assert {path for path in paths if not path.startswith(http_app.API)} <= OPEN


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/docs/openapi.json"])
async def test_probes_metrics_and_documentation_stay_open(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 200


async def test_browsers_may_ask_first_and_read_the_refusal(client: httpx.AsyncClient) -> None:
    origin = {"Origin": "https://a.example"}
    preflight = await client.options(
        "/api/v1/executions/send", headers={**origin, "Access-Control-Request-Method": "POST"}
    )
    refused = await client.get("/api/v1/batches", headers=origin)

    assert preflight.status_code == 204
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    assert refused.headers["access-control-allow-origin"] == "https://a.example"


async def test_the_log_has_the_token_s_name_and_never_the_token(
    bench: Bench, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    log_request = configure_logging("debug")
    app = http_app.create_app(bench.options, bench.services, bench.metrics, log_request)
    async with bench.client(app) as client:
        for token in (READ, "stranger-token"):
            await client.post("/api/v1/executions/send", headers=bearer(token))
        await client.get("/api/v1/batches", headers=bearer(SEND))
        await client.get("/healthz")
        await asyncio.sleep(0)

    out = capsysbinary.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    named = [(line["status"], line.get("token")) for line in lines if line["message"] == "request"]
    assert named == [(403, "grafana"), (401, None), (200, "portal"), (200, None)]
    for secret in (READ, SEND, "stranger-token", *(line.split()[2][7:] for line in LINES)):
        assert secret.encode() not in out


def put(file: Path, text: str) -> None:
    file.write_text(text)


async def until(asked: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await asked():  # noqa: ASYNC110 (what is asked knows of no event)
            await asyncio.sleep(0.01)


async def test_a_changed_file_counts_without_a_restart(client: httpx.AsyncClient, file: Path) -> None:
    async def status(token: str) -> int:
        return (await client.get("/api/v1/batches", headers=bearer(token))).status_code

    newer = new_token()
    swapped = file.with_name("swapped")  # as a mounted secret changes: by renaming
    swapped.write_text(line_of("portal", Right.SEND, newer))
    swapped.rename(file)

    async def newer_counts() -> bool:
        return await status(newer) == 200

    await until(newer_counts)
    assert await status(SEND) == 401


async def test_a_secret_mounted_as_kubernetes_does_is_followed_through_its_links(tmp_path: Path) -> None:
    for version, token in (("..v1", READ), ("..v2", SEND)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "tokens").write_text(line_of("a", Right.SEND, token))
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "tokens").symlink_to("..data/tokens")
    watch = token_watch.TokenWatch(tmp_path / "tokens", 0.01)
    async with watch.running():
        assert api_tokens.digest(READ.encode()) in watch.tokens
        (tmp_path / "..new").symlink_to("..v2")
        (tmp_path / "..new").rename(tmp_path / "..data")

        async def swapped() -> bool:
            return api_tokens.digest(SEND.encode()) in watch.tokens

        await until(swapped)
        assert len(watch.tokens) == 1


async def test_a_file_gone_keeps_the_tokens_an_emptied_one_withdraws_them(
    file: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    configure_logging("info")
    watch = token_watch.TokenWatch(file, 0.01)
    said = b""

    async def told_of_it() -> bool:
        nonlocal said
        said += capsysbinary.readouterr().out
        return b"cannot be read" in said

    async def withdrawn() -> bool:
        return not watch.tokens

    async with watch.running():
        file.rename(file.with_name("gone"))  # noqa: ASYNC240 (at once)
        await until(told_of_it)
        assert len(watch.tokens) == 2

        put(file, "")
        await until(withdrawn)

        put(file, "\n\n" + "\n".join(LINES) + f"\nportal sned sha256:{'0' * 64}\n")

        async def back() -> bool:
            return len(watch.tokens) == 2

        await until(back)
    said += capsysbinary.readouterr().out
    assert b"line 5 has a right that is neither read nor send" in said
    assert said.count(b"cannot be read") == 1  # not at every look


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("portal send s3cret-token", "line 2 has no sha256:<64 hex digits>"),
        ("portal s3cret-token", "line 2 is not a name, a right and a digest"),
        ("s3cret-token", "line 2 is not a name, a right and a digest"),
        (f"portal s3cret-token sha256:{'a' * 64}", "line 2 has a right that is neither read nor send"),
        (f"s3cret/token read sha256:{'a' * 64}", "line 2 has a name that is not"),
        (LINES[0], "line 2 holds a token that an earlier line holds"),
    ],
    ids=["no digest", "no right", "token alone", "unknown right", "bad name", "twice"],
)
def test_a_faulty_line_is_named_by_its_number_and_never_shown(tmp_path: Path, line: str, fault: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{LINES[0]}\n{line}\n{LINES[1]}")
    with pytest.raises(SettingsError) as caught:
        Settings.load({"API_TOKENS_FILE": str(file)})

    assert f"API_TOKENS_FILE {fault}" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert len(read_tokens(file).tokens) == 2


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("\n".join(LINES), encoding="utf-8-sig")

    assert [one.name for one in read_tokens(file).tokens.values()] == ["grafana", "portal"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"", "holds no token"), (b"\xff", "cannot be read"), (b"#" * 65537, "cannot be read")],
    ids=["empty", "no text", "endless"],
)
def test_a_file_that_lets_nobody_in_is_a_fault(tmp_path: Path, content: bytes, fault: str) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=f"API_TOKENS_FILE {fault}"):
        Settings.load({"API_TOKENS_FILE": str(file)})
    with pytest.raises(SettingsError, match="API_TOKENS_FILE cannot be read"):
        Settings.load({"API_TOKENS_FILE": str(tmp_path / "absent")})


async def test_the_document_asks_for_tokens_where_they_are_asked_for(client: httpx.AsyncClient) -> None:
    document = (await client.get("/docs/openapi.json")).json()
    async with Bench().client() as other:
        without = (await other.get("/docs/openapi.json")).json()

    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == ("401" in operation["responses"]) == path.startswith("/api/")
    assert "securitySchemes" not in without["components"]


async def test_a_token_made_by_the_command_lets_its_caller_in(
    client: httpx.AsyncClient, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", "cron", "send"]) == 0
    token, line = capsys.readouterr().out.splitlines()
    put(file, line)

    async def counts() -> bool:
        return (await client.get("/api/v1/batches", headers=bearer(token))).status_code == 200

    await until(counts)
    assert token not in line


async def test_the_send_command_bears_the_token_of_its_file(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = tmp_path / "token"
    held.write_text(SEND + "\n")
    async with bench.server() as port:
        command = ["send", "--url", f"http://127.0.0.1:{port}", "--wait", "1"]
        assert await asyncio.to_thread(main, command) == 1
        assert "This needs a token" in capsys.readouterr().err
        assert await asyncio.to_thread(main, [*command, "--token-file", str(held)]) == 0
        monkeypatch.setenv("API_TOKEN_FILE", str(held))
        assert await asyncio.to_thread(main, command) == 0

        held.write_text("two words")
        assert await asyncio.to_thread(main, command) == 2
        assert "two words" not in capsys.readouterr().err
    assert "API_TOKEN_FILE" in os.environ


FORGED = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://evil.example", "Content-Type": "text/plain"},
    {"Origin": "https://evil.example", "Content-Type": "application/x-www-form-urlencoded"},
    {"Origin": "https://allocation.evil.example", "Content-Type": "text/plain; x=application/json"},
]


@pytest.mark.parametrize("headers", FORGED)
@pytest.mark.parametrize("path", POSTS)
async def test_a_stranger_s_page_cannot_have_anything_done(path: str, headers: dict[str, str]) -> None:
    bench = Bench()
    async with bench.client() as client:
        answer = await client.post(path, content=json.dumps([report()]), headers=headers)

    assert (answer.status_code, answer.json()["status"]) == (403, 403)
    assert (await bench.executions.page(limit=1, offset=0)).total == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/x-www-form-urlencoded"},  # curl, which is no browser
        {"Origin": "http://allocation"},  # our own page
        {"Origin": "https://portal.example"},  # a configured one
        {
            "Origin": "https://gateway.example",
            "Content-Type": "application/json; charset=utf-8",
        },  # asked first
    ],
)
async def test_all_others_can(headers: dict[str, str]) -> None:
    bench = Bench(options=HttpOptions(cors_allowed_origins=("https://portal.example",)))
    async with bench.client() as client:
        assert (await client.post("/api/v1/executions/send", headers=headers)).status_code == 200
