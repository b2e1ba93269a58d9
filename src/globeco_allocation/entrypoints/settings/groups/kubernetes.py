"""The accounting CLI as Kubernetes Jobs."""

from dataclasses import dataclass

from globeco_allocation.entrypoints.runner_kinds import group, image, jobs_switch, namespace, object_name
from globeco_allocation.entrypoints.settings.setting import setting, whole_number


@dataclass(frozen=True, kw_only=True)
class KubernetesSettings:
    """How the accounting CLI is run in the cluster."""

    kubernetes_batch_enabled: bool = setting(
        "KUBERNETES_BATCH_ENABLED",
        "false",
        jobs_switch(),
        "Whether the accounting CLI runs as Kubernetes Jobs; `CLI_COMMAND` does not count then",
    )
    kubernetes_batch_namespace: str = setting(
        "KUBERNETES_BATCH_NAMESPACE",
        "default",
        namespace(),
        "Where the Jobs run",
    )
    kubernetes_batch_cli_image: str = setting(
        "KUBERNETES_BATCH_CLI_IMAGE",
        "kasbench/globeco-portfolio-accounting-service-cli:latest",
        image(),
        "The accounting CLI's image",
    )
    kubernetes_batch_job_timeout_seconds: int = setting(
        "KUBERNETES_BATCH_JOB_TIMEOUT_SECONDS",
        "1800",
        whole_number(1, 604_800),
        "A Job is ended past this",
        unit="seconds",
    )
    kubernetes_batch_service_account_name: str = setting(
        "KUBERNETES_BATCH_SERVICE_ACCOUNT_NAME",
        "",
        object_name("service account"),
        "Of the Jobs; the namespace's default one if empty",
    )
    kubernetes_batch_nfs_pvc_name: str = setting(
        "KUBERNETES_BATCH_NFS_PVC_NAME",
        "globeco-efs-pvc",
        object_name("volume claim"),
        "The claim behind `OUTPUT_DIR`, mounted into the Jobs at /data",
    )
    kubernetes_batch_fs_group: int | None = setting(
        "KUBERNETES_BATCH_FS_GROUP",
        "",
        group(),
        "The Jobs' `fsGroup`, by which the CLI writes beside our files: the pod's own; none if empty",
    )
