"""``globeco-allocation send``: what became ready goes out now."""

import argparse
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from globeco_allocation.entrypoints.commands.bearer import add_token_option, authorization
from globeco_allocation.entrypoints.commands.tables import one_line
from globeco_allocation.entrypoints.exit_codes import ExitCode

if TYPE_CHECKING:
    from urllib.error import HTTPError

EPILOG = """\
The service does the work and goes on with it when this command is interrupted.

exit codes: 0 delivered, or nothing to send; 1 failed; 3 the service is away or busy, or another
sender claimed the same batch; 4 delivered, but some records were refused; 5 not delivered yet (the
message says how far it is)
"""

LONGEST_WAIT_SECONDS = 55
"""The service waits no longer within one request."""

_ANSWER_SECONDS = 15.0
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_AWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the service is, and how long to wait for the outcome."""
    port = os.environ.get("PORT") or "8089"
    parser.epilog = EPILOG
    parser.add_argument(
        "--url", default=f"http://localhost:{port}", help="where the service answers (default: %(default)s)"
    )
    parser.add_argument(
        "--wait",
        type=_wait,
        default=LONGEST_WAIT_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for the outcome, 0 to {LONGEST_WAIT_SECONDS} (default: %(default)s)",
    )
    add_token_option(parser)
    parser.add_argument(
        "--under-way-is-fine",
        action="store_true",
        help="exit with 0 instead of 5: for schedules, where alerts tell what becomes of the batch",
    )
    parser.add_argument("--json", action="store_true", help="print the service's answer as it came")


def run(arguments: argparse.Namespace) -> int:
    """Send, and say what came of it."""
    begun = time.monotonic()
    try:
        token = authorization(arguments.token_file)
    except ValueError as error:
        print(f"globeco-allocation: {error}", file=sys.stderr)
        return ExitCode.USAGE
    if sys.stderr.isatty():
        print(f"Sending, waiting up to {arguments.wait} s for the outcome ...", file=sys.stderr, flush=True)
    try:
        status, body = _within(
            arguments.wait + _ANSWER_SECONDS, lambda: _post(arguments.url, arguments.wait, token)
        )
        answer = _answer(status, body)
    except OSError as error:
        reason = getattr(error, "reason", error)
        print(f"globeco-allocation: no answer from {arguments.url}: {reason}", file=sys.stderr)
        return ExitCode.TRY_AGAIN
    except ValueError as error:
        print(f"globeco-allocation: {arguments.url} is not the service: {error}", file=sys.stderr)
        return ExitCode.FAILED
    code = _code(status, answer)
    if arguments.json:
        print(body.decode(errors="replace"))
    else:
        _tell(answer, time.monotonic() - begun, code)
    return ExitCode.OK if arguments.under_way_is_fine and code is ExitCode.UNDER_WAY else code


def _post(url: str, wait: int, token: str | None) -> tuple[int, bytes]:
    """Have it sent.

    Returns:
        The answer's status and body.

    Raises:
        OSError: nobody answers, or the answer broke off.
        ValueError: *url* is none, or what answers speaks no HTTP.
    """
    import http.client  # noqa: PLC0415 (not for --help)
    import urllib.error  # noqa: PLC0415
    import urllib.parse  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address begins with http:// or https:// and names a host")
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Prefer": f"wait={wait}"}
    request = urllib.request.Request(  # noqa: S310 (checked above)
        f"{url.rstrip('/')}/api/v1/executions/send", b"{}", headers
    )
    if token is not None:  # which is for this service, not for where it may lead us to
        request.add_unredirected_header("Authorization", token)
    # No proxy is between us and this machine; elsewhere the environment says.
    proxies = urllib.request.ProxyHandler({} if parts.hostname in _THIS_MACHINE else None)
    try:
        with urllib.request.build_opener(proxies).open(request, timeout=wait + _ANSWER_SECONDS) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _rest(error)
    except http.client.IncompleteRead as error:
        raise OSError("the answer broke off") from error
    except http.client.HTTPException as error:
        raise ValueError(f"it answers no HTTP ({type(error).__name__})") from error


def _rest(error: "HTTPError") -> bytes:
    """Return the body of an error, as far as it came: its status says enough."""
    import http.client  # noqa: PLC0415

    try:
        return error.read()
    except http.client.IncompleteRead as broken:
        return broken.partial


def _within(seconds: float, ask: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes]:
    """Wait no longer than so many seconds in all: a socket's own bound counts from each byte anew.

    Raises:
        TimeoutError: there was no whole answer by then.
    """
    ended: queue.SimpleQueue[tuple[int, bytes] | OSError | ValueError] = queue.SimpleQueue()

    def work() -> None:
        try:
            ended.put(ask())
        except (OSError, ValueError) as error:
            ended.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        result = ended.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"not within {seconds:.0f} s") from None
    if isinstance(result, Exception):
        raise result
    return result


def _answer(status: int, body: bytes) -> dict[str, Any]:
    """Read the service's answer, or make one for a gateway's that stands in for it.

    Raises:
        ValueError: it is not the service's.
    """
    try:
        answer = _object(json.loads(body.decode()))
    except ValueError:
        answer = {}
    if "message" in answer:
        return answer
    if status in _AWAY:
        return {"message": f"The service is away: {status} {HTTPStatus(status).phrase}."}
    raise ValueError(f"it answers {status} in another form")


def _code(status: int, answer: dict[str, Any]) -> ExitCode:
    match status:
        case HTTPStatus.OK:
            return ExitCode.PARTIAL if answer.get("status") == "partial" else ExitCode.OK
        case HTTPStatus.ACCEPTED:
            return ExitCode.UNDER_WAY
        case HTTPStatus.CONFLICT:
            return ExitCode.TRY_AGAIN
        case _:
            return ExitCode.TRY_AGAIN if status in _AWAY else ExitCode.FAILED


def _tell(answer: dict[str, Any], seconds: float, code: ExitCode) -> None:
    print(
        one_line(str(answer["message"])),
        file=sys.stdout if code in {ExitCode.OK, ExitCode.PARTIAL} else sys.stderr,
    )
    batch = _object(answer.get("details")) or answer
    if not batch.get("fileName"):
        return
    file = f"{batch.get('processedCount')} executions, file {batch['fileName']}"
    if code is ExitCode.UNDER_WAY and not batch.get("processedCount"):  # no file has been finished
        file = f"to be written: file {batch['fileName']}"
    print(one_line(f"batch {batch.get('batchId')}, {file}, {seconds:.1f} s"))


def _object(value: object) -> dict[str, Any]:
    """Return a JSON object; nothing where the value is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _wait(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > LONGEST_WAIT_SECONDS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {LONGEST_WAIT_SECONDS}")
    return int(text)
