"""`--as-shell`, `--dry-run`, `--explain`: the plan told instead of done, or while it is done.

The script must make the container that the real command makes: the same shell program runs in both, says all that it
can see of itself, and the two reports are compared line by line. Known and meant to differ: the seccomp filter, the
session keyring and, without a v1 devices hierarchy, the device filter, which no tool that a script may call can make.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.paths import Layout
from tests.integration.test_image_mounts import layer
from tests.support.images import docker_archive
from tests.support.instance import CGROUPS, COMMAND, Minidock, leftovers, settled
from tests.support.needs import has_feature, require_root, require_tool

TOOLS = """
    sh
    cat chmod chown cp cut dirname echo env ln mkdir mkfifo mknod mktemp printf readlink rm rmdir sleep stat touch
    mount nsenter pivot_root prlimit setpriv umount unshare
    ip bridge
    nft
    hostname domainname
"""
"""All that a script may call: dash, coreutils, util-linux, iproute2, nftables, hostname."""

REPORT = r"""
echo "$OPTIONS"
section() { echo "== $1"; }
section identity; id; hostname; pwd; umask; echo "pid $$"
section status; grep -E '^(Cap|Uid|Gid|Groups|NoNewPrivs|Umask)' /proc/self/status
section limits; cat /proc/self/limits
section environment; env | sort
section descriptors; ls /proc/$$/fd
section mounts; sed 's/^[0-9]* [0-9]* [0-9]*:[0-9]* //' /proc/self/mountinfo
section devices; ls -lnR /dev
section root; ls -ln / /etc
section files; cat /etc/hosts /etc/hostname /etc/resolv.conf
section network; ip -o addr; ip route; ip -o link
section sysctl; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range
section oom; cat /proc/self/oom_score_adj
section cgroup; cat /proc/self/cgroup
for file in memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes memory/memory.soft_limit_in_bytes \
    pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu/cpu.shares cpuset/cpuset.cpus \
    memory.max memory.swap.max memory.low pids.max cpu.max cpu.weight cpuset.cpus; do
    [ ! -e /sys/fs/cgroup/$file ] || { echo "$file"; sort /sys/fs/cgroup/$file; }
done
section filter; mknod /tmp/disk b 253 99 2>&1 && head -c 1 /tmp/disk 2>&1
section writable; for place in / /dev /proc/sys /sys /etc; do
    (: > $place/.probe) 2>/dev/null && { rm $place/.probe; echo "$place"; }
done
"""
FILTERED, UNFILTERED = (f"head: /tmp/disk: {os.strerror(each)}" for each in (errno.EPERM, errno.ENXIO))
NAMESPACES = "for name in cgroup ipc mnt net pid uts user; do readlink /proc/self/ns/$name; done"

OPTIONS = [
    pytest.param("", marks=pytest.mark.vm),
    pytest.param("--memory 64m --pids-limit 33 --cpus 0.5 --cpu-shares 512", marks=pytest.mark.vm),
    "--user 1000:1000 --workdir /work",
    "--user user --group-add 44",
    "--read-only --tmpfs /scratch:size=1m",
    "--cap-drop ALL --cap-add NET_ADMIN",
    "--user 1000 --cap-add NET_ADMIN --security-opt no-new-privileges",
    "--hostname box --domainname example.org --dns 9.9.9.9 --add-host other:192.0.2.7",
    "-v {bind}:/bound:ro -v {bind}/file:/etc/one --mount type=tmpfs,dst=/m,tmpfs-mode=700",
    "-v named:/etc/kept -v /own",
    "--network none",
    "--network host",
    pytest.param("--privileged", marks=pytest.mark.vm),
    "--ulimit nofile=100:200 --ulimit core=0 --shm-size 1m --oom-score-adj 100 --sysctl net.ipv4.ip_forward=1",
    "--env A=1 --env 'SPACE=a b' --entrypoint /bin/sh",
]
"""Marked are those whose lines of the script are others on version 2: limits, devices, what /sys/fs/cgroup is."""


@pytest.fixture
def box(minidock: Minidock, busybox_image: Path) -> Minidock:
    """An instance that has the image busybox."""
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


@pytest.fixture
def tools(tmp_path: Path) -> str:
    """A PATH on which there is nothing but TOOLS."""
    directory = tmp_path / "tools"
    directory.mkdir()
    for tool in TOOLS.split():
        (directory / tool).symlink_to(require_tool(tool))
    return str(directory)


def script_of(box: Minidock, *words: str) -> str:
    return box("run", "--as-shell", *words, check=True).stdout


def run_script(text: str, tools: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """By sh, with no tool but those that are allowed."""
    environment = {"PATH": tools, "HOME": "/root"}
    command = [require_tool("sh"), "-c", text]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment, timeout=60)


def normal(report: str) -> list[str]:
    """Without what differs between any two containers: ids, the place of their files, times, interface numbers."""
    if "--network host" in report:  # other tests change the host's interfaces meanwhile
        report = re.sub(r"^== network$.*?(?=^== )", "", report, flags=re.MULTILINE | re.DOTALL)
    for pattern, name in (
        (r"[0-9a-f]{64}", "LONG-ID"),
        (r"\bveth[0-9a-f]{11}\b", "CABLE"),
        (r"\b[0-9a-f]{12}\b", "ID"),
        (r"\b(containers|by-hand)/", "containers/"),
        (r"\b[A-Z][a-z]{2} +\d+ +[0-9:]+ ", "TIME "),
        (r"^\d+: (\w+)(@if\d+)?", r"\1"),
        (r"\b(master|shared):\d+", r"\1:N"),
        (r"link-netnsid \d+", "link-netnsid N"),
        (r"(?m)^total \d+$", "total"),
        (r"^(dr-xr-xr-x) +\d+ (.* proc)$", r"\1 N \2"),
        (r"^(d\S+ +\d+ +\d+ +\d+) +\d+ ", r"\1 SIZE "),  # how a file system counts entries is its own business
    ):
        report = re.sub(pattern, name, report, flags=re.MULTILINE)
    return report.splitlines()


# The same container


@pytest.mark.parametrize("options", OPTIONS)
def test_the_script_makes_the_same_container(box: Minidock, tools: str, tmp_path: Path, options: str) -> None:
    bind = tmp_path / "bind"
    bind.mkdir()
    (bind / "file").write_text("from the host\n")
    words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", options.format(bind=bind))]
    program = ["-c", REPORT + "echo told >&2; exit 7"] if "--entrypoint" in words else ["sh", "-c", REPORT + "exit 7"]
    words += ["--env", f"OPTIONS={options}"]
    real = box("run", "--rm", *words, "busybox", *program)
    by_hand = run_script(script_of(box, *words, "busybox", *program), tools)
    made, wanted = normal(by_hand.stdout), normal(real.stdout)
    if not has_feature("cgroup-v1") and FILTERED in wanted:  # the script has said that it can't filter devices there
        made[made.index(UNFILTERED)] = FILTERED
    assert made == wanted
    assert (by_hand.stderr, by_hand.returncode) == (real.stderr, real.returncode)
    assert real.returncode == 7
    assert len(real.stdout.splitlines()) > 100, "the report is empty: two empty ones are equal"


def test_all_its_namespaces_are_new(box: Minidock, tools: str) -> None:
    ours = subprocess.run(["sh", "-c", NAMESPACES], capture_output=True, text=True, check=True).stdout.split()
    inside = run_script(script_of(box, "busybox", "sh", "-c", NAMESPACES), tools).stdout.split()
    assert len(inside) == len(ours) == 7
    assert [new.partition(":")[0] for new, old in zip(inside, ours, strict=True) if new == old] == ["user"]


def test_stdin_reaches_the_command(box: Minidock, tools: str) -> None:
    assert run_script(script_of(box, "-i", "busybox", "cat"), tools, "through\n").stdout == "through\n"


@pytest.mark.parametrize(("command", "code"), [("sh -c 'kill -9 $$'; exit $?", 137), ("exit 42", 42), ("nosuch", 127)])
def test_its_exit_code_is_the_commands(box: Minidock, tools: str, command: str, code: int) -> None:
    assert run_script(script_of(box, "--network", "none", "busybox", "sh", "-c", command), tools).returncode == code


def test_a_volumes_contents_come_from_the_image_and_stay(box: Minidock, tools: str) -> None:
    run_script(script_of(box, "-v", "kept:/etc", "busybox", "touch", "/etc/new"), tools)
    listing = box("run", "--rm", "-v", "kept:/v", "busybox", "ls", "/v", check=True).stdout.split()
    assert {"passwd", "group", "new"} <= set(listing)


def test_another_images_layers_are_laid_together_by_hand(box: Minidock, tools: str, tmp_path: Path) -> None:
    layers = [layer({"a": b"1"}), layer({"sub/b": b"2"})]
    box("load", "-i", str(docker_archive(tmp_path / "two.tar", "two:latest", layers)), check=True)
    mounts = ["type=image,source=two,target=/m", "type=image,source=two,target=/n,image-subpath=sub"]
    words = [word for mount in mounts for word in ("--mount", mount)]
    told = run_script(script_of(box, "--network", "none", *words, "busybox", "sh", "-c", "ls /m /n; touch /m/x"), tools)
    assert told.stdout.split() == ["/m:", "a", "sub", "/n:", "b"] and "Read-only file system" in told.stderr


# Ports, and other commands meanwhile


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def started(box: Minidock, tools: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A script that serves a line on a published port, and the port."""
    box("run", "--rm", "busybox", "true", check=True)  # the subnet is claimed now: a script only says which
    port = free_port()
    serve = "while :; do echo served | nc -l -p 80; done"
    text = script_of(box, "-p", f"127.0.0.1:{port}:80", "busybox", "sh", "-c", serve)
    process = subprocess.Popen(["sh", "-c", text], env={"PATH": tools}, start_new_session=True)
    try:
        yield process, port
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=10)


def ask(port: int, seconds: float = 60) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
                if answer := client.recv(100):
                    return answer.decode()
        except OSError:
            time.sleep(0.05)
    return ""


def test_published_ports_work_and_other_commands_leave_it_alone(
    box: Minidock, started: tuple[subprocess.Popen[bytes], int]
) -> None:
    process, port = started
    assert ask(port) == "served\n"
    other = box("run", "--rm", "busybox", "ip", "-o", "-4", "addr", "show", "eth0", check=True).stdout
    assert ".0.3/" in other, "the script's address is taken"
    assert ask(port) == "served\n"
    assert process.poll() is None


# Nothing is left


def left(layout: Layout) -> list[str]:
    """What a script may not leave: all but the bridge and the table, which stay after the real command too."""
    kept = (f"link {layout.bridge}", f"nft table inet {layout.nft_table}", f"nft table ip6 {layout.nft_table}")
    found = [line for line in leftovers(layout) if line not in kept]
    found += [str(path) for path in [*layout.root.glob("by-hand*"), *layout.run.glob("by-hand*")]]
    return found + [str(path) for path in layout.networks.glob("*/addresses/*")]


@pytest.mark.vm
def test_nothing_is_left_when_it_has_ended(box: Minidock, tools: str) -> None:
    port = free_port()
    text = script_of(box, "-p", f"{port}:80", "-v", "/own", "--memory", "64m", "busybox", "sh", "-c", "sleep 99 & true")
    assert run_script(text, tools).returncode == 0
    assert settled(lambda: left(box.layout)) == []
    assert not any(box.layout.volumes.iterdir())
    assert not list(CGROUPS.glob(f"*{box.layout.cgroup_parent}"))
    table = subprocess.run(["nft", "list", "table", "ip", box.layout.nft_table], capture_output=True, text=True).stdout
    assert f"{port} :" not in table


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.vm), signal.SIGINT])
def test_nothing_is_left_when_it_is_interrupted(
    box: Minidock, started: tuple[subprocess.Popen[bytes], int], number: signal.Signals
) -> None:
    process, port = started
    assert ask(port) == "served\n"
    os.killpg(process.pid, number)
    assert process.wait(timeout=60) == 130
    assert settled(lambda: left(box.layout)) == []


def test_nothing_is_left_when_a_line_of_it_fails(box: Minidock, tools: str) -> None:
    text = script_of(box, "busybox", "true")
    marker = "# swap the root for the container's, and let the host's go"
    assert marker in text
    failed = run_script(text.replace(marker, "false"), tools)
    assert failed.returncode == 1
    assert settled(lambda: left(box.layout)) == []


# Telling


def steps_of(text: str) -> list[str]:
    """The sentences of a dry run, in order."""
    return re.findall(r"^ +\d+\. (.*)$", text, re.MULTILINE)


def narrated(text: str) -> list[tuple[int, float, str]]:
    """The number, the milliseconds and the sentence of each step of a narration, in order."""
    found = re.findall(r"^\[ *(\d+)\] +([0-9.]+) ms  (.*)$", text, re.MULTILINE)
    return [(int(number), float(time), sentence) for number, time, sentence in found]


def test_a_dry_run_does_nothing(box: Minidock) -> None:
    result = box("run", "--dry-run", "--memory", "64m", "-p", "8080:80", "-v", "new:/v", "busybox", "true", check=True)
    assert len(steps_of(result.stdout)) > 50
    assert not any(box.layout.volumes.glob("*"))
    assert left(box.layout) == []
    assert box("ps", "-aq", check=True).stdout == ""


def test_the_narration_is_the_dry_run(box: Minidock) -> None:
    options = ["--rm", "--memory", "64m", "--name", "told", "--hostname", "told", "busybox", "true"]
    planned = steps_of(box("run", "--dry-run", *options, check=True).stdout)
    told = narrated(box("run", "--explain", *options, check=True).stderr)
    assert len(planned) > 50
    assert normal("\n".join(sentence for _, _, sentence in told)) == normal("\n".join(planned))
    assert [number for number, _, _ in told] == list(range(1, len(planned) + 1))
    assert all(0 <= milliseconds < 10_000 for _, milliseconds, _ in told)
    assert sum(milliseconds for _, milliseconds, _ in told) > 1


@pytest.fixture
def public_box(busybox_image: Path) -> Iterator[Minidock]:
    """An instance in a directory that everybody may read, as /var/lib/minidock is."""
    require_root()
    directory = Path(tempfile.mkdtemp(prefix="md-public-"))
    directory.chmod(0o755)
    instance = Minidock(Layout(directory / "root"))
    instance("load", "-i", str(busybox_image), check=True)
    yield instance
    instance.close()
    shutil.rmtree(directory)


def as_nobody(box: Minidock, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--root", str(box.layout.root), *words],
        capture_output=True, text=True, user=65534, group=65534, extra_groups=[], cwd="/",
    )  # fmt: skip


def test_a_dry_run_needs_no_root(public_box: Minidock) -> None:
    result = as_nobody(public_box, "run", "--dry-run", "busybox", "true")
    assert (result.returncode, "become true" in result.stdout) == (0, True)
    assert len(steps_of(result.stdout)) > 50
    assert len(result.stderr.splitlines()) <= 1


def test_a_dry_run_without_the_right_to_read_the_images_says_so(public_box: Minidock) -> None:
    public_box.layout.images.chmod(0o700)
    result = as_nobody(public_box, "run", "--dry-run", "busybox", "true")
    assert result.stderr == "the image busybox can't be read without root: this is the plan for an empty one\n"
    assert (result.returncode, len(steps_of(result.stdout)) > 50) == (0, True)


def test_a_dry_run_in_a_closed_root_is_refused_in_one_sentence(public_box: Minidock) -> None:
    public_box.layout.root.chmod(0o700)
    result = as_nobody(public_box, "run", "--dry-run", "busybox", "true")
    said, *pointer = result.stderr.splitlines()
    assert result.returncode == 125 and said.endswith("permission denied (minidock needs root: try it with sudo)")
    assert pointer == ["", "Run 'minidock run --help' for more information"]
