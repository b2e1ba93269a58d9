"""The accounting CLI as Kubernetes Jobs, one for each attempt; lightkube is loaded at its opening only."""

from globeco_allocation.adapters.kubernetes_job.cli import KubernetesJobCli
from globeco_allocation.adapters.kubernetes_job.patience import Patience
from globeco_allocation.adapters.kubernetes_job.template import JobTemplate

__all__ = ["JobTemplate", "KubernetesJobCli", "Patience"]
