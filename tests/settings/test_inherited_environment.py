"""What the accounting CLI learns of our environment: nothing of our settings, no secret, all of its own."""

from hypothesis import given
from hypothesis import strategies as st

from globeco_allocation.adapters.subprocess_cli.environment import child_environment
from globeco_allocation.entrypoints.settings import declared

OURS = sorted({name for one in declared().values() for name in one.names})
CLUSTER = ["KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_PORT_443_TCP"]
LIBPQ = ["PGPASSWORD", "PGPASSFILE", "PGHOST"]
METRICS = ["PROMETHEUS_MULTIPROC_DIR"]  # a CLI in Python would count into ours
SECRETS = [
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN",
    "MYSQL_PASSWORD",
    "VENDOR_API_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
]
THEIRS = [
    "GLOBECO_PA_SERVER_HOST",
    "GLOBECO_PA_SERVER_PORT",
    "GLOBECO_PA_TOKEN",
    "SIMULATED_ACCOUNTING_LEDGER",
]
OTHERS = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "DOCKER_HOST", "HTTP_PROXY", "XDG_RUNTIME_DIR"]


def environments(names: list[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(names), st.text(max_size=8))


def any_case(names: list[str]) -> st.SearchStrategy[dict[str, str]]:
    told = st.tuples(st.sampled_from(names), st.sampled_from([str.upper, str.lower, str.title]))
    return st.dictionaries(told.map(lambda one: one[1](one[0])), st.text(max_size=8))


@given(
    kept_back=any_case([*OURS, *CLUSTER, *LIBPQ, *METRICS, *SECRETS]),
    handed_on=environments([*THEIRS, *OTHERS]),
)
def test_settings_and_secrets_are_kept_back_and_all_else_is_handed_on_as_it_is(
    kept_back: dict[str, str], handed_on: dict[str, str]
) -> None:
    assert child_environment(kept_back | handed_on) == handed_on


@given(st.dictionaries(st.text(min_size=1, max_size=12), st.text(max_size=8)))
def test_what_is_handed_on_once_is_handed_on_again(environment: dict[str, str]) -> None:
    once = child_environment(environment)

    assert once.items() <= environment.items()
    assert child_environment(once) == once


def test_each_setting_is_kept_back_by_every_name_that_it_has() -> None:
    assert child_environment(dict.fromkeys(OURS, "x")) == {}
