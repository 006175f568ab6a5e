"""Rootless: an ordinary user's containers, in a user namespace of his own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require_root, require_tool
from tests.integration.test_docs import ROOTLESS, agrees, examples
from tests.support.images import docker_archive
from tests.support.instance import COMMAND
from tests.support.ordinary import COUNT, Ordinary

NONE = ("--network", "none")


def upper_layer() -> bytes:
    """Over busybox: a file of another owner, one that goes, a directory that hides all that was in it, a device."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, owner in (
            ("srv", tarfile.DIRTYPE, 0),
            ("srv/owned", tarfile.REGTYPE, 1000),
            ("srv/device", tarfile.CHRTYPE, 0),
            ("etc/.wh.group", tarfile.REGTYPE, 0),
            ("usr", tarfile.DIRTYPE, 0),
            ("usr/.wh..wh..opq", tarfile.REGTYPE, 0),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.uid, member.gid, member.mode = kind, owner, owner, 0o755
            member.devmajor, member.devminor = 1, 3
            tar.addfile(member, io.BytesIO())
    return buffer.getvalue()


@pytest.fixture(scope="module")
def user(busybox_image: Path, busybox_layer_tar: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ordinary]:
    require_root()
    require_tool("newuidmap")
    somebody = Ordinary()
    somebody.load(busybox_image)
    layers = [busybox_layer_tar, upper_layer()]
    somebody.load(docker_archive(tmp_path_factory.mktemp("two") / "two.tar", "two:latest", layers, {"Cmd": ["sh"]}))
    yield somebody
    somebody.close()


def test_root_inside_is_the_user_outside(user: Ordinary) -> None:
    shared = user.home / "shared"
    script = (
        "cat /proc/self/uid_map; touch /v/root; chown 1000:5 /v; su user -c 'touch /v/user'; ls -l /proc/1/fd >/v/x"
    )
    ran = user("run", "--rm", *NONE, "-v", f"{shared}:/v", "busybox", "sh", "-c", script, check=True)
    assert ran.stdout.split() == ["0", str(user.number), "1", "1", str(user.first), str(COUNT)]
    owners = {path.name: path.stat().st_uid for path in shared.iterdir()}
    assert owners == {"root": user.number, "user": user.first + 999, "x": user.number}
    opened = (shared / "x").read_text()  # of the container's first process: no lock, no pipe to slirp4netns
    assert ("/dev/null" in opened, "minidock" in opened) == (True, False)
    assert (user.home / ".local/share/minidock").stat().st_mode & 0o777 == 0o700
    assert (shared.stat().st_uid, shared.stat().st_gid) == (user.first + 999, user.first + 4)


def test_an_image_of_several_layers_is_mounted(user: Ordinary) -> None:
    words = (
        "--mount",
        "type=image,source=two,target=/m",
        "--mount",
        "type=image,source=two,target=/n,image-subpath=usr",
    )
    script = "ls /n; ls /m/etc/group; stat -c %u /m/srv/owned; touch /m/x"
    ran = user("run", "--rm", *NONE, *words, "busybox", "sh", "-c", script)
    assert ran.stdout == "1000\n", "two's upper layer hides the group file, and all of usr"
    assert "/m/etc/group: No such file" in ran.stderr and "Read-only file system" in ran.stderr


def test_2023_25809_what_is_shown_of_cgroups_cant_be_written(user: Ordinary) -> None:
    """runc without root showed the user's own cgroups of the host, writable."""
    ran = user("run", "--rm", *NONE, "busybox", "sh", "-c", "grep cgroup /proc/mounts; mkdir /sys/fs/cgroup/new")
    assert (ran.stdout, ran.returncode) == ("", 1)  # nothing of them is shown
    assert "can't create directory" in ran.stderr


def test_a_containers_whole_life(user: Ordinary) -> None:
    script = "trap 'exit 3' TERM; echo started; while :; do sleep 0.05; done"
    user("run", "-d", "--name", "life", *NONE, "busybox", "sh", "-c", script, check=True)
    assert user("ps", "--format", "{{.Names}} {{.State}}").stdout == "life running\n"
    inside = user("exec", "-u", "1000", "-e", "A=b", "life", "sh", "-c", 'echo "$(id -u) $A"; exit 4')
    assert (inside.stdout, inside.returncode) == ("1000 b\n", 4)
    assert user("logs", "life").stdout == "started\n"
    assert "sleep 0.05" in user("top", "life", "-eo", "pid,args", check=True).stdout
    user("stop", "life", check=True)
    assert user("inspect", "-f", "{{.State.ExitCode}}", "life").stdout == "3\n"
    user("start", "life", check=True)
    user("kill", "life", check=True)
    user("rm", "life", check=True)
    assert user.gone() == []  # with the last container goes who held the namespace


def test_layers_are_laid_over_each_other_as_for_root(user: Ordinary) -> None:
    script = "stat -c '%n %u' /srv/owned; ls /srv /usr; ls /etc/group; rm -r /srv; mkdir /srv; ls -A /srv"
    made = user("run", "--name", "laid", *NONE, "two", "sh", "-c", script)
    assert made.stdout.splitlines() == ["/srv/owned 1000", "/srv:", "owned", "", "/usr:"]
    assert "/etc/group: No such file" in made.stderr
    assert "D /srv/owned" in user("diff", "laid").stdout
    user("commit", "laid", "three", check=True)
    assert user("run", "--rm", *NONE, "three", "ls", "-A", "/srv", "/usr").stdout.split() == ["/srv:", "/usr:"]
    user("rm", "laid", check=True)


def test_the_hosts_network_as_it_is(user: Ordinary) -> None:
    script = "cat /proc/net/dev | tail -n +3 | wc -l; ls /sys/class/net; echo x 2>/dev/null >/sys/kernel/mm/ksm/run"
    ran = user("run", "--rm", "--network", "host", "busybox", "sh", "-c", script)
    assert ran.returncode == 1  # read-only, though it is the host's own
    assert set(ran.stdout.split()[1:]) >= {"lo"}
    none = user("run", "--rm", *NONE, "busybox", "sh", "-c", "ls /sys/class/net; ping -c 1 127.0.0.1", check=True)
    assert none.stdout.splitlines()[0] == "lo"


@pytest.fixture
def server() -> Iterator[str]:
    """host:port of a server on this machine, by an address that isn't its loopback's."""
    shown = json.loads(subprocess.check_output(["ip", "-j", "-4", "addr", "show", "scope", "global", "up"]))
    addresses = [row["local"] for link in shown for row in link["addr_info"]]
    with socket.create_server(("0.0.0.0", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listening.accept()[0] as client:
                        client.sendall(b"from outside\n")

        threading.Thread(target=serve, daemon=True).start()
        yield f"{addresses[0]} {listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def test_the_default_network_leads_out_and_not_to_the_hosts_loopback(user: Ordinary, server: str) -> None:
    require_tool("slirp4netns")
    address, port = server.split()
    script = f"nc {address} {port} </dev/null; nc -w 1 10.0.2.2 {port} </dev/null; cat /etc/resolv.conf; hostname -i"
    ran = user("run", "--rm", "busybox", "sh", "-c", script, check=True)
    said = ran.stdout.splitlines()
    assert said[0] == "from outside"
    assert said.count("from outside") == 1
    assert "nameserver 10.0.2.3" in said
    assert said[-1].strip() == "10.0.2.100"
    assert user.gone() == []  # slirp4netns, too


def test_published_ports(user: Ordinary) -> None:
    require_tool("slirp4netns")
    serving = "echo served > /index.html; httpd -p 80 -h /; exec sleep 60"
    user("run", "-d", "--name", "web", "-p", "127.0.0.1::80", "-p", "7/udp", "busybox", "sh", "-c", serving, check=True)
    shown = user("port", "web", "80", check=True).stdout.strip()
    with urllib.request.urlopen(f"http://{shown}/index.html", timeout=10) as answer:
        assert answer.read() == b"served\n"
    facts = json.loads(user("inspect", "web").stdout)[0]["NetworkSettings"]
    assert (facts["Networks"]["bridge"]["IPAddress"], sorted(facts["Ports"])) == ("10.0.2.100", ["7/udp", "80/tcp"])
    taken = user("run", "--rm", "-p", f"{shown}:80", "busybox", "true")
    assert taken.returncode == 125
    assert f"Bind for {shown} failed: port is already allocated, held by slirp4netns" in taken.stderr
    low = user("run", "--rm", "-p", "127.0.0.1:1:80", "busybox", "true")
    assert "ip_unprivileged_port_start" in low.stderr
    user("rm", "-f", "web", check=True)
    host, port = shown.split(":")
    assert user.gone() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)


def test_networks_of_ones_own_are_refused(user: Ordinary) -> None:
    for words in (("network", "create", "mine"), ("run", "--rm", "--network", "mine", "busybox", "true")):
        refused = user(*words)
        assert "belong to the host's root" in refused.stderr.splitlines()[0]
    assert user("ps", "-aq").stdout == ""


REFUSED = {
    "memory limit": ["--memory", "64m"],
    "cpu limit": ["--cpus", "1"],
    "pids limit": ["--pids-limit", "9"],
    "io limit": ["--blkio-weight", "300"],
    "--device-cgroup-rule": ["--device-cgroup-rule", "c 1:3 r"],
    "--cgroup-parent": ["--cgroup-parent", "/x"],
    "--cgroupns host": ["--cgroupns", "host"],
    "--pid host": ["--pid", "host"],
    "--ipc host": ["--ipc", "host"],
}


def test_what_cant_be_is_said_in_one_line_and_leaves_nothing(user: Ordinary) -> None:
    for what, flags in REFUSED.items():
        refused = user("run", "--rm", *NONE, *flags, "busybox", "true")
        assert (refused.returncode, refused.stdout) == (125, "")
        assert re.match(rf"minidock: without root there is no {what}: .* \(run it as root\)\n\nRun ", refused.stderr)
    assert user("ps", "-aq").stdout == ""


def test_verbs_that_need_a_cgroup_say_so(user: Ordinary) -> None:
    user("run", "-d", "--name", "plain", *NONE, "busybox", "sleep", "60", check=True)
    for words in (("pause", "plain"), ("stats", "--no-stream", "plain"), ("update", "--cpus", "1", "plain")):
        refused = user(*words)
        assert refused.returncode == 1
        assert "without root there is no" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    user("rm", "-f", "plain", check=True)


def test_without_subordinate_ids_it_says_what_to_do() -> None:
    require_root()
    poor = Ordinary(subordinate=False)
    try:
        refused = poor("run", "--rm", *NONE, "busybox", "true")
        assert refused.returncode == 125
        first = refused.stderr.splitlines()[0]
        assert first.startswith("minidock: ordinary has no subordinate ids in /etc/subuid (echo ordinary:")
        told = poor("run", "--dry-run", *NONE, "busybox", "true", check=True)  # which asks nothing of the kernel
        assert "become true" in told.stdout
    finally:
        poor.close()


def test_containers_survive_who_held_their_namespace(user: Ordinary) -> None:
    """The next command finds the namespace by a container that lives, and a new holder is there for those after it."""
    user("run", "-d", "--name", "orphan", *NONE, "busybox", "sleep", "60", check=True)
    holder = user.run / "minidock" / "holder.json"
    before = json.loads(holder.read_text())["pid"]
    os.kill(before, signal.SIGKILL)
    assert user("exec", "orphan", "echo", "still here").stdout == "still here\n"
    assert json.loads(holder.read_text())["pid"] != before
    user("kill", "orphan", check=True)
    user("rm", "orphan", check=True)


def test_a_container_is_started_again_by_who_waits_for_it(user: Ordinary) -> None:
    user("run", "-d", "--name", "again", "--restart", "on-failure:2", *NONE, "busybox", "false", check=True)
    assert user("wait", "again", check=True).stdout == "1\n"
    assert user("inspect", "-f", "{{.RestartCount}}", "again").stdout == "2\n"
    user("rm", "again", check=True)
    assert user.gone() == []


def test_a_run_directory_that_somebody_else_can_write_to_is_refused(user: Ordinary) -> None:
    user.run.chmod(0o777)
    try:
        refused = user("ps")
        assert (refused.returncode, "only user" in refused.stderr) == (1, True)
    finally:
        user.run.chmod(0o700)


def test_the_plan_and_the_script_are_the_users_own(user: Ordinary) -> None:
    plan = user("run", "--dry-run", *NONE, "busybox", "true", check=True).stdout
    assert "userxattr" in plan
    assert "cgroup.procs" not in plan
    script = user(
        "run", "--as-shell", *NONE, "-h", "by-hand", "busybox", "sh", "-c", "cat /proc/self/uid_map; hostname"
    )
    (user.home / "script").write_text(script.stdout)
    by_hand = user.does("sh", "script")
    assert by_hand.stdout.split() == ["0", str(user.number), "1", "1", str(user.first), str(COUNT), "by-hand"]
    assert by_hand.returncode == 0
    script = user("run", "--as-shell", "busybox", "sh", "-c", "hostname -i", check=True)
    (user.home / "script").write_text(script.stdout)
    by_hand = user.does("sh", "script")
    assert (by_hand.stdout.strip(), by_hand.stderr) == ("10.0.2.100", "")
    refused = user("run", "--as-shell", "-p", "80", "busybox")
    assert "a script can't publish ports without root" in refused.stderr
    assert user.gone() == []


def test_he_has_a_terminal(user: Ordinary) -> None:
    inside = "tty; id -u; test -c /dev/tty && stty size"
    words = [*COMMAND, "run", "--rm", "-it", *NONE, "busybox", "sh", "-c", inside]
    ran = user.does("script", "-qec", shlex.join(words), "/dev/null")
    assert ran.stdout.replace("^@", "").split()[:2] == ["/dev/pts/0", "0"]  # ^@ is script's own end of input
    assert ran.returncode == 0


def test_many_at_once_share_one_namespace(user: Ordinary) -> None:
    """Nobody holds it at the start: one of them makes it, and the others find it."""
    assert user.gone() == []
    command = user.command(*COMMAND, "run", "--rm", *NONE, "busybox", "readlink", "/proc/self/ns/user")
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, env=user.environment) for _ in range(6)]
    said = {process.communicate(timeout=60)[0] for process in started}
    assert len(said) == 1
    assert user.gone() == []


def test_the_documents_examples_are_true(user: Ordinary) -> None:
    commands = user.home / "bin"
    commands.mkdir()
    (commands / "minidock").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (commands / "minidock").chmod(0o755)
    for example in examples(ROOTLESS.read_text()):
        script = f"exec 2>&1\nPATH={commands}:$PATH\n{example.command}"
        result = user.does("sh", "-c", script)
        told = f"{example.line}: $ {example.command}\n{result.stdout}(exit {result.returncode})"
        assert result.returncode == 0 and agrees(example.claimed, result.stdout), told
