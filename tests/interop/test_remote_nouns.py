"""Networks, volumes and registries by way of a daemon, minidock's and Docker's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.interop.test_remote_daemons import Remote, loaded, remote
from tests.support import registry as registries
from tests.support.api import serving
from tests.support.instance import Minidock

__all__ = ["loaded", "remote"]


def test_containers_on_a_network_find_each_other_by_name(remote: Remote) -> None:
    made = remote("network", "create", "--subnet", "10.213.7.0/24", "--label", "a=b", "lab")
    assert len(made.stdout.strip()) == 64, made.stderr
    assert (
        remote("network", "ls", "--filter", "label=a=b", "--format", "{{.Name}} {{.Driver}}").stdout == "lab bridge\n"
    )
    subnet = "{{range .IPAM.Config}}{{.Subnet}}{{end}}"
    assert remote("network", "inspect", "-f", subnet, "lab").stdout == "10.213.7.0/24\n"
    remote("run", "-d", "--name", "one", "--network", "lab", "--network-alias", "uno", "busybox", "sleep", "1000")
    asked = remote("run", "--rm", "--network", "lab", "busybox", "ping", "-c", "1", "uno")
    assert asked.returncode == 0, asked
    refused = remote("network", "rm", "lab")
    assert refused.returncode == 1 and "has active endpoints" in refused.stderr
    assert remote("network", "disconnect", "lab", "one").returncode == 0
    assert remote("network", "connect", "--ip", "10.213.7.77", "lab", "one").returncode == 0
    address = "{{.NetworkSettings.Networks.lab.IPAddress}}"
    assert remote("inspect", "-f", address, "one").stdout == "10.213.7.77\n"
    remote("rm", "-f", "one")
    assert remote("network", "rm", "lab").stdout == "lab\n"
    gone = remote("network", "inspect", "lab")
    assert gone.returncode == 1 and "network lab not found" in gone.stderr.lower()


def test_a_volume_keeps_what_was_written(remote: Remote) -> None:
    assert remote("volume", "create", "--label", "a=b", "kept").stdout == "kept\n"
    remote("run", "--rm", "-v", "kept:/data", "busybox", "sh", "-c", "echo text >/data/file")
    assert remote("run", "--rm", "-v", "kept:/data", "busybox", "cat", "/data/file").stdout == "text\n"
    assert remote("volume", "ls", "-q", "--filter", "label=a=b").stdout == "kept\n"
    assert remote("volume", "inspect", "-f", "{{.Name}} {{.Labels.a}}", "kept").stdout == "kept b\n"
    assert remote("volume", "rm", "kept").stdout == "kept\n"
    gone = remote("volume", "rm", "kept")
    assert gone.returncode == 1 and "no such volume" in gone.stderr.lower()


def test_a_daemon_pulls_and_pushes_with_what_is_kept_here(
    minidock: Minidock, busybox_image: Path, tmp_path: Path
) -> None:
    guarded = registries.Registry(tmp_path / "guarded")
    guarded.start(auth=guarded.basic_auth())
    minidock("load", "-i", str(busybox_image), check=True)
    name = f"{guarded.address}/box:1"
    try:
        with serving(minidock) as daemon:
            client = Remote(daemon.url, tmp_path / "config")
            client("tag", "busybox", name)
            assert client("push", name).returncode == 1
            wrong = client("login", "-u", "bob", "--password-stdin", guarded.address, input="wrong")
            assert wrong.returncode == 1 and not (tmp_path / "config/config.json").exists()
            right = client("login", "-u", "bob", "--password-stdin", guarded.address, input="secret")
            assert right.stdout.endswith("Login Succeeded\n"), right.stderr
            pushed = client("push", name)
            assert "1: digest: sha256:" in pushed.stdout, pushed
            client("rmi", name)
            pulled = client("pull", name)
            assert f"Status: Downloaded newer image for {name}\n{name}\n" in pulled.stdout, pulled
            client("rmi", name)
            ran = client("run", "--rm", name, "echo", "from afar")
            assert ran.stdout == "from afar\n" and f"Unable to find image '{name}' locally" in ran.stderr, (
                ran.stdout,
                ran.stderr,
            )
            assert client("logout", guarded.address).returncode == 0
            assert client("pull", name).returncode == 1
    finally:
        guarded.stop()


FAILING = "#!/bin/sh\necho 'ssh: Could not resolve hostname nohost' >&2\nexit 255\n"


def test_an_ssh_that_fails_says_why_and_we_say_what_for(tmp_path: Path) -> None:
    (tmp_path / "ssh").write_text(FAILING)
    (tmp_path / "ssh").chmod(0o755)
    client = Remote("ssh://nohost", tmp_path / "config")
    client.environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    result = client("ps")
    assert result.returncode == 1 and sorted(result.stderr.splitlines()) == [
        "Cannot connect to the Docker daemon at ssh://nohost. Is the docker daemon running?",
        "ssh: Could not resolve hostname nohost",
    ]


@pytest.mark.parametrize("words", [["-H", "tcp://a", "-c", "b", "ps"], ["-H", "tcp://a", "--root", "/b", "ps"]])
def test_two_answers_to_the_question_which_one_are_refused(words: list[str], tmp_path: Path) -> None:
    client = Remote("", tmp_path)
    result = subprocess.run(
        [*client.command()[:-2], *words], capture_output=True, text=True, env=client.environment, timeout=60
    )
    assert result.returncode == 1 and "conflicting options" in result.stderr
