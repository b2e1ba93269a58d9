"""``globeco-allocation smoke`` towards what is not the service, or not as it has to be."""

import json
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.http_double import Handler, serving

from globeco_allocation.entrypoints.cli import main
from globeco_allocation.entrypoints.exit_codes import ExitCode

Answers = Callable[[str, str, dict[str, str]], tuple[int, object]]
"""Answers a method, a path and headers with a status and a body."""
Serve = Callable[[Answers], str]


@contextmanager
def service(answers: Answers) -> Generator[str]:
    class Service(Handler):
        def take(self) -> None:
            if self.command == "POST":
                self.body()
            status, body = answers(self.command, self.path, dict(self.headers))
            headers = {"Content-Type": "text/html" if isinstance(body, bytes) else "application/json"}
            if "X-Correlation-ID" in self.headers:
                headers["X-Correlation-ID"] = self.headers["X-Correlation-ID"]
            self.answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)

    with serving(Service) as port:
        yield f"http://127.0.0.1:{port}/allocations"


@pytest.fixture
def serve() -> Generator[Serve]:
    with ExitStack() as stack:
        yield lambda answers: stack.enter_context(service(answers))


def refusal(status: int) -> tuple[int, object]:
    return status, {"message": "No.", "status": status, "timestamp": "2026-03-02T15:00:00Z"}


PAGE = {
    "totalElements": 0,
    "totalPages": 0,
    "currentPage": 0,
    "pageSize": 1,
    "hasNext": False,
    "hasPrevious": False,
}


def healthy(  # noqa: PLR0911 (one for each address)
    method: str, path: str, headers: dict[str, str]
) -> tuple[int, object]:
    """A service that is as it has to be, behind a gateway's path."""
    del headers
    match method, path.removeprefix("/allocations"):
        case "GET", "/healthz":
            return 200, {"status": "ok", "version": "1.2.3"}
        case "GET", "/readyz":
            return 200, {"status": "ready", "checks": {"database": "ok"}}
        case "GET", "/metrics":
            return 200, b"globeco_allocation_fit_to_deliver 1.0\n"
        case "GET", "/api/v1/executions?limit=1":
            return 200, {"executions": [], "pagination": PAGE}
        case "GET", "/api/v1/batches?limit=10":
            return 200, {"batches": [], "pagination": PAGE}
        case "GET", "/api/v1/executions?limit=0":
            return refusal(400)
        case "GET", "/docs" | "/":
            return 200, b"<!doctype html>"
        case "GET", "/docs/openapi.json":
            return 200, {"openapi": "3.1.0", "paths": {"/api/v1/executions": {}}}
        case "POST", "/api/v1/executions":
            return 400, {
                "message": "No.",
                "status": 400,
                "processedCount": 0,
                "results": [{"status": "error", "error": "tradeType must be BUY or SELL"}],
            }
        case _:
            return refusal(404)


def but(where: str, status: int, body: object) -> Answers:
    """A healthy service but for one address."""

    def answers(method: str, path: str, headers: dict[str, str]) -> tuple[int, object]:
        return (status, body) if f"{method} {path}".endswith(where) else healthy(method, path, headers)

    return answers


def test_all_is_well(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smoke", serve(healthy), "--expect", "1.2.3"]) == ExitCode.OK

    assert "14 checks ok, 1 skipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answers", "name", "code"),
    [
        (but("/healthz", 200, {"status": "UP"}), "alive", ExitCode.FAILED),
        (but("/healthz", 502, b"<h1>Bad Gateway</h1>"), "alive", ExitCode.TRY_AGAIN),
        (
            but("/readyz", 503, {"status": "not ready", "checks": {"database": "unavailable"}}),
            "ready",
            ExitCode.TRY_AGAIN,
        ),
        (but("/metrics", 200, b"up 1"), "metrics", ExitCode.FAILED),
        (but("GET /allocations/api/v1/executions?limit=1", 200, []), "executions listed", ExitCode.FAILED),
        (
            but("/api/v1/executions?limit=0", 200, {"executions": []}),
            "page of size 0 refused",
            ExitCode.FAILED,
        ),
        (but("/2147483648", 404, b"<h1>Not Found</h1>"), "unknown execution not found", ExitCode.FAILED),
        (but("/no-such-address", 200, {}), "unknown address not found", ExitCode.FAILED),
        (
            but("POST /allocations/api/v1/executions", 201, {"processedCount": 1, "results": []}),
            "broken record refused",
            ExitCode.FAILED,
        ),
        (but("/batches?limit=10", 500, refusal(500)[1]), "batches listed", ExitCode.FAILED),
        (but("/docs", 404, {}), "documentation", ExitCode.FAILED),
        (but("/docs/openapi.json", 200, {"paths": {}}), "documentation", ExitCode.FAILED),
        (but("/allocations/", 500, refusal(500)[1]), "operator's page", ExitCode.FAILED),
    ],
)
def test_what_is_not_as_it_has_to_be_is_named_with_what_to_do(
    serve: Serve, capsys: pytest.CaptureFixture[str], answers: Answers, name: str, code: ExitCode
) -> None:
    assert main(["smoke", serve(answers), "--timeout", "40"]) == code

    printed = capsys.readouterr().out.splitlines()
    (at,) = [number for number, line in enumerate(printed) if line.startswith(f"failed   {name}")]
    assert printed[at + 1].startswith("         ")
    assert printed[at + 1].strip()


def asking_for(token: str, *, may_post: bool = True) -> Answers:
    """A healthy service that asks for a token."""

    def answers(method: str, path: str, headers: dict[str, str]) -> tuple[int, object]:
        is_open = path.endswith(("/healthz", "/readyz", "/docs", "/docs/openapi.json", "/metrics"))
        if not is_open and headers.get("Authorization") != f"Bearer {token}":
            return refusal(401)
        if method == "POST" and not may_post:
            return refusal(403)
        return healthy(method, path, headers)

    return answers


def test_a_token_is_sent_and_nobody_may_be_let_in_without_one(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret-of-the-reader\n")

    assert (
        main(["smoke", serve(asking_for("s3cret-of-the-reader")), "--token-file", str(file)]) == ExitCode.OK
    )
    said = capsys.readouterr()
    assert "15 checks ok, 0 skipped" in said.out
    assert main(["smoke", serve(healthy), "--token-file", str(file)]) == ExitCode.FAILED
    also_said = capsys.readouterr()
    assert "a caller without a token was answered 200" in also_said.out
    assert "s3cret" not in said.out + said.err + also_said.out + also_said.err


def test_a_token_that_may_only_read_is_enough(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text("reader")

    url = serve(asking_for("reader", may_post=False))

    assert main(["smoke", url, "--token-file", str(file)]) == ExitCode.OK
    assert capsys.readouterr().out.count("this token has no right to it") == 2


def test_a_service_that_asks_for_a_token_says_so(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smoke", serve(asking_for("reader"))]) == ExitCode.FAILED

    assert "--token-file" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "two words", "x" * 5000])
def test_a_file_without_a_token_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    file = tmp_path / "token"
    file.write_text(content)

    assert main(["smoke", "http://localhost:1", "--token-file", str(file)]) == ExitCode.USAGE
    assert "does not hold one token" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:8089", "ftp://localhost", "http://", "http://localhost:port"),
        *("http://a..b", f"http://{'a' * 64}.example.org"),
    ],
)
def test_what_is_no_address_is_refused(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert main(["smoke", url]) == ExitCode.USAGE
    assert "globeco-allocation: " in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/b\u00f6rse", "/with a blank", "/b%C3%B6rse"])
def test_a_path_is_asked_for_as_a_browser_would(
    serve: Serve, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    asked: list[str] = []

    def answers(_method: str, asked_for: str, _headers: dict[str, str]) -> tuple[int, object]:
        asked.append(asked_for)
        return refusal(404)

    assert main(["smoke", serve(answers) + path]) == ExitCode.FAILED
    assert "Traceback" not in capsys.readouterr().err
    encoded = {"/b\u00f6rse": "/b%C3%B6rse", "/with a blank": "/with%20a%20blank"}.get(path, path)
    assert asked[0].startswith(f"/allocations{encoded}/")


def test_an_answer_that_no_parser_can_bear_is_none(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    deep = b"[" * 100_000

    assert main(["smoke", serve(but("/healthz", 200, deep))]) == ExitCode.FAILED
    assert "Traceback" not in capsys.readouterr().err


def test_nobody_there_is_worth_another_try(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smoke", "http://127.0.0.1:1"]) == ExitCode.TRY_AGAIN
    assert "no answer: Connection refused" in capsys.readouterr().out
