"""CLI_COMMAND is split once and filled in argument by argument."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from globeco_allocation.adapters.subprocess_cli import CommandTemplate
from globeco_allocation.adapters.subprocess_cli.command import Values
from globeco_allocation.adapters.subprocess_cli.container import ContainerWords
from globeco_allocation.adapters.subprocess_cli.environment import child_environment

VALUES = Values(filename="t.csv", output_dir="/data", home="/home/us", run="allocation-t-a1")
NAMED = ("--name", "{run}", "--label", "globeco.allocation.run={run}")


def argv(text: str, **changes: str) -> list[str]:
    return CommandTemplate.parse(text).argv(replace(VALUES, **changes))


def container(text: str) -> ContainerWords:
    words = CommandTemplate.parse(text).container(VALUES)
    assert words is not None
    return words


def test_fields_are_filled_in_wherever_they_stand() -> None:
    arguments = argv("cli --file={output_dir}/{filename} -v {home}/x:/y --tag {run}")

    assert arguments == ["cli", "--file=/data/t.csv", "-v", "/home/us/x:/y", "--tag", "allocation-t-a1"]


def test_a_value_with_blanks_quotes_and_braces_stays_one_argument() -> None:
    arguments = argv("cli {output_dir}/{filename}", output_dir="/a b/$(date) 'q' {home}")

    assert arguments == ["cli", "/a b/$(date) 'q' {home}/t.csv"]


def test_quoted_words_of_the_template_stay_together() -> None:
    assert argv("""cli "a b" 'c {filename}' d\\ e""") == ["cli", "a b", "c t.csv", "d e"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names no program"),
        ("   ", "names no program"),
        ("'' {filename}", "names no program"),
        ("cli 'open {filename}", "cannot be split into words: no closing quotation"),
        ("cli {filename} \\", "cannot be split into words: no escaped character"),
        ("cli {file}", r"holds \{file\}; known are"),
        ("cli {filename} {}", r"holds \{\}; known are"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        CommandTemplate.parse(text)


def test_braces_around_something_else_are_left_alone() -> None:
    assert argv("cli --format '{{.Name}}' '{\"a\":1}' {filename}")[1:4] == [
        "--format",
        "{{.Name}}",
        '{"a":1}',
    ]


def test_a_template_without_the_file_is_a_fault_only_where_it_is_used() -> None:
    template = CommandTemplate.parse("kubectl apply")

    with pytest.raises(ValueError, match=r"must hold \{filename\}"):
        template.require_filename()


def test_a_relative_program_is_looked_up_from_the_services_own_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cli").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)

    assert argv("bin/cli {filename}")[0] == str(tmp_path / "bin" / "cli")
    assert argv("./bin/cli {filename}")[0] == str(tmp_path / "bin" / "cli")
    assert argv("bin/absent {filename}")[0] == str(tmp_path / "bin" / "absent")


def test_a_bare_program_is_looked_up_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "the-cli").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert argv("the-cli {filename}")[0] == str(tmp_path / "the-cli")
    assert argv("no-such-cli {filename}")[0] == "no-such-cli"


SPECIFIED = (
    "docker run --rm -v /tmp/portfolio-files:/data --network host globeco-portfolio-cli:latest"
    " process --file /data/{filename} --output-dir /data"
)


def test_a_container_gets_the_runs_name_and_is_not_removed() -> None:
    words = argv(SPECIFIED)

    label = "globeco.allocation.run=allocation-t-a1"
    assert words[1:7] == ["run", "--name", "allocation-t-a1", "--label", label, "-v"]
    assert "--rm" not in words
    assert words[-4:] == ["--file", "/data/t.csv", "--output-dir", "/data"]


def test_a_container_named_by_its_run_keeps_that_name() -> None:
    text = "podman run --name=pa-{run} image process --file {filename}"

    assert argv(text)[-5:] == ["--name=pa-allocation-t-a1", "image", "process", "--file", "t.csv"]
    assert container(text).name == "pa-allocation-t-a1"


def test_a_container_must_not_replace_another_one_of_its_name() -> None:
    assert "--replace" not in argv("podman run --replace image process --file {filename}")


def test_only_a_container_is_asked_about() -> None:
    docker = container("docker --context far --config {home}/.docker run image --file {filename}")

    assert docker.engine[1:] == ("--context", "far", "--config", "/home/us/.docker")
    assert docker.name == "allocation-t-a1"
    assert CommandTemplate.parse("cli run {filename}").container(VALUES) is None


@pytest.mark.parametrize(
    "engine",
    [
        "sudo docker",
        "env X=1 Y=docker /usr/bin/podman",
        "sudo -u docker -n docker -D --context run -H tcp://far:2376 --tls",
    ],
)
def test_an_engine_behind_other_words_is_found(engine: str) -> None:
    text = f"{engine} run --rm -i image process --file {{filename}}"
    before = tuple(engine.split())

    assert CommandTemplate.parse(text).words == (
        *before, "run", *NAMED, "-i", "image", "process", "--file", "{filename}",
    )  # fmt: skip
    assert container(text).engine[1:] == before[1:]


@pytest.mark.parametrize("group", ["container", "compose -f compose.yaml"])
def test_a_run_in_a_group_of_commands_is_asked_about_at_its_engine(group: str) -> None:
    text = f"docker {group} run --rm image process --file {{filename}}"

    assert CommandTemplate.parse(text).words[-8:] == (*NAMED, "image", "process", "--file", "{filename}")
    assert container(text).engine[1:] == ()


@pytest.mark.parametrize("value", ["1", "t", "T", "TRUE", "true", "True"])
def test_whatever_docker_takes_for_true_counts(value: str) -> None:
    assert argv(f"docker run --rm={value} image {{filename}}")[6:] == ["image", "t.csv"]
    for option in (f"--detach={value}", f"-d={value}", f"-td={value}"):
        with pytest.raises(ValueError, match="must not detach"):
            CommandTemplate.parse(f"docker run {option} image {{filename}}")


def test_options_set_to_false_are_left_alone() -> None:
    words = argv("docker run --rm=false --detach=false -td=0 image {filename}")

    assert words[6:] == ["--rm=false", "--detach=false", "-td=0", "image", "t.csv"]


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--init -it --network host -v /a:/b -eX=1",
        "--entrypoint cli --memory-swap -1 -ti -w /data",
        "--read-only --",
    ],
)
def test_what_follows_the_image_belongs_to_the_program_inside(options: str) -> None:
    inside = ["image", "process", "-d", "--rm", "--name", "accounting", "--detach", "--file", "{filename}"]
    template = CommandTemplate.parse(" ".join(["docker run", options, *inside]))

    assert template.words == ("docker", "run", *NAMED, *options.split(), *inside)


def test_an_option_after_the_mounted_file_counts() -> None:
    with pytest.raises(ValueError, match="must not detach"):
        CommandTemplate.parse("docker run -v {output_dir}/{filename}:/t.csv -d image process --file /t.csv")


@pytest.mark.parametrize(
    "options",
    [
        "-d",
        "--detach",
        "-id",
        "--detach=true",
        "-dv/a:/b",
        "--network host -d",
        "--rm -d",
        "--of-tomorrow -d",
    ],
)
def test_a_container_must_not_be_left_to_itself(options: str) -> None:
    with pytest.raises(ValueError, match="must not detach"):
        CommandTemplate.parse(f"docker run {options} image --file {{filename}}")


@pytest.mark.parametrize("name", ["--name accounting", "--name=accounting", "--name={run} --name accounting"])
def test_no_two_containers_may_share_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="no two runs may share a name"):
        CommandTemplate.parse(f"docker run {name} image --file {{filename}}")


def test_the_cli_inherits_neither_settings_nor_secrets() -> None:
    ours = {
        "DB_HOST": "db",
        "DB_PASSWORD": "x",
        "DATABASE_URL": "postgres://u:p@db",
        "PGPASSWORD": "x",
        "TRADE_SERVICE_URL": "http://trade",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=x",
        "CLI_COMMAND": "cli",
        "PORT": "8089",
        "AWS_SECRET_ACCESS_KEY": "x",
        "GITHUB_TOKEN": "x",
        "some_password": "x",
        "OPENAI_API_KEY": "x",
    }
    theirs = {
        "PATH": "/bin",
        "HOME": "/home/us",
        "TZ": "UTC",
        "DOCKER_HOST": "unix:///run/docker.sock",
        "GLOBECO_PA_SERVER_HOST": "accounting",
        "GLOBECO_PA_API_TOKEN": "theirs",
        "SIMULATED_ACCOUNTING_FAULT": "",
    }

    assert child_environment(ours | theirs) == theirs


def test_the_environment_is_a_copy() -> None:
    child_environment(os.environ)["PATH"] = "changed"

    assert os.environ["PATH"] != "changed"
