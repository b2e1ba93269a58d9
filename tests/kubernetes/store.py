"""The Jobs of the double, each change numbered, as etcd keeps them behind the API server."""

import asyncio
import copy
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.kubernetes.defaults import moment, with_defaults
from tests.kubernetes.objects import Json, part
from tests.kubernetes.selectors import Selector
from tests.kubernetes.statuses import (
    already_exists,
    bad_request,
    expired,
    namespace_not_found,
    not_found,
    precondition_failed,
)
from tests.kubernetes.validation import check_job

ChangeKind = Literal["ADDED", "MODIFIED", "DELETED"]
Key = tuple[str, str]
_STEP = 3
"""Other resources count in the same versions: those of Jobs rise with gaps."""


@dataclass(frozen=True)
class Change:
    """A numbered change, and the Job as it was after it (before it, when it was deleted)."""

    version: int
    kind: ChangeKind
    job: Json


@dataclass
class JobStore:
    """Jobs by namespace and name, with the history that watches are fed from.

    Attributes:
        namespaces: Those that exist; a Job can be made in no other.
        created: Every Job that was ever stored, as it was created; nothing is taken out of it.
        version: The newest resource version of the whole store.
        compacted: No change up to this version is known any more.
    """

    namespaces: set[str]
    created: list[Json] = field(default_factory=list[Json])
    version: int = 1000
    compacted: int = 0
    _jobs: dict[Key, Json] = field(default_factory=dict[Key, Json])
    _history: list[Change] = field(default_factory=list[Change])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def create(self, namespace: str, job: Json, *, manager: str, dry_run: bool = False) -> Json:
        """Store a Job, with the server's defaults.

        Raises:
            RefusedError: its name is taken (also by one that is being deleted), it is not valid, or there is
                no such namespace.
        """
        said = part(job, "metadata").get("namespace")
        if said is not None and said != namespace:
            words = "the namespace of the provided object does not match the namespace sent on the request"
            raise bad_request(words)
        if namespace not in self.namespaces:
            raise namespace_not_found(namespace)
        check_job(job)
        name = job["metadata"]["name"]
        taken = self._jobs.get((namespace, name))
        if taken is not None:
            raise already_exists(name, deleting="deletionTimestamp" in taken["metadata"])
        stored = with_defaults(job, namespace, str(uuid.uuid4()), manager)
        if dry_run:
            return stored
        kept = self._keep("ADDED", stored)
        self.created.append(copy.deepcopy(kept))
        return kept

    def get(self, namespace: str, name: str) -> Json:
        """The Job as it is.

        Raises:
            RefusedError: 404, there is none of that name.
        """
        job = self._jobs.get((namespace, name))
        if job is None:
            raise not_found(name)
        return copy.deepcopy(job)

    def find(self, namespace: str, name: str, uid: str) -> Json | None:
        """The Job as it is, if it is still the one with this uid."""
        job = self._jobs.get((namespace, name))
        return copy.deepcopy(job) if job is not None and job["metadata"]["uid"] == uid else None

    def all(self, selected: Selector) -> list[Json]:
        """The selected Jobs, in the order of their keys."""
        return [copy.deepcopy(job) for _, job in sorted(self._jobs.items()) if selected(job)]

    def change(self, namespace: str, name: str, uid: str, edit: Callable[[Json], None]) -> Json | None:
        """Edit a Job in one step; nothing happens when the one with this uid is gone."""
        job = self.find(namespace, name, uid)
        if job is None:
            return None
        edit(job)
        if job == self._jobs[namespace, name]:
            return job
        return self._keep("MODIFIED", job)

    def mark_deleted(self, namespace: str, name: str, *, finalizer: str, uid: str | None) -> Json:
        """Note that the Job is to go once its finalizer is done; until then it is there, and its name taken.

        Raises:
            RefusedError: there is none, or it has another uid than the wanted one.
        """
        job = self._wanted(namespace, name, uid)
        if "deletionTimestamp" in job["metadata"]:
            return job

        def edit(job: Json) -> None:
            job["metadata"] |= {
                "deletionTimestamp": moment(),
                "deletionGracePeriodSeconds": 0,
                "finalizers": [finalizer],
                "generation": job["metadata"]["generation"] + 1,
            }

        edited = self.change(namespace, name, job["metadata"]["uid"], edit)
        assert edited is not None
        return edited

    def remove(self, namespace: str, name: str, uid: str | None) -> Json:
        """Take a Job out at once, and free its name.

        Raises:
            RefusedError: there is none, or it has another uid than the wanted one.
        """
        self._wanted(namespace, name, uid)
        return self._keep("DELETED", self._jobs.pop((namespace, name)))

    def since(self, version: int) -> list[Change]:
        """The changes after a version, oldest first; for a watch that is open, `compact` takes none away."""
        return [change for change in self._history if change.version > version]

    def check_known(self, version: int) -> None:
        """Refuse to begin a watch at a version whose history is forgotten.

        Raises:
            RefusedError: 410, with the reason Expired.
        """
        if version < self.compacted:
            raise expired(f"too old resource version: {version} ({self.compacted})")

    def compact(self) -> None:
        """Forget all history: a watch can only begin at a version that is read after this."""
        self.version += _STEP
        self.compacted = self.version

    @property
    def changed(self) -> asyncio.Event:
        """Set at the next change; take it before you look at the store."""
        return self._changed

    def _wanted(self, namespace: str, name: str, uid: str | None) -> Json:
        job = self.get(namespace, name)
        if uid is not None and job["metadata"]["uid"] != uid:
            raise precondition_failed(name, uid, job["metadata"]["uid"])
        return job

    def _keep(self, kind: ChangeKind, job: Json) -> Json:
        self.version += _STEP
        kept = copy.deepcopy(job)
        kept["metadata"]["resourceVersion"] = str(self.version)
        if kind != "DELETED":
            self._jobs[kept["metadata"]["namespace"], kept["metadata"]["name"]] = kept
        self._history.append(Change(self.version, kind, copy.deepcopy(kept)))
        self._wake()
        return copy.deepcopy(kept)

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()
