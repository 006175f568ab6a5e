"""Real engines run their containers with minidock-oci: dockerd, podman, containerd."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.dockerd import OCI, PATIENCE, Docker
from tests.support.instance import REPOSITORY
from tests.support.needs import require_root, require_tool, short_directory
from tests.support.tasks import kill_below

Run = Callable[..., subprocess.CompletedProcess[str]]
MINIDOCK = ("--runtime", "minidock")


@pytest.fixture
def box(docker: Docker, busybox_image: Path) -> Iterator[str]:
    """The id of a container of Docker's that minidock-oci made."""
    docker("load", "-i", str(busybox_image), check=True)
    made = docker("run", "-d", *MINIDOCK, "busybox", "sleep", "1000", check=True).stdout.strip()
    yield made
    docker("rm", "-f", made)


def test_docker_runs(docker: Docker, busybox_image: Path) -> None:
    docker("load", "-i", str(busybox_image), check=True)
    script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; id -u; exit 4"
    result = docker("run", "--rm", *MINIDOCK, "-m", "64m", "-u", "1000", "busybox", "sh", "-c", script)
    assert (result.stdout.split(), result.returncode) == (["67108864", "1000"], 4)
    assert docker("run", "--rm", *MINIDOCK, "-t", "busybox", "tty").stdout.strip() == "/dev/pts/0"
    shared = ["--pid=host", "--net=host", "--ipc=host", "--uts=host"]
    assert docker("run", "--rm", *MINIDOCK, *shared, "busybox", "hostname").stdout.strip() == os.uname().nodename
    assert docker("run", "--rm", *MINIDOCK, "--privileged", "busybox", "mount", "-t", "tmpfs", "x", "/tmp").stderr == ""


@pytest.mark.parametrize("command", ["nosuch", "/etc/passwd"])
def test_docker_tells_what_can_t_run_as_with_runc(docker: Docker, busybox_image: Path, command: str) -> None:
    docker("load", "-i", str(busybox_image), check=True)
    ours = docker("run", "--rm", *MINIDOCK, "busybox", command)
    theirs = docker("run", "--rm", "busybox", command)
    assert (ours.returncode, ours.stderr) == (theirs.returncode, theirs.stderr)


def test_docker_looks_after_a_container(docker: Docker, box: str) -> None:
    def status() -> str:
        return docker("inspect", "-f", "{{.State.Status}}", box).stdout.strip()

    inside = docker("exec", "-e", "A=b", "-w", "/tmp", box, "sh", "-c", "echo $A $PWD; exit 7")
    assert (inside.stdout, inside.returncode) == ("b /tmp\n", 7)
    assert docker("exec", "-t", box, "tty").stdout.strip() == "/dev/pts/0"
    docker("pause", box, check=True)
    assert status() == "paused"
    docker("unpause", box, check=True)
    assert "sleep 1000" in docker("top", box, check=True).stdout
    used = docker("stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", box, check=True).stdout
    assert used.startswith("1 ") and not used.startswith("1 0B")
    docker("update", "--pids-limit", "33", box, check=True)
    group = docker("exec", box, "cat", "/sys/fs/cgroup/pids/pids.max").stdout
    assert group in ("33\n", "")
    docker("stop", "-t", "1", box, check=True)
    assert status() == "exited"
    docker("start", box, check=True)
    docker("restart", "-t", "0", box, check=True)
    assert status() == "running"
    docker("kill", box, check=True)


def test_docker_s_init_and_health_check(docker: Docker, busybox_image: Path) -> None:
    """A process of Docker's own is the first, and every second one more is put in beside it."""
    docker("load", "-i", str(busybox_image), check=True)
    health = ["--health-cmd", "test -e /tmp/well", "--health-interval", "200ms", "--health-retries", "100"]
    made = docker("run", "-d", *MINIDOCK, "--init", *health, "busybox", "sleep", "1000", check=True).stdout.strip()
    first = docker("exec", made, "cat", "/proc/1/comm", check=True).stdout
    assert first in ("docker-init\n", "tini\n")
    docker("exec", made, "touch", "/tmp/well", check=True)
    deadline = time.monotonic() + PATIENCE
    while docker("inspect", "-f", "{{.State.Health.Status}}", made).stdout != "healthy\n":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    docker("rm", "-f", made, check=True)


def test_docker_publishes_a_port_by_way_of_its_prestart_hook(docker: Docker, busybox_image: Path) -> None:
    docker("load", "-i", str(busybox_image), check=True)
    serve = ["sh", "-c", "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp"]
    box = docker("run", "-d", *MINIDOCK, "-p", "127.0.0.1:18090:80", "busybox", *serve, check=True).stdout.strip()
    fetch = ["curl", "-s", "--retry", "20", "--retry-all-errors", "--retry-delay", "1", "http://127.0.0.1:18090/"]
    assert docker.inside(*fetch).stdout == "hello\n"
    docker("rm", "-f", box, check=True)


@pytest.fixture
def podman(tmp_path: Path, busybox_layer_tar: bytes) -> Iterator[Run]:
    """podman on directories of its own; afterwards its containers are gone."""
    require_root()
    program = require_tool("podman")
    places = [f"--root={tmp_path}/graph", f"--runroot={short_directory()}", f"--tmpdir={tmp_path}/tmp"]
    options = [*places, "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=file"]
    limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096"]  # its defaults need CAP_SYS_RESOURCE
    (tmp_path / "layer.tar").write_bytes(busybox_layer_tar)

    def run(verb: str, *words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        more = [*limits, "--network=none"] if verb == "run" else []
        command = [program, *options, f"--runtime={OCI}", verb, *more, *words]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert not check or result.returncode == 0, result.stderr
        return result

    run("import", str(tmp_path / "layer.tar"), "busybox", check=True)
    yield run
    run("rm", "-fa")
    subprocess.run(["umount", "-l", f"{tmp_path}/graph"], check=False, capture_output=True)
    for place in ("graph", "run", "tmp"):
        shutil.rmtree(tmp_path / place, ignore_errors=True)


def test_podman(podman: Run) -> None:
    once = podman("run", "--rm", "--read-only", "-u", "1000", "busybox", "sh", "-c", "id -u; touch /tmp/x && exit 4")
    assert (once.stdout, once.returncode) == ("1000\n", 4), once.stderr
    missing = podman("run", "--rm", "busybox", "nosuch")
    assert missing.returncode == 127
    assert "executable file not found in $PATH" in missing.stderr
    podman("run", "-d", "--name", "box", "busybox", "sleep", "1000", check=True)
    inside = podman("exec", "box", "sh", "-c", "echo in; exit 7")
    assert (inside.stdout, inside.returncode) == ("in\n", 7), inside.stderr
    podman("pause", "box", check=True)
    assert podman("inspect", "-f", "{{.State.Status}}", "box").stdout == "paused\n"
    podman("unpause", "box", check=True)
    used = podman("stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "box", check=True).stdout
    assert used.startswith("1 ") and not used.startswith("1 0B"), used
    podman("kill", "-s", "CONT", "box", check=True)
    assert "sleep 1000" in podman("top", "box", check=True).stdout
    podman("stop", "-t", "1", "box", check=True)
    podman("start", "box", check=True)
    podman("restart", "-t", "0", "box", check=True)
    podman("rm", "-f", "box", check=True)
    assert podman("ps", "-aq").stdout == ""
    mapped = ["--uidmap=0:100000:65536", "--gidmap=0:100000:65536"]
    result = podman("run", "--rm", *mapped, "busybox", "cat", "/proc/self/uid_map")
    assert result.stdout.split() == ["0", "100000", "65536"], result.stderr


@pytest.fixture
def ctr(tmp_path: Path, busybox_image: Path) -> Iterator[Run]:
    """A containerd of our own, its client, and the image; both end with the test."""
    require_root()
    daemon, client, skopeo = (require_tool(name) for name in ("containerd", "ctr", "skopeo"))
    socket = f"/run/mdt-ctr-{os.getpid()}"  # short: the shim's socket is named after it
    (tmp_path / "config.toml").write_text(
        f'version = 2\nroot = "{tmp_path}/root"\nstate = "{tmp_path}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{socket}"\n[ttrpc]\naddress = "{socket}.ttrpc"\n'
    )
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen([daemon, "-c", str(tmp_path / "config.toml")], stdout=log, stderr=log)

    def run(*words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        command = [client, "-a", socket, *words]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert not check or result.returncode == 0, result.stderr
        return result

    try:
        deadline = time.monotonic() + PATIENCE
        while run("version").returncode != 0:
            assert time.monotonic() < deadline and process.poll() is None, (tmp_path / "log").read_text()[-1000:]
            time.sleep(0.1)
        archive = f"oci-archive:{tmp_path}/image.tar:localhost/busybox:latest"
        subprocess.run([skopeo, "copy", "-q", f"docker-archive:{busybox_image}", archive], check=True)
        run("images", "import", "--index-name", "localhost/busybox:latest", f"{tmp_path}/image.tar")
        yield run
    finally:
        for name in run("tasks", "ls", "-q").stdout.split():
            run("tasks", "rm", "-f", name)
        process.terminate()
        process.wait(timeout=30)
        kill_below(str(tmp_path))
        for path in Path("/run").glob(f"{Path(socket).name}*"):
            path.unlink()


def test_containerd(ctr: Run) -> None:
    options = ["--runc-binary", str(OCI), "--snapshotter", "native", "localhost/busybox:latest"]
    assert ctr("run", "--rm", *options, "once", "echo", "hello").stdout == "hello\n"
    missing = ctr("run", "--rm", *options, "missing", "nosuch")
    assert "executable file not found in $PATH" in missing.stderr
    ctr("run", "-d", *options, "box", "sleep", "1000", check=True)
    assert ctr("tasks", "exec", "--exec-id", "more", "box", "echo", "in").stdout == "in\n"
    assert ctr("tasks", "exec", "--exec-id", "fails", "box", "sh", "-c", "exit 7").returncode == 7
    assert len(ctr("tasks", "ps", "box", check=True).stdout.splitlines()) == 2  # with the heading
    ctr("tasks", "pause", "box", check=True)
    assert "PAUSED" in ctr("tasks", "ls").stdout
    ctr("tasks", "resume", "box", check=True)
    assert "memory" in ctr("tasks", "metrics", "box", check=True).stdout
    ctr("tasks", "kill", "-s", "KILL", "box", check=True)
    deadline = time.monotonic() + 10
    while "STOPPED" not in ctr("tasks", "ls").stdout:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ctr("tasks", "rm", "box")
    ctr("containers", "rm", "box", check=True)


def test_the_launcher_is_where_the_documentation_says() -> None:
    assert OCI == REPOSITORY / "scripts" / "minidock-oci"
    assert os.access(OCI, os.X_OK)
