"""How the service stands: alive, ready, measured, fit to deliver, reached unaltered, guarded."""

import secrets
import time
from http import HTTPStatus

from globeco_allocation.entrypoints.smoke.caller import Caller
from globeco_allocation.entrypoints.smoke.findings import (
    Finding,
    Mark,
    Terms,
    failed,
    json_object,
    ok,
    other_answer,
)

FITNESS_SECONDS = 5.0
"""How long a service that has just started may take to find out whether it can deliver."""

_LOOK_SECONDS = 0.25
_FIT = "globeco_allocation_fit_to_deliver"
_LIST = "/api/v1/executions"


def alive(caller: Caller, terms: Terms) -> Finding:
    """Make sure that it is the service, and in the version that was rolled out."""
    answer = caller.get("/healthz")
    body = json_object(answer.json)
    version = body.get("version")
    if answer.status != HTTPStatus.OK or body.get("status") != "ok" or not isinstance(version, str):
        return other_answer(answer, "200 with its version")
    if terms.version and version != terms.version:
        return failed(
            f"version {version} answers, not {terms.version}",
            "The rollout has not got so far, or names another image: kubectl rollout status.",
            may_pass=True,
        )
    return ok(f"version {version}")


def ready(caller: Caller, terms: Terms) -> Finding:
    """Make sure that it can serve requests."""
    deadline = time.monotonic() + terms.wait
    while True:
        answer = caller.get("/readyz")
        checks = json_object(json_object(answer.json).get("checks"))
        told = ", ".join(f"{name}: {found}" for name, found in checks.items())
        if answer.status == HTTPStatus.OK and checks:
            return ok(told)
        if time.monotonic() >= deadline:
            break
        time.sleep(_LOOK_SECONDS)
    if answer.status != HTTPStatus.SERVICE_UNAVAILABLE or not checks:
        return other_answer(answer, "200 with its checks")
    return failed(told, _READY_ADVICE.get(str(checks.get("database")), _NOT_READY), may_pass=True)


_NOT_READY = "It starts or ends: try again, or --wait SECONDS."
_READY_ADVICE = {
    "unavailable": "Its database does not answer: is it there, and are DB_HOST and the password right?",
    "migrating": "Its schema is being brought up to date: --wait SECONDS.",
    "schema missing": "MIGRATE_ON_START is false: run `globeco-allocation migrate`.",
}


def metrics(caller: Caller, terms: Terms) -> Finding:
    """Make sure that Prometheus finds something."""
    del terms
    answer = caller.get("/metrics")
    if answer.status == HTTPStatus.NOT_FOUND:
        return Finding(Mark.SKIPPED, "METRICS_ENABLED is false: whether it can deliver is not known")
    if answer.status != HTTPStatus.OK or b"globeco_allocation_" not in answer.body:
        return other_answer(answer, "200 with its metrics")
    return ok()


def delivers(caller: Caller, terms: Terms) -> Finding:
    """Make sure that the replica is fit to write files and to start the accounting CLI."""
    deadline = time.monotonic() + max(FITNESS_SECONDS, terms.wait)
    while True:
        answer = caller.get("/metrics")
        if answer.status == HTTPStatus.NOT_FOUND:
            return Finding(Mark.SKIPPED, "METRICS_ENABLED is false")
        fit = _gauge(answer.body, _FIT)
        if fit == 1:
            return ok("fit to write and deliver files")
        if fit is None or time.monotonic() >= deadline:
            break
        time.sleep(_LOOK_SECONDS)
    if fit is None:
        return other_answer(answer, f"200 with {_FIT}")
    return failed(
        "it is up, but does not write or deliver files",
        "Its log says why (this replica does not write or deliver files): OUTPUT_DIR, CLI_COMMAND or rights.",
        may_pass=True,
    )


def _gauge(text: bytes, name: str) -> float | None:
    """Return the least value of a metric's series; None where there is none."""
    found = [
        line.rpartition(" ")[2]
        for line in text.decode(errors="replace").splitlines()
        if line.startswith((f"{name} ", f"{name}{{"))
    ]
    try:
        return min(map(float, found), default=None)
    except ValueError:
        return None


def carries_the_correlation_id(caller: Caller, terms: Terms) -> Finding:
    """Make sure that the caller's correlation id comes back."""
    del terms
    sent = f"smoke-{secrets.token_hex(8)}"
    answer = caller.get("/healthz", {"X-Correlation-ID": sent})
    if answer.headers.get("x-correlation-id") != sent:
        return failed(
            "the answer carries another X-Correlation-ID",
            "Something on the way changes headers: requests cannot be followed through the logs.",
        )
    return ok()


def documents_itself(caller: Caller, terms: Terms) -> Finding:
    """Make sure that the OpenAPI document and the page that shows it are there."""
    del terms
    page, document = caller.get("/docs"), caller.get("/docs/openapi.json")
    if page.status != HTTPStatus.OK or "html" not in page.headers.get("content-type", ""):
        return other_answer(page, "200 with a page")
    if document.status != HTTPStatus.OK or _LIST not in json_object(json_object(document.json).get("paths")):
        return other_answer(document, "the OpenAPI document")
    return ok()


def shows_its_page(caller: Caller, terms: Terms) -> Finding:
    """Make sure that the operator's page is there, where this version has one."""
    del terms
    answer = caller.get("/")
    if answer.status == HTTPStatus.NOT_FOUND:
        return Finding(Mark.SKIPPED, "this version has none")
    if answer.status != HTTPStatus.OK or "html" not in answer.headers.get("content-type", ""):
        return other_answer(answer, "200 with a page")
    return ok()


def lets_nobody_in_without_a_token(caller: Caller, terms: Terms) -> Finding:
    """Make sure that tokens are asked for, where one was given."""
    if not terms.with_token:
        return Finding(Mark.SKIPPED, "no --token-file was given")
    answer = caller.get(f"{_LIST}?limit=1", anonymous=True)
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return ok()
    return failed(
        f"a caller without a token was answered {answer.status}",
        "API_TOKENS_FILE is not in force: is it set, and the Secret mounted?",
    )
