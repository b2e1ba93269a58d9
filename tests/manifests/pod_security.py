"""The Pod Security Standard "restricted" of Kubernetes 1.33, as its documentation states it."""

from collections.abc import Iterator
from typing import Any

from tests.kubernetes.objects import Json, part, parts

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
_SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_SECCOMP = {"RuntimeDefault", "Localhost"}
_APPARMOR = {None, "RuntimeDefault", "Localhost"}
_HANDLERS = [("livenessProbe",), ("readinessProbe",), ("startupProbe",)]
_HOOKS = [("lifecycle", "postStart"), ("lifecycle", "preStop")]


def violations(spec: Json) -> list[str]:
    """Return what the standard has against a pod's spec; empty when nothing."""
    return [
        *_of_pod(spec),
        *(f"{one.get('name')}: {why}" for one in _containers(spec) for why in _of_one(one, spec)),
    ]


def _containers(spec: Json) -> list[Json]:
    return [
        one for kind in ("initContainers", "containers", "ephemeralContainers") for one in parts(spec, kind)
    ]


def _of_pod(spec: Json) -> Iterator[str]:
    context = part(spec, "securityContext")
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield field
    for volume in parts(spec, "volumes"):
        if kinds := volume.keys() - {"name"} - _VOLUMES:
            yield f"volume {volume['name']} of kind {', '.join(sorted(kinds))}"
    for sysctl in parts(context, "sysctls"):
        if sysctl["name"] not in _SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    yield from _of_context(context)


def _of_one(container: Json, spec: Json) -> Iterator[str]:
    own = part(container, "securityContext")
    both = part(spec, "securityContext") | own
    yield from _of_context(own)
    yield from _of_rights(own)
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if part(both, "seccompProfile").get("type") not in _SECCOMP:
        yield "no seccomp profile"
    if any(one.get("hostPort") for one in parts(container, "ports")):
        yield "a port of the host"
    for path in (*_HANDLERS, *_HOOKS):
        for action in ("httpGet", "tcpSocket"):
            if part(container, *path, action).get("host"):
                yield f"a host in {'.'.join(path)}"


def _of_rights(own: Json) -> Iterator[str]:
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    dropped: list[Any] = parts(own, "capabilities", "drop")
    if "ALL" not in dropped:
        yield "not all capabilities are dropped"
    added: list[Any] = parts(own, "capabilities", "add")
    if set(added) - {"NET_BIND_SERVICE"}:
        yield "capabilities are added"
    if own.get("procMount") not in {None, "Default"}:
        yield "procMount"


def _of_context(context: Json) -> Iterator[str]:
    """Look at what both a pod and a container may say."""
    if context.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot is false"
    if part(context, "windowsOptions").get("hostProcess"):
        yield "hostProcess"
    if part(context, "seccompProfile").get("type") not in {None, *_SECCOMP}:
        yield "seccomp is unconfined"
    if part(context, "appArmorProfile").get("type") not in _APPARMOR:
        yield "AppArmor is unconfined"
    selinux = part(context, "seLinuxOptions")
    if selinux.get("type") not in _SELINUX or selinux.get("user") or selinux.get("role"):
        yield "SELinux options"
