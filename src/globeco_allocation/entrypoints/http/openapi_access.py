"""What the OpenAPI document says of who may call the API."""

from typing import Any, cast

from globeco_allocation.entrypoints.http import openapi_examples as examples
from globeco_allocation.entrypoints.http.guard import NO_RIGHT, NO_TOKEN, STRANGE_PAGE
from globeco_allocation.entrypoints.http.openapi_kinds import Json
from globeco_allocation.entrypoints.http.openapi_parts import answer

_SCHEME = "token"
_CHALLENGE: Json = {
    "WWW-Authenticate": {
        "description": "That a bearer token is wanted, and what was wrong with the one that came.",
        "required": True,
        "schema": {"type": "string"},
    }
}


def with_access(document: Json, *, tokens: bool) -> Json:
    """Return *document* with the refusals of each of the API's operations, and the token it wants."""
    for path, operations in cast("dict[str, dict[str, Any]]", document["paths"]).items():
        if path.startswith("/api/"):
            for method, operation in operations.items():
                _add_refusals(operation, changes=method == "post", tokens=tokens)
    if tokens:
        document["components"]["securitySchemes"] = {
            _SCHEME: {
                "type": "http",
                "scheme": "bearer",
                "description": "The right `read` is good for every GET, `send` for all.",
            }
        }
    return document


def _add_refusals(operation: Json, *, changes: bool, tokens: bool) -> None:
    if tokens:
        operation["security"] = [{_SCHEME: []}]
        operation["responses"]["401"] = answer(
            "There is no token, or none that is known here.",
            "Error",
            {"no token": examples.error(401, NO_TOKEN)},
            _CHALLENGE,
        )
    if changes:
        refused = {"a stranger's page": examples.error(403, STRANGE_PAGE)}
        if tokens:
            refused["reading only"] = examples.error(403, NO_RIGHT)
        operation["responses"]["403"] = answer(
            "A page of an origin that is not configured asks"
            + (", or the token is good for reading only." if tokens else "."),
            "Error",
            refused,
        )
