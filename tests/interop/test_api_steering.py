"""Real clients steer containers that are there, look at what they use, and copy their files."""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
from pathlib import Path

import docker
import pytest

from tests.support.api import Daemon


def test_the_command_pauses_restarts_renames_updates_and_prunes(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    assert daemon.docker("pause", "one").stdout == "one\n"
    assert "(Paused)" in daemon.docker("ps", "--format", "{{.Status}}").stdout
    assert daemon.docker("pause", "one").stderr.startswith("Error response from daemon: ")
    assert daemon.docker("unpause", "one").returncode == 0
    before = daemon.docker("inspect", "-f", "{{.State.Pid}}", "one").stdout
    assert daemon.docker("restart", "-t", "0", "one").returncode == 0
    assert daemon.docker("inspect", "-f", "{{.State.Pid}}", "one").stdout != before
    assert not daemon.docker("inspect", "-f", "{{.State.FinishedAt}}", "one").stdout.startswith("0001")
    assert daemon.docker("rename", "one", "two").returncode == 0
    assert daemon.docker("update", "--memory", "64m", "--memory-swap", "64m", "two").returncode == 0
    assert daemon.docker("inspect", "-f", "{{.HostConfig.Memory}}", "two").stdout == "67108864\n"
    titles, *rows = daemon.docker("top", "two").stdout.splitlines()
    assert titles.split()[1] == "PID" and len(rows) == 1 and "sleep 1000" in rows[0]
    assert daemon.docker("top", "two", "-o", "pid,comm").stdout.splitlines()[1].split()[1] == "sleep"
    assert daemon.docker("container", "prune", "-f").stdout == "Total reclaimed space: 0B\n"
    daemon.docker("rm", "-f", "two")
    kept = daemon.docker("create", "busybox").stdout.strip()
    assert daemon.docker("container", "prune", "-f", "--filter", "until=1h").stdout == "Total reclaimed space: 0B\n"
    assert kept in daemon.docker("container", "prune", "-f").stdout
    assert daemon.docker("ps", "-aq").stdout == ""


def test_stats_are_those_of_the_kernel(daemon: Daemon, client: docker.DockerClient) -> None:
    busy = "while :; do :; done"
    container = client.containers.run("busybox", ["sh", "-c", busy], detach=True, name="one", mem_limit="64m")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        row = daemon.docker("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}").stdout
        name, used, memory, _, limit, pids = row.split()
        if float(used.rstrip("%")) > 5:
            break
    assert name == "one" and 5 < float(used.rstrip("%")) < 150, row
    assert limit == "64MiB" and pids == "1" and not memory.startswith("0"), row
    looks = container.stats(decode=True, stream=True)
    first, second = next(looks), next(looks)
    assert first["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert second["precpu_stats"]["cpu_usage"] == first["cpu_stats"]["cpu_usage"]
    assert second["cpu_stats"]["cpu_usage"]["total_usage"] > first["cpu_stats"]["cpu_usage"]["total_usage"]
    assert second["memory_stats"]["limit"] == 64 << 20 and second["networks"]["eth0"]["tx_packets"] >= 0
    looks.close()
    began = time.monotonic()
    assert client.api.stats("one", stream=False, one_shot=True)["name"] == "/one"
    assert time.monotonic() - began < 1
    container.kill()
    container.wait()
    assert client.api.stats("one", stream=False)["memory_stats"] == {}


def test_files_are_copied_in_and_out_exported_compared_and_committed(daemon: Daemon, tmp_path: Path) -> None:
    daemon.docker("run", "-d", "--name", "one", "busybox", "sh", "-c", "echo made >/made; rm /bin/true; sleep 1000")
    (tmp_path / "in").write_text("from outside")
    assert daemon.docker("cp", str(tmp_path / "in"), "one:/tmp/there").returncode == 0
    assert daemon.docker("exec", "one", "cat", "/tmp/there").stdout == "from outside"
    assert daemon.docker("cp", "one:/made", str(tmp_path / "out")).returncode == 0
    assert (tmp_path / "out").read_text() == "made\n"
    missing = daemon.docker("cp", "one:/nosuch", str(tmp_path))
    assert missing.stderr == "Error response from daemon: Could not find the file /nosuch in container one\n"
    changed = daemon.docker("diff", "one").stdout.splitlines()
    assert {"A /made", "D /bin/true", "A /tmp/there"} <= set(changed)
    exported = subprocess.run(["docker", "export", "one"], env=daemon.environment, stdout=subprocess.PIPE)
    with tarfile.open(fileobj=io.BytesIO(exported.stdout)) as tar:
        assert tar.extractfile("made").read() == b"made\n"  # type: ignore[union-attr]
    image = daemon.docker("commit", "-m", "why", "-a", "me", "-c", 'CMD ["cat", "/made"]', "one", "mine:1").stdout
    assert image.startswith("sha256:")
    assert daemon.docker("run", "--rm", "mine:1").stdout == "made\n"
    assert daemon.docker("history", "--format", "{{.Comment}}", "mine:1").stdout.splitlines()[0] == "why"


def test_docker_py_puts_and_gets_archives_and_commits_with_a_configuration(client: docker.DockerClient) -> None:
    container = client.containers.create("busybox", ["cat", "/sent"])
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        entry = tarfile.TarInfo("sent")
        entry.size = 1 << 20
        tar.addfile(entry, io.BytesIO(b"x" * entry.size))
    assert container.put_archive("/", held.getvalue())
    pieces, facts = container.get_archive("/sent")
    assert (facts["name"], facts["size"], facts["linkTarget"]) == ("sent", 1 << 20, "")
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        assert tar.getnames() == ["sent"]
    with pytest.raises(docker.errors.NotFound):
        container.put_archive("/nosuch", held.getvalue())
    with pytest.raises(docker.errors.APIError) as caught:
        container.put_archive("/", b"no tar at all" * 100)
    assert caught.value.status_code in (400, 500)
    image = container.commit("mine", "2", conf={"Labels": {"a": "b"}, "Env": ["X=1"]})
    assert image.labels == {"a": "b"} and "X=1" in image.attrs["Config"]["Env"]
    assert image.attrs["Config"]["Cmd"] == ["cat", "/sent"]
    assert container.diff() == [{"Path": "/sent", "Kind": 1}]


def test_containers_that_should_be_up_are_started_with_the_daemon(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "one", "--restart", "always", "busybox", "sleep", "1000")
    daemon.docker("stop", "-t", "0", "one")
    daemon.stop()
    daemon.start()
    deadline = time.monotonic() + 20
    while daemon.docker("ps", "-q").stdout == "" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert daemon.docker("ps", "--format", "{{.Names}}").stdout == "one\n"


def test_inspect_names_the_execs_by_their_whole_ids(client: docker.DockerClient) -> None:
    container = client.containers.run("busybox", ["sleep", "1000"], detach=True)
    made = client.api.exec_create(container.id, ["sleep", "1000"])["Id"]
    client.api.exec_start(made, detach=True)
    container.reload()
    assert container.attrs["ExecIDs"] == [made]
