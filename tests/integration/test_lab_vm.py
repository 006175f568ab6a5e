"""The machines to learn in: what Vagrant is told, what makes a Debian one, and the one that QEMU alone starts."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.needs import require_root, require_tool

REPOSITORY = Path(__file__).resolve().parents[2]

WHAT_A_STUDENT_SEES = r"""
systemctl is-system-running --wait
stat -fc %T /sys/fs/cgroup
cat /proc/1/comm
ip link set "$(ls -d /sys/class/net/e* | cut -d/ -f5)" down && echo offline
minidock run --rm hello-world | grep Hello
minidock run --rm -p 8080:80 -d --name web --device-cgroup-rule 'c 239:0 rw' \
    busybox nc -ll -p 80 -e echo published >/dev/null
for second in 1 2 3 4 5 6 7 8 9; do busybox nc -w 1 127.0.0.1 8080 </dev/null && break; sleep 1; done
systemctl daemon-reload
minidock exec web sh -c 'for n in 0 1; do mknod /$n c 239 $n; (: </$n) 2>&1; done' |
    grep -o 'No such device\|not permitted'
minidock rm -f web
su - vagrant -c 'sudo minidock run --rm -m 64m debian cat /sys/fs/cgroup/memory.max'
su - vagrant -c 'sudo minidock lab ls' | grep -c broken
exit 7
"""


def done(*command: str | Path, seconds: float, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=seconds, cwd=REPOSITORY,
        env=os.environ | environment, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_vagrant_accepts_the_vagrantfile(tmp_path: Path) -> None:
    """Without a hypervisor the rest can't be tried here; what `up` then runs is tried below."""
    require_tool("vagrant")
    told = {"VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_DOTFILE_PATH": str(tmp_path / "dot")}
    valid = done("vagrant", "validate", "--ignore-provider", seconds=120, **told)
    assert valid.returncode == 0, valid.stdout + valid.stderr
    assert 'path: "scripts/provision"' in (REPOSITORY / "Vagrantfile").read_text()


# A copy of this host to spoil: its files with an overlay in memory over them, and no network but its own.
COPY = r"""
set -eu
work=$1/work root=$2
mkdir "$work"
mount -t tmpfs memory "$work"
mkdir "$work/upper" "$work/work" "$work/top"
mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" overlay "$work/top"
mount -t proc proc "$work/top/proc"
for place in /dev /sys; do mount --rbind "$place" "$work/top$place"; done
# The images lie on tmpfs: an overlay can't be the upper layer of another one.
for place in /run /tmp /var/lib/minidock; do mkdir -p "$work/top$place" && mount -t tmpfs memory "$work/top$place"; done
mkdir -p "$work/top$root" && mount --bind "$root" "$work/top$root"
ip link set lo up
rm -rf "$work/top/usr/local/bin/minidock"
exec chroot "$work/top" sh -euc "cd '$root' && $3"
"""


def test_provisioning_makes_a_machine_to_work_in(tmp_path: Path) -> None:
    """On a copy of this host. What it makes of a new Debian is tried below: the lab machine's disk is made by it."""
    require_root()
    before = os.listdir("/etc/profile.d")
    tab = "bash -lc 'complete -p minidock' && dash -c '. /etc/profile.d/minidock.sh'"
    again = f"scripts/provision 2>&1 && cd / && minidock run --rm hello-world && head -n 3 /etc/motd && {tab}"
    isolated = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child")
    command = (*isolated, "sh", "-c", COPY, "sh", tmp_path, REPOSITORY, f"scripts/provision && {again}")
    result = done(*command, seconds=300, MINIDOCK_LAB_IMAGES="hello-world busybox")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr.count("making the built-in image") == 2, "the second time there is nothing to make"
    assert "Hello from a container" in result.stdout and "A machine to learn" in result.stdout
    assert "complete -F _minidock minidock" in result.stdout
    assert os.listdir("/etc/profile.d") == before, "this was to be done to the copy"


@pytest.mark.timeout(1800)
def test_the_lab_machine_boots_debian_with_systemd_and_runs_containers_offline() -> None:
    require_root()
    result = done(REPOSITORY / "scripts" / "lab-vm", "run", WHAT_A_STUDENT_SEES, seconds=1800)
    assert result.returncode == 7, result.stdout + result.stderr
    said = result.stdout.split()
    assert said[:3] == ["running", "cgroup2fs", "systemd"], result.stdout + result.stderr
    # systemd has written its units' device rules anew: the container has what it had, and no more.
    assert "No such device\nnot permitted\n" in result.stdout, result.stdout
    for word in ("Hello", "published", "67108864", "9", "offline"):
        assert word in said, (word, result.stdout, result.stderr)


def test_the_lab_machine_says_what_is_wrong() -> None:
    require_root()
    assert "start it" in done(REPOSITORY / "scripts" / "lab-vm", "--help", seconds=60).stdout
    for words in (["nonsense"], ["run"]):
        refused = done(REPOSITORY / "scripts" / "lab-vm", *words, seconds=1800)
        assert refused.returncode == 125
        assert refused.stderr.splitlines()[-1].startswith("scripts/lab-vm: ")
