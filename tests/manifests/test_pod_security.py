"""Every pod, those of the accounting CLI's Jobs too, satisfies the Pod Security Standard "restricted"."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.kubernetes.objects import Json
from tests.manifests.accounting_jobs import job_of
from tests.manifests.installations import ALL, OVERLAYS, installation
from tests.manifests.pod_security import violations


@pytest.mark.parametrize("name", ALL)
def test_every_pod_is_restricted(name: str) -> None:
    for pod in installation(name).pods:
        assert violations(pod.spec) == [], pod.owner


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_jobs_that_the_service_starts_are_restricted(name: str) -> None:
    assert violations(job_of(installation(name))["spec"]["template"]["spec"]) == []


@pytest.mark.parametrize("name", ALL)
def test_no_pod_can_change_its_image_or_learn_of_its_neighbours(name: str) -> None:
    for pod in installation(name).pods:
        assert pod.spec["enableServiceLinks"] is False, pod.owner
        for container in pod.containers:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, pod.owner


@pytest.mark.parametrize("name", ALL)
def test_a_token_is_mounted_only_where_jobs_are_started(name: str) -> None:
    found = installation(name)
    starts_jobs = {
        f"Deployment {one['metadata']['name']}" for one in found.all("Deployment") if found.all("Role")
    }

    assert {pod.owner for pod in found.pods if pod.spec["automountServiceAccountToken"]} == starts_jobs
    assert not any(account["automountServiceAccountToken"] for account in found.all("ServiceAccount"))


@pytest.mark.parametrize("name", ALL)
def test_the_service_is_the_user_and_the_group_of_its_image(name: str) -> None:
    context = installation(name).service_pod.spec["securityContext"]

    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (65532, 65532, 65532)


def at(*path: str | int, value: object) -> Callable[[Json], None]:
    """Put a value into a pod's spec."""

    def put(spec: Json) -> None:
        thing: Any = spec
        for key in path[:-1]:
            thing = thing[key] if isinstance(key, int) else thing.setdefault(key, {})
        thing[path[-1]] = value

    return put


CONTAINER = ("containers", 0)
OWN = (*CONTAINER, "securityContext")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (at("hostNetwork", value=True), "hostNetwork"),
        (at("hostPID", value=True), "hostPID"),
        (at("hostIPC", value=True), "hostIPC"),
        (at("volumes", value=[{"name": "x", "hostPath": True}]), "volume x of kind hostPath"),
        (at("volumes", value=[{"name": "x", "nfs": True}]), "volume x of kind nfs"),
        (at("securityContext", "sysctls", value=[{"name": "kernel.msgmax", "value": "1"}]), "sysctl"),
        (at("securityContext", "runAsUser", value=0), "runAsUser is 0"),
        (at("securityContext", "runAsNonRoot", value=False), "runAsNonRoot is false"),
        (at("securityContext", "runAsNonRoot", value=None), "runAsNonRoot is not true"),
        (at("securityContext", "seccompProfile", value={"type": "Unconfined"}), "seccomp is unconfined"),
        (at("securityContext", "seccompProfile", value=None), "no seccomp profile"),
        (at("securityContext", "windowsOptions", value={"hostProcess": True}), "hostProcess"),
        (at("securityContext", "appArmorProfile", value={"type": "Unconfined"}), "AppArmor"),
        (at("securityContext", "seLinuxOptions", value={"type": "spc_t"}), "SELinux"),
        (at("securityContext", "seLinuxOptions", value={"user": "root"}), "SELinux"),
        (at(*OWN, "privileged", value=True), "privileged"),
        (at(*OWN, "allowPrivilegeEscalation", value=None), "allowPrivilegeEscalation"),
        (at(*OWN, "capabilities", value={"drop": ["NET_RAW"]}), "not all capabilities are dropped"),
        (at(*OWN, "capabilities", value={"drop": ["ALL"], "add": ["SYS_ADMIN"]}), "capabilities are added"),
        (at(*OWN, "procMount", value="Unmasked"), "procMount"),
        (at(*OWN, "runAsUser", value=0), "runAsUser is 0"),
        (at(*OWN, "runAsNonRoot", value=False), "runAsNonRoot is false"),
        (at(*CONTAINER, "ports", value=[{"containerPort": 1, "hostPort": 1}]), "port of the host"),
        (at(*CONTAINER, "livenessProbe", "httpGet", "host", value="10.0.0.1"), "a host in livenessProbe"),
        (
            at(*CONTAINER, "lifecycle", "preStop", "httpGet", value={"host": "x"}),
            "a host in lifecycle.preStop",
        ),
        (at("initContainers", 0, "securityContext", value=None), "migrate: not all capabilities"),
    ],
)
def test_each_of_the_standards_rules_is_looked_at(spoil: Callable[[Json], None], told: str) -> None:
    spec = copy.deepcopy(installation("production").service_pod.spec)
    spoil(spec)

    assert any(told in one for one in violations(spec))
