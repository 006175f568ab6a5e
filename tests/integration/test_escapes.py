"""Ways out of a container that other runtimes once left open; none may work here."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.images import docker_archive
from tests.support.instance import REPOSITORY, Minidock
from tests.support.needs import require_root

SEALED = """
import errno, os, sys, time
from minidock.runtime import seal
program = seal.seal()
for _ in range(1000):
    try:
        os.open(f"/proc/self/fd/{program}", os.O_WRONLY)
        said = 0
    except OSError as error:
        said = error.errno
    if said != errno.ETXTBSY:  # a container of another test is being started by the same file
        break
    time.sleep(0.01)
print(said)
try:
    import wave
except ImportError:
    print("no import")
print(oct(os.stat("/proc/self/fd").st_uid))
"""


def test_the_last_program_before_the_command_can_t_be_written_and_nothing_is_imported() -> None:
    """CVE-2019-5736: a container must not get at the runtime's own program by /proc/PID/exe."""
    require_root()
    script = ["unshare", "--mount", sys.executable, "-c", SEALED]
    lines = subprocess.run(script, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout.split("\n")
    assert lines[0] == str(errno.EROFS)
    assert lines[1] == "no import"


def test_an_image_can_t_start_the_host_s_python(minidock: Minidock, busybox_image: Path, tmp_path: Path) -> None:
    """The same, by the image's side of it: its command asks for whatever the runtime is."""
    minidock("load", "-i", str(busybox_image), check=True)
    script = tmp_path / "evil"
    script.write_text("#!/proc/self/exe\nprint('python runs in here')\n")
    script.chmod(0o755)
    for command in (["/evil"], ["/proc/self/exe", "-c", "print('python runs in here')"]):
        result = minidock("run", "--rm", "-v", f"{script}:/evil", "busybox", *command)
        assert "python" not in (result.stdout + result.stderr).lower()
        assert result.returncode != 0


def test_exec_by_a_link_to_our_program(minidock: Minidock, busybox_image: Path) -> None:
    minidock("load", "-i", str(busybox_image), check=True)
    minidock(
        "run", "-d", "--name", "trap", "busybox", "sh", "-c", "ln -sf /proc/self/exe /bin/id; sleep 60", check=True
    )
    result = minidock("exec", "trap", "id", "-c", "print('python runs in here')")
    assert "python" not in (result.stdout + result.stderr).lower()
    assert result.returncode != 0


@pytest.mark.parametrize("where", ["/proc/self/fd/7", "/proc/self/fd/8", "/proc/self/fd/9"])
def test_a_working_directory_can_t_be_a_descriptor_of_ours(minidock: Minidock, busybox_image: Path, where: str) -> None:
    """CVE-2024-21626: runc left a descriptor of the host's cgroup open, and `-w` found it."""
    minidock("load", "-i", str(busybox_image), check=True)
    result = minidock("run", "--rm", "-w", f"{where}/../../../../..", "busybox", "cat", "etc/hostname")
    assert os.uname().nodename not in result.stdout.split()


def test_the_host_s_kernel_settings_can_t_be_written(minidock: Minidock, busybox_image: Path) -> None:
    minidock("load", "-i", str(busybox_image), check=True)
    script = "echo '|/evil' > /proc/sys/kernel/core_pattern; echo 1 > /proc/sys/kernel/panic; mount -t proc p /mnt"
    result = minidock("run", "--rm", "busybox", "sh", "-c", script)
    assert result.returncode != 0
    assert result.stderr.count("ead-only file system") == 2
    assert "permission denied" in result.stderr
    assert Path("/proc/sys/kernel/core_pattern").read_text() != "|/evil\n"


MOUNT = "mkdir /m; unshare -Urm sh -c 'mount -t tmpfs none /m && echo mounted'"


@pytest.mark.parametrize("filtered", [True, False])
def test_2022_0492_no_new_namespace_gives_the_right_to_mount(
    minidock: Minidock, busybox_image: Path, filtered: bool
) -> None:
    """The root of a new user namespace may mount, a version 1 hierarchy among others, and what its release_agent names
    is run by the host. Without the filter that goes as far as the mount: so it is the filter that stops it."""
    minidock("load", "-i", str(busybox_image), check=True)
    options = [] if filtered else ["--security-opt", "seccomp=unconfined"]
    result = minidock("run", "--rm", *options, "busybox", "sh", "-c", MOUNT)
    assert ("mounted" in result.stdout) is not filtered, result.stderr
    assert ("ermission denied" in result.stderr or "not permitted" in result.stderr) is filtered


@pytest.mark.vm
def test_2022_0492_what_is_shown_of_cgroups_is_its_own_and_read_only(minidock: Minidock, busybox_image: Path) -> None:
    """Only the root of a hierarchy has a release_agent, and the container's root is another cgroup."""
    minidock("load", "-i", str(busybox_image), check=True)
    script = "find /sys/fs/cgroup -name release_agent; find /sys/fs/cgroup -name cgroup.procs | head -1"
    write = "for d in /sys/fs/cgroup $(ls -d /sys/fs/cgroup/*/); do mkdir $d/new 2>/dev/null && echo made $d; done"
    result = minidock("run", "--rm", "busybox", "sh", "-c", f"{script}; {write}; true", check=True)
    (only,) = result.stdout.split()
    assert only.endswith("/cgroup.procs")


@pytest.fixture
def odd_image(busybox_layer_tar: bytes, tmp_path: Path) -> Path:
    """An image whose configuration asks for more than one may have."""
    config = {
        "Cmd": ["sh"],
        "Env": ["HOST_SECRET", "HOST_*", "*", "FINE=1"],
        "Labels": {"run.oci.keep_original_groups": "1", "org.opencontainers.image.title": "odd"},
    }
    return docker_archive(tmp_path / "odd.tar", "odd:latest", [busybox_layer_tar], config)


def test_2026_57231_an_image_gets_no_variable_of_the_host_s(minidock: Minidock, odd_image: Path) -> None:
    """podman took a name without a value, and one with a star, for a wish to be given the host's variables."""
    minidock("load", "-i", str(odd_image), check=True)
    host = {"HOST_SECRET": "told"}
    told = minidock("run", "--rm", "odd", "env", env=host, check=True).stdout.splitlines()
    assert {line.partition("=")[0] for line in told} == {"PATH", "HOSTNAME", "FINE", "HOME"}


def test_2026_53488_no_label_of_an_image_is_an_annotation(minidock: Minidock, odd_image: Path) -> None:
    """containerd handed labels on, and a label could be what a runtime, or containerd itself, obeys."""
    minidock("load", "-i", str(odd_image), check=True)
    made = minidock("run", "-d", "odd", "sleep", "100", check=True).stdout.strip()
    config = json.loads((minidock.layout.container_run(made) / "config.json").read_text())
    assert config.get("annotations", {}) == {}
    assert minidock("inspect", "-f", "{{.Config.Labels}}", made).stdout.count("keep_original_groups") == 1
    minidock("rm", "-f", made, check=True)


def test_2024_25621_nobody_else_reads_what_images_and_containers_hold(minidock: Minidock, busybox_image: Path) -> None:
    """containerd's directories let everybody pass, to programs of layers that are setuid root, too."""
    minidock("load", "-i", str(busybox_image), check=True)
    minidock("run", "-d", "--name", "box", "-e", "PASSWORD=told-to-it-alone", "busybox", "sleep", "100", check=True)
    places = [place for base in (minidock.layout.root, minidock.layout.run) for place in open_to_others(base)]
    held = [path for path in places if path.is_file() and b"told-to-it-alone" in path.read_bytes()]
    assert not held
    assert not [path for path in places if path.name == "busybox"]
    inside = [path for path in minidock.layout.root.rglob("*") if path.name == "busybox"]
    assert inside  # there is something to be closed
    minidock("rm", "-f", "box", check=True)


def open_to_others(place: Path) -> Iterator[Path]:
    """What a user of the host who is nobody in particular can read, had he come as far as here."""
    for path in place.iterdir():
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) and mode & stat.S_IXOTH:
            yield from open_to_others(path)
        elif stat.S_ISREG(mode) and mode & stat.S_IROTH:
            yield path
