"""An order as a Kubernetes Job."""

from lightkube.models.batch_v1 import JobSpec
from lightkube.models.core_v1 import (
    Capabilities,
    Container,
    EnvVar,
    PersistentVolumeClaimVolumeSource,
    PodSecurityContext,
    PodSpec,
    PodTemplateSpec,
    ResourceRequirements,
    SeccompProfile,
    SecurityContext,
    Volume,
    VolumeMount,
)
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.batch_v1 import Job

from globeco_allocation.adapters.kubernetes_job.template import JobTemplate, annotations, labels
from globeco_allocation.domain.accounting_run import RunOrder

KEPT_SECONDS = 24 * 60 * 60
"""How long a finished Job stays: longer than any owner of an attempt sleeps (design, "Lanes")."""

_VOLUME = "transactions"


def job(order: RunOrder, template: JobTemplate) -> Job:
    """Return the Job of an attempt: one pod, never replaced, for the next attempt is ours to decide."""
    return Job(
        metadata=ObjectMeta(name=order.name, labels=labels(order), annotations=annotations(order)),
        spec=JobSpec(
            backoffLimit=0,
            activeDeadlineSeconds=template.timeout_seconds,
            podReplacementPolicy="Failed",
            ttlSecondsAfterFinished=KEPT_SECONDS,
            template=PodTemplateSpec(
                metadata=ObjectMeta(labels=labels(order), annotations=annotations(order)),
                spec=_pod(order, template),
            ),
        ),
    )


def _pod(order: RunOrder, template: JobTemplate) -> PodSpec:
    claim = PersistentVolumeClaimVolumeSource(claimName=template.claim)
    return PodSpec(
        restartPolicy="Never",
        activeDeadlineSeconds=template.pod_seconds,
        terminationGracePeriodSeconds=template.grace_seconds,
        serviceAccountName=template.service_account or None,
        automountServiceAccountToken=False,
        enableServiceLinks=False,  # such as GLOBECO_PA_SERVER_PORT=tcp://..., which the CLI would read
        securityContext=PodSecurityContext(
            runAsNonRoot=True,
            runAsUser=template.run_as_user,
            fsGroup=template.fs_group,
            # Else the whole claim, which every pod mounts, would be walked through at each start.
            fsGroupChangePolicy=None if template.fs_group is None else "OnRootMismatch",
            seccompProfile=SeccompProfile(type="RuntimeDefault"),
        ),
        containers=[_container(order, template)],
        volumes=[Volume(name=_VOLUME, persistentVolumeClaim=claim)],
    )


def _container(order: RunOrder, template: JobTemplate) -> Container:
    variables = {**template.variables, **order.trace.variables()}
    return Container(
        name="accounting-cli",
        image=template.image,
        args=template.arguments(order.file_name),
        env=[EnvVar(name=name, value=value) for name, value in variables.items()],
        resources=ResourceRequirements(requests=dict(template.requests), limits=dict(template.limits)),
        securityContext=SecurityContext(
            allowPrivilegeEscalation=False,
            readOnlyRootFilesystem=True,  # the CLI writes to its output directory alone
            capabilities=Capabilities(drop=["ALL"]),
        ),
        volumeMounts=[VolumeMount(name=_VOLUME, mountPath=template.mount_path)],
    )
