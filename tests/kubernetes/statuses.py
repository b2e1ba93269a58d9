"""What the Kubernetes API says when it refuses: a metav1.Status with its code and reason."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from tests.kubernetes.objects import Json


class Cause(NamedTuple):
    """One fault of an object that is not valid."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class RefusedError(Exception):
    """The API answers with a Status instead of an object."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Json | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.headers = headers or {}
        self.status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            **({"details": details} if details is not None else {}),
            "code": code,
        }


def _of_job(name: str) -> Json:
    return {"name": name, "group": "batch", "kind": "jobs"} if name else {"group": "batch", "kind": "jobs"}


def not_found(name: str) -> RefusedError:
    return RefusedError(404, "NotFound", f'jobs.batch "{name}" not found', details=_of_job(name))


def namespace_not_found(namespace: str) -> RefusedError:
    details = {"name": namespace, "kind": "namespaces"}
    return RefusedError(404, "NotFound", f'namespaces "{namespace}" not found', details=details)


def already_exists(name: str, *, deleting: bool) -> RefusedError:
    words = f'jobs.batch "{name}" already exists'
    words = f"object is being deleted: {words}" if deleting else words
    return RefusedError(409, "AlreadyExists", words, details=_of_job(name))


def precondition_failed(name: str, wanted: str, found: str) -> RefusedError:
    words = (
        f'Operation cannot be fulfilled on jobs.batch "{name}": '
        f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    )
    return RefusedError(409, "Conflict", words, details=_of_job(name))


def invalid(name: str, causes: Sequence[Cause]) -> RefusedError:
    said = [f"{cause.field}: {cause.message}" for cause in causes]
    words = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    details = {
        "name": name,
        "group": "batch",
        "kind": "Job",
        "causes": [
            {"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes
        ],
    }
    return RefusedError(422, "Invalid", f'Job.batch "{name}" is invalid: {words}', details=details)


def bad_request(words: str) -> RefusedError:
    return RefusedError(400, "BadRequest", words)


def unauthorized() -> RefusedError:
    return RefusedError(401, "Unauthorized", "Unauthorized")


def forbidden(
    user: str, verb: str, namespace: str, *, resource: str = "jobs", group: str = "batch", name: str = ""
) -> RefusedError:
    whole = f"{resource}.{group}" if group else resource
    thing = f'{whole} "{name}"' if name else whole
    words = (
        f'{thing} is forbidden: User "{user}" cannot {verb} resource "{resource}" '
        f'in API group "{group}" in the namespace "{namespace}"'
    )
    details = {"kind": resource, **({"group": group} if group else {}), **({"name": name} if name else {})}
    return RefusedError(403, "Forbidden", words, details=details)


def expired(words: str) -> RefusedError:
    return RefusedError(410, "Expired", words)


def too_many_requests(retry_after: int) -> RefusedError:
    return RefusedError(
        429,
        "TooManyRequests",
        "storage is (re)initializing",
        details={"retryAfterSeconds": retry_after},
        headers={"Retry-After": str(retry_after)},
    )


def event_line(kind: str, thing: Json) -> bytes:
    """One event of a watch: JSON on a line of its own."""
    return json.dumps({"type": kind, "object": thing}, separators=(",", ":")).encode() + b"\n"
