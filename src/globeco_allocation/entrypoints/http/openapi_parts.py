"""What the operations of the OpenAPI document have in common."""

from typing import Any, Final

from globeco_allocation.entrypoints.http import openapi_examples as examples
from globeco_allocation.entrypoints.http.errors import INTERNAL_FAULT
from globeco_allocation.entrypoints.http.observability import CORRELATION_HEADER
from globeco_allocation.entrypoints.http.openapi_kinds import Json, ref
from globeco_allocation.entrypoints.http.options import HttpOptions
from globeco_allocation.entrypoints.http.parameters import LARGEST_OFFSET, MOST_PER_PAGE, USUAL_PER_PAGE
from globeco_allocation.entrypoints.http.send import LONGEST_WAIT_SECONDS

JSON: Final = "application/json"

_UNAVAILABLE: Final = "The database cannot be reached; try again later."


def operation(
    name: str,
    tag: str,
    summary: str,
    about: str,
    responses: Json,
    **more: Any,  # noqa: ANN401 - JSON
) -> Json:
    """Describe an operation; every one takes a correlation id."""
    parameters = [*more.pop("parameters", ()), {"$ref": "#/components/parameters/CorrelationId"}]
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "description": about,
        "parameters": parameters,
        "responses": responses,
        **more,
    }


def answer(about: str, schema: str | Json, shown: Json, headers: Json | None = None) -> Json:
    """Describe an answer as JSON, with the headers that every answer has."""
    content: Json = {
        "schema": ref(schema) if isinstance(schema, str) else schema,
        "examples": named_examples(shown),
    }
    return {
        "description": about,
        "headers": {**common_headers(), **(headers or {})},
        "content": {JSON: content},
    }


def named_examples(shown: Json) -> Json:
    """Turn examples by summary into what the document wants."""
    return {
        name.replace(" ", "-").replace(",", ""): {"summary": name, "value": one}
        for name, one in shown.items()
    }


def common_headers() -> Json:
    """Return the headers of every answer."""
    return {CORRELATION_HEADER: {"$ref": "#/components/headers/CorrelationId"}}


def preference_applied() -> Json:
    """Return the header that tells which of the caller's preferences was followed."""
    return {
        "Preference-Applied": {
            "description": "The preference that was followed.",
            "schema": {"type": "string"},
        }
    }


def prefer_parameter() -> Json:
    """Describe by which header a caller says how long it waits."""
    return {
        "name": "Prefer",
        "in": "header",
        "description": "RFC 7240: `wait=N`, seconds to wait for the outcome, at most "
        f"{LONGEST_WAIT_SECONDS}; or `respond-async`, an answer as soon as the batch is claimed.",
        "schema": {"type": "string"},
        "example": "wait=20",
    }


def batch_ended(shown: Json) -> Json:
    """Describe 200 of a send or resend."""
    about = "The batch has ended, or nothing was ready."
    return answer(about, "SendResult", shown, preference_applied())


def batch_goes_on() -> Json:
    """Describe 202."""
    location: Json = {
        "description": "The batch.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/api/v1/batches/7",
    }
    return answer(
        "The batch has not ended yet; the message says how far it is, and what holds it up if anything does.",
        "SendResult",
        examples.STILL_SENDING,
        {**preference_applied(), "Location": location},
    )


def batch_failed() -> Json:
    """Describe 500 of a send or resend."""
    return answer(
        "A file was not written, or an attempt to deliver one failed: the message says when it is tried "
        "again. Or the service failed.",
        "SendFailure",
        examples.NOT_SENT | {"a fault": examples.error(500, INTERNAL_FAULT)},
        preference_applied(),
    )


def page_parameters(what: str) -> list[Json]:
    """Describe by which parameters a page is chosen."""
    return [
        integer_parameter("limit", f"{what} on a page.", 1, MOST_PER_PAGE, USUAL_PER_PAGE),
        integer_parameter("offset", f"{what} to leave out.", 0, LARGEST_OFFSET, 0),
    ]


def no_page() -> Json:
    """Describe 400 of a list."""
    reason = f"must be one integer between 1 and {MOST_PER_PAGE}"
    wrong = examples.error(400, f"The parameter limit {reason}.", {"limit": reason})
    about = "A parameter is no integer, out of range, empty or repeated."
    return answer(about, "Error", {"limit too large": wrong})


def malformed() -> Json:
    """Describe 400."""
    text = "The request cannot be understood."
    return answer("The request is malformed.", "Error", {"malformed": examples.error(400, text)})


def too_large(options: HttpOptions) -> Json:
    """Describe 413."""
    text = f"The request body has more than {options.max_body_bytes} bytes."
    return answer(text, "Error", {"too large": examples.error(413, text)})


def fault() -> Json:
    """Describe 500."""
    return answer("The service failed.", "Error", {"a fault": examples.error(500, INTERNAL_FAULT)})


def unavailable() -> Json:
    """Describe 503."""
    return answer(
        "The database is away, or too much is under way; try again.",
        "Error",
        {"database away": examples.error(503, _UNAVAILABLE)},
    )


def not_found(text: str) -> Json:
    """Describe what else a lookup by id answers; *text* is the 404's message."""
    wrong = examples.error(400, "The id must be an integer.", {"id": "must be an integer"})
    return {
        "400": answer("The id is no integer.", "Error", {"not an integer": wrong}),
        "404": answer(text, "Error", {"unknown": examples.error(404, text)}),
        "500": fault(),
        "503": unavailable(),
    }


def id_parameter(example: int) -> Json:
    """Describe the path's id."""
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "Our id.",
        "schema": {"type": "integer", "format": "int32"},
        "example": example,
    }


def integer_parameter(name: str, about: str, least: int, most: int, usual: int) -> Json:
    """Describe a query parameter."""
    schema = {"type": "integer", "minimum": least, "maximum": most, "default": usual}
    return {"name": name, "in": "query", "description": about, "schema": schema}
