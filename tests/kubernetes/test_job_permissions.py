"""The service may do with the Kubernetes API what its runner of Jobs does, and nothing else."""

import asyncio
from dataclasses import replace

import pytest
from tests.kubernetes.job_runs import JobRuns, Permit, order_of
from tests.manifests.installations import ALL, SERVICE, installation

from globeco_allocation.domain.accounting_run import AccountingRun

SUCCEEDED = AccountingRun(0, None)


def permitted() -> set[str]:
    (role,) = installation("production").all("Role")
    (rule,) = role["rules"]
    assert (rule["apiGroups"], rule["resources"]) == (["batch"], ["jobs"])
    assert rule.keys() == {"apiGroups", "resources", "verbs"}
    return set(rule["verbs"])


async def live(runs: JobRuns) -> None:
    """Have the runner do all that it ever does."""
    order, successor = order_of(7), order_of(8)
    async with runs.runner() as cli:
        await cli.check()
    async with runs.running(order):  # and its owner is gone
        permit = Permit()
        following = asyncio.ensure_future(runs.run(replace(order, uid=runs.uid(order.name)), permit))
        waiting = asyncio.ensure_future(runs.run(successor))  # of the same lane
        await runs.kubernetes.cluster.until(lambda: len(runs.kubernetes.watches.open) > 2)
        runs.kubernetes.expire()
        await runs.kubernetes.cluster.until(lambda: len(runs.kubernetes.watches.open) > 2)
        runs.kubernetes.cluster.succeed(order.name)
        assert await following == SUCCEEDED
        runs.succeeds_when_ready(successor)
        assert await waiting == SUCCEEDED
    runs.kubernetes.cluster.delete("globeco", order.name, "Background")
    deleted = await runs.run(replace(order, uid="the-one-that-is-gone"))
    assert deleted.exit_code is None
    runs.kubernetes.assert_one_job_an_attempt()


async def test_the_role_holds_what_the_runner_asks_for_and_nothing_else(runs: JobRuns) -> None:
    await live(runs)

    assert set(runs.verbs()) == permitted()


async def test_with_the_role_s_rights_alone_everything_works(runs: JobRuns) -> None:
    runs.kubernetes.permitted = permitted()
    await live(runs)

    assert {403} & {request.status for request in runs.kubernetes.requests} == set()


def test_the_rights_are_the_chart_s_or_less() -> None:
    assert permitted() <= {"create", "get", "list", "watch", "delete"}


@pytest.mark.parametrize("name", ALL)
def test_the_role_is_the_service_s_alone_and_there_is_no_other(name: str) -> None:
    found = installation(name)
    bindings = found.all("RoleBinding")

    assert len(found.all("Role")) == len(bindings) == (0 if name in {"base", "dev"} else 1)
    assert found.all("ClusterRole") == found.all("ClusterRoleBinding") == []
    for binding in bindings:
        (role,) = found.all("Role")
        (subject,) = binding["subjects"]
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert subject["name"] == found.service_pod.spec["serviceAccountName"] == SERVICE
        assert subject["namespace"] == binding["metadata"]["namespace"]
