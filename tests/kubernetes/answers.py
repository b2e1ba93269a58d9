"""Lists, deletions and who made what, as the API server writes them."""

import base64
import json

from tests.kubernetes.objects import Json, part
from tests.kubernetes.selectors import Selector
from tests.kubernetes.statuses import bad_request, expired
from tests.kubernetes.store import JobStore

_POLICIES = {"Background", "Foreground", "Orphan"}


def job_list(store: JobStore, query: dict[str, str], selected: Selector) -> Json:
    """A JobList, in pieces of `limit`; its items name neither kind nor version, as the real server's.

    Raises:
        RefusedError: 410, the piece to go on with is too old; 400, a number or a token is none.
    """
    jobs = [
        {key: job[key] for key in job if key not in {"kind", "apiVersion"}} for job in store.all(selected)
    ]
    version = store.version
    try:
        limit = int(query.get("limit") or 0)
        token = json.loads(base64.b64decode(query["continue"])) if query.get("continue") else None
    except ValueError:
        raise bad_request("limit is a number, and continue comes from the answer before") from None
    if token is not None:
        if token["version"] < store.compacted:
            raise expired("The provided continue parameter is too old to display a consistent list result.")
        version = token["version"]
        jobs = [job for job in jobs if job["metadata"]["name"] > token["after"]]
    metadata: Json = {"resourceVersion": str(version)}
    if limit and len(jobs) > limit:
        metadata["remainingItemCount"] = len(jobs) - limit
        jobs = jobs[:limit]
        after = {"version": version, "after": jobs[-1]["metadata"]["name"]}
        metadata["continue"] = base64.b64encode(json.dumps(after).encode()).decode()
    return {"kind": "JobList", "apiVersion": "batch/v1", "metadata": metadata, "items": jobs}


def delete_options(query: dict[str, str], body: Json | None) -> tuple[str | None, str | None]:
    """How to delete, and the uid the Job must have; both may be left open.

    Raises:
        RefusedError: 400, there is no such policy.
    """
    said = body or {}
    policy = said.get("propagationPolicy") or query.get("propagationPolicy")
    if policy is not None and policy not in _POLICIES:
        raise bad_request(f'invalid propagationPolicy "{policy}"')
    return policy, part(said, "preconditions").get("uid")


def deletion_status(job: Json) -> Json:
    """What a deletion answers that is done at once."""
    metadata = job["metadata"]
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": metadata["name"], "group": "batch", "kind": "jobs", "uid": metadata["uid"]},
    }


def manager_of(query: dict[str, str], user_agent: str) -> str:
    """Who is noted as the maker of an object."""
    return query.get("fieldManager") or user_agent.partition("/")[0] or "unknown"
