"""What every Job has in common, and by what each is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from globeco_allocation.domain.accounting_run import RunOrder

PREFIX = "globeco-allocation/"
"""Of our own labels and annotations."""

LANE, LANES = f"{PREFIX}lane", f"{PREFIX}lanes"
"""The labels of a Job's lane, and of how many there are beside it."""

OURS = {
    "app.kubernetes.io/managed-by": "globeco-allocation-service",
    "app.kubernetes.io/component": "accounting-cli",
}
"""The labels by which all our Jobs are listed."""

_SERVER_VARIABLES = ("GLOBECO_PA_SERVER_HOST", "GLOBECO_PA_SERVER_PORT")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTemplate:
    """The part of a Job that does not depend on the order.

    Attributes:
        image: Of the accounting CLI; its entry point is the program.
        claim: The persistent volume claim with the transaction files: our output directory.
        timeout_seconds: How long a Job may be active before Kubernetes ends it (``activeDeadlineSeconds``).
        service_account: The namespace's default one if empty. Its token is not mounted.
        mount_path: Where the claim is mounted for the CLI.
        run_as_user: The user id of the CLI. Its image names its user (1001), and of a name the kubelet cannot
            tell whether it is root: without a number it starts nothing. None leaves it to the image.
        fs_group: A group that the CLI shares with us, so that it can write beside our files.
        grace_seconds: How long the CLI has to end by itself when it is told to.
        requests: What is reserved for a run, by resource.
        limits: What a run may use at most, by resource.
        variables: The CLI's environment, see `server_variables`.
    """

    image: str
    claim: str
    timeout_seconds: int
    service_account: str = ""
    mount_path: str = "/data"
    run_as_user: int | None = 1001
    fs_group: int | None = None
    grace_seconds: int = 30
    requests: Mapping[str, str] = field(default_factory=lambda: {"cpu": "100m", "memory": "64Mi"})
    limits: Mapping[str, str] = field(default_factory=lambda: {"cpu": "1", "memory": "256Mi"})
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def pod_seconds(self) -> int:
        """How long a pod may run even if its Job was deleted without it; later than the Job's own end."""
        return self.timeout_seconds + 2 * self.grace_seconds

    def arguments(self, file_name: str) -> list[str]:
        """Return the CLI's arguments: a verdict for every row, and the input file stays."""
        file = f"{self.mount_path}/{file_name}"
        options = ["--output-dir", self.mount_path, "--batch-size", "1", "--skip-sort"]
        return ["process", "--file", file, *options]


def server_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what tells the CLI where Portfolio Accounting is, as far as *environment* does.

    >>> server_variables({"GLOBECO_PA_SERVER_HOST": "accounting", "DB_PASSWORD": "x"})
    {'GLOBECO_PA_SERVER_HOST': 'accounting'}
    """
    return {name: environment[name] for name in _SERVER_VARIABLES if environment.get(name)}


def labels(order: RunOrder) -> dict[str, str]:
    """Return the labels by which an order's Job is known to be that order's.

    >>> labels(RunOrder(batch_id=7, attempt=2, file_name="f.csv"))["globeco-allocation/attempt"]
    '2'
    """
    return {
        "app.kubernetes.io/name": "globeco-allocation",
        **OURS,
        f"{PREFIX}batch": str(order.batch_id),
        LANE: str(order.lane),
        LANES: str(order.lane_count),
        f"{PREFIX}part": str(order.part),
        f"{PREFIX}attempt": str(order.attempt),
    }


def annotations(order: RunOrder) -> dict[str, str]:
    """Return what a Job tells people; none of it counts when a Job is found again."""
    told = {f"{PREFIX}file": order.file_name}
    if order.correlation_id:
        told[f"{PREFIX}correlation-id"] = order.correlation_id
    if order.trace.parent:
        told[f"{PREFIX}traceparent"] = order.trace.parent
    return told


def belongs_to(order: RunOrder, found: Mapping[str, str]) -> bool:
    """Tell by its labels whether a Job that has the order's name is the order's."""
    return labels(order).items() <= found.items()


def is_later_attempt(order: RunOrder, name: str) -> bool:
    """Tell by its name whether a Job is a later attempt at the order's file: the order's own is over then.

    >>> order = RunOrder(batch_id=7, attempt=2, file_name="transactions_20260302_150000_7.csv")
    >>> is_later_attempt(order, "allocation-20260302-150000-7-a10")
    True
    >>> is_later_attempt(order, order.name)
    False
    """
    of_file, _, _ = order.name.rpartition("-a")
    found_file, _, attempt = name.rpartition("-a")
    return found_file == of_file and attempt.isdecimal() and int(attempt) > order.attempt


def may_touch_the_same(order: RunOrder, found: Mapping[str, str]) -> bool:
    """Tell by its labels whether one of our Jobs could touch a portfolio of the order's file.

    Lanes of one count share no portfolio; lanes of different counts may. What has lost its labels may, too.
    """
    if found.get(LANES) != str(order.lane_count):
        return True
    lane = found.get(LANE, "")
    return not lane.isdecimal() or int(lane) == order.lane
