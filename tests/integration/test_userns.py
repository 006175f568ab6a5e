"""userns-remap: root in the container is nobody on the host, without a layer being copied."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import stat
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.errors import MinidockError
from minidock.kernel import idmap, mounts, syscalls
from minidock.paths import Layout
from minidock.spec import IdMapping
from tests.integration.test_image_mounts import layer
from tests.support.images import docker_archive
from tests.support.instance import Minidock, settled
from tests.support.needs import require_root, require_tool

FIRST, COUNT = 700_000, 65_536


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system that can be mounted with other owners: where the test's can't, one in a file."""
    require_root()
    tree = syscalls.open_tree(syscalls.AT_FDCWD, tmp_path, mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC)
    try:
        one = [IdMapping(0, FIRST, 1)]
        idmap.shift(tree, idmap.namespace(one, one), of=str(tmp_path))
    except MinidockError:
        make = require_tool("mkfs.ext4")
        (tmp_path / "image").touch()
        os.truncate(tmp_path / "image", 64 << 20)
        subprocess.run([make, "-q", tmp_path / "image"], check=True)
        (tmp_path / "ext4").mkdir()
        subprocess.run(["modprobe", "-a", "-q", "loop", "ext4"], check=False, capture_output=True)
        subprocess.run(["mount", "-o", "loop", tmp_path / "image", tmp_path / "ext4"], check=True)
        yield tmp_path / "ext4"
        subprocess.run(["umount", tmp_path / "ext4"], check=True)
    else:
        yield tmp_path
    finally:
        os.close(tree)


@pytest.fixture
def remapped(place: Path, tmp_path: Path, busybox_image: Path) -> Iterator[Minidock]:
    """An instance with userns-remap. Its commands see an /etc/subuid and /etc/subgid of the test's own."""
    box = Minidock(Layout(place / "root"))
    ids = tmp_path / "subid"
    ids.write_text(f"dockremap:{FIRST}:{COUNT}\n")
    script = 'for file in subuid subgid; do touch /etc/$file; mount --bind "$0" /etc/$file; done; exec "$@"'
    box.command = ["unshare", "--mount", "sh", "-ec", script, str(ids), *box.command]
    box("load", "-i", str(busybox_image), check=True)
    box.layout.settings.write_text('{"userns-remap": "default"}')
    yield box
    box.close()


def inside(box: Minidock, *words: str) -> str:
    """Run it without a network; what it wrote."""
    return box("run", "--rm", "--network", "none", *words, check=True).stdout


def inspect(box: Minidock, name: str) -> dict:
    return json.loads(box("inspect", name, check=True).stdout)[0]


@pytest.mark.vm
def test_root_inside_is_nobody_outside(remapped: Minidock) -> None:
    remapped("run", "-d", "--name", "one", "busybox", "sleep", "600", check=True)
    pid = inspect(remapped, "one")["State"]["Pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    assert re.search(rf"^Uid:\s+{FIRST}\s", status, re.M)
    assert Path(f"/proc/{pid}/uid_map").read_text().split() == ["0", str(FIRST), str(COUNT)]
    for kind in ("user", "net", "mnt", "pid", "ipc", "uts", "cgroup"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    script = "id -u; stat -c %u:%g / /bin/busybox /etc/hosts /dev/null; touch /x; chown 7:8 /x; stat -c %u:%g /x"
    told = remapped("exec", "one", "sh", "-c", script, check=True).stdout.split()
    assert told == ["0", "0:0", "0:0", "0:0", "0:0", "7:8"]


def test_no_layer_is_copied_and_the_disk_keeps_the_containers_numbers(remapped: Minidock) -> None:
    remapped("run", "--name", "one", "--network", "none", "busybox", "sh", "-c", "touch /a; chown 7:8 /a", check=True)
    upper = remapped.layout.container(inspect(remapped, "one")["Id"]) / "upper"
    assert os.listdir(upper) == ["a"]
    facts = (upper / "a").stat()
    assert (facts.st_uid, facts.st_gid) == (7, 8), "what commit and export read are the container's own numbers"
    told = remapped("start", "-a", "one")
    assert (told.returncode, told.stderr) == (0, "")


def test_deleted_directories_of_a_layer_stay_deleted(remapped: Minidock) -> None:
    """Such a directory is marked by trusted.overlay.opaque, which an overlay of a user namespace wouldn't heed."""
    script = "[ -e /second ] || { rm -r /var && mkdir /var && touch /second; }; ls -A /var"
    remapped("create", "--name", "one", "--network", "none", "busybox", "sh", "-c", script, check=True)
    upper = remapped.layout.container(inspect(remapped, "one")["Id"]) / "upper"
    for _ in range(2):
        told = remapped("start", "-a", "one")
        assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
        assert os.getxattr(upper / "var", "trusted.overlay.opaque") == b"y"


def test_an_image_is_mounted_as_the_container_sees_users(remapped: Minidock, tmp_path: Path) -> None:
    layers = [layer({"a": b"1", "gone": b""}), layer({"b": b"2", ".wh.gone": b"", "sub/c": b"3"})]
    for name, count in (("one", 1), ("two", 2)):
        archive = docker_archive(tmp_path / f"{name}.tar", f"{name}:latest", layers[:count])
        remapped("load", "-i", str(archive), check=True)
    mounts = ["one,target=/one", "two,target=/two", "two,target=/part,image-subpath=sub"]
    words = [word for mount in mounts for word in ("--mount", f"type=image,source={mount}")]
    script = "stat -c '%n %u' /one/* /two/* /part/*; touch /two/x || touch /one/x || echo read-only"
    told = inside(remapped, *words, "busybox", "sh", "-c", f"{{ {script}; }} 2>/dev/null").splitlines()
    assert told == [f"{name} 0" for name in ("/one/a", "/one/gone", "/two/a", "/two/b", "/two/sub", "/part/c")] + [
        "read-only"
    ]


def test_devices_masks_and_limits_are_as_ever(remapped: Minidock) -> None:
    script = """
        ls -l /dev | cut -c1-10 | sort | uniq -c | grep crw
        head -c 3 /dev/zero | wc -c; echo gone >/dev/null; echo err >/dev/stderr
        mknod /node c 1 3 2>&1; mount -t tmpfs none /mnt 2>&1 | head -n 1
        cat /proc/timer_list | wc -c; echo 1 2>/dev/null >/proc/sys/kernel/hostname || echo read-only
        cat /proc/self/oom_score_adj; ulimit -n; grep CapEff /proc/self/status; head -c 3 /dev/made/zero | wc -c
    """
    flags = ["--oom-score-adj", "300", "--ulimit", "nofile=99:99", "--device", "/dev/zero:/dev/made/zero:r"]
    lines = inside(remapped, *flags, "busybox", "sh", "-c", script).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "6 crw-rw-rw-",
        "3",
        "mknod: /node: Operation not permitted",
        "mount: permission denied (are you root?)",
        "0",
        "read-only",
        "300",
        "99",
        "CapEff: 00000000a80425fb",
        "3",
    ]


def test_a_network_a_port_and_sysctls(remapped: Minidock) -> None:
    flags = ["-p", "127.0.0.1::80", "--sysctl", "net.ipv4.ip_default_ttl=33"]
    remapped("run", "-d", "--name", "web", *flags, "busybox", "httpd", "-f", "-h", "/etc", check=True)
    told = remapped("exec", "web", "cat", "/proc/sys/net/ipv4/ip_default_ttl", check=True)
    assert told.stdout == "33\n"
    port = inspect(remapped, "web")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/passwd", timeout=30) as answer:
        assert answer.read().startswith(b"root:")


def test_volumes_belong_to_the_containers_root_and_binds_to_whom_they_did(remapped: Minidock, tmp_path: Path) -> None:
    bound = tmp_path / "bound"
    bound.mkdir()
    (bound / "file").touch()
    os.chown(bound, 4711, 4711)
    script = "stat -c %u /v /b /i; touch /v/made /i/made; touch /b/made 2>/dev/null || echo denied"
    flags = ["-v", "data:/v", "-v", f"{bound}:/b", "-v", f"{bound}:/i:idmap"]
    assert inside(remapped, *flags, "busybox", "sh", "-c", script).split() == ["0", "65534", "0", "denied"]
    assert (remapped.layout.volumes / "data" / "_data" / "made").stat().st_uid == FIRST
    assert (bound / "made").stat().st_uid == 4711


def test_a_new_volume_gets_what_the_image_has(remapped: Minidock) -> None:
    assert "passwd" in inside(remapped, "-v", "/etc", "busybox", "ls", "/etc")


def test_a_terminal(remapped: Minidock) -> None:
    script = require_tool("script")
    flags = ["run", "--rm", "-it", "--network", "none"]
    words = [*remapped.command, *flags, "busybox", "sh", "-c", "tty; stat -c owner=%u $(tty)"]
    told = subprocess.run(
        [script, "-qec", shlex.join(words), "/dev/null"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert re.findall(r"/dev/pts/\d+|owner=\d+", told.stdout) == ["/dev/pts/0", "owner=0"], told


def test_namespaces_of_another_container_belong_to_its_user_namespace(remapped: Minidock) -> None:
    flags = ["--ipc", "shareable", "--network", "none"]
    remapped("run", "-d", "--name", "donor", *flags, "busybox", "sleep", "600", check=True)
    remapped("exec", "donor", "sh", "-c", "echo shared >/dev/shm/file; ip link set lo up", check=True)
    joins = ["--network", "container:donor", "--ipc", "container:donor", "--pid", "container:donor"]
    remapped("run", "-d", "--name", "guest", *joins, "busybox", "sleep", "601", check=True)
    pids = [inspect(remapped, name)["State"]["Pid"] for name in ("donor", "guest")]
    for kind in ("user", "net", "ipc", "pid"):
        assert len({os.readlink(f"/proc/{pid}/ns/{kind}") for pid in pids}) == 1, kind
    assert os.readlink(f"/proc/{pids[0]}/ns/mnt") != os.readlink(f"/proc/{pids[1]}/ns/mnt")
    script = "cat /dev/shm/file; ps -o args | grep '^sleep'; id -u; touch /x"
    told = remapped("exec", "guest", "sh", "-c", script, check=True)
    assert told.stdout.splitlines() == ["shared", "sleep 600", "sleep 601", "0"]
    remapped("kill", "guest", check=True)
    assert remapped("wait", "guest").stdout == "137\n"
    flags = ["--userns", "host", "--network", "none"]
    remapped("run", "-d", "--name", "alien", *flags, "busybox", "sleep", "600", check=True)
    result = remapped("run", "--rm", "--network", "container:alien", "busybox", "true")
    assert "can't share namespaces with a container that has another user namespace" in result.stderr


def test_userns_host_turns_it_off(remapped: Minidock) -> None:
    told = inside(remapped, "--userns", "host", "busybox", "cat", "/proc/self/uid_map")
    assert told.split() == ["0", "0", "4294967295"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--privileged"], "privileged mode is incompatible with user namespaces."),
        (["--network", "host"], "cannot share the host's network namespace when user namespaces are enabled"),
        (["--pid", "host"], "cannot share the host PID namespace when user namespaces are enabled"),
        (["--ipc", "host"], "cannot share the host's IPC namespace when user namespaces are enabled"),
    ],
)
def test_what_a_user_namespace_rules_out(remapped: Minidock, words: list[str], text: str) -> None:
    result = remapped("run", "--rm", *words, "busybox", "true")
    assert result.returncode == 125
    assert text in result.stderr


def test_settings_that_cant_be_right(remapped: Minidock) -> None:
    remapped.layout.settings.write_text('{"userns-remap": "nosuchuser"}')
    result = remapped("run", "--rm", "busybox", "true")
    assert result.returncode == 125
    assert "nosuchuser has no subordinate ids in /etc/subuid" in result.stderr
    remapped.layout.settings.write_text('{"userns-remp": "default"}')
    assert "userns-remp" in remapped("run", "--rm", "busybox", "true").stderr
    script = remapped("run", "--userns", "host", "--as-shell", "busybox", "true")
    assert "userns-remp" not in script.stdout


def test_a_start_that_fails_leaves_nothing(remapped: Minidock) -> None:
    result = remapped("run", "--rm", "-v", "/nosuch-dir-of-minidock/x:/v:rshared", "busybox", "true")
    assert result.returncode == 125
    os.rmdir("/nosuch-dir-of-minidock/x")
    os.rmdir("/nosuch-dir-of-minidock")
    assert remapped("run", "--rm", "busybox", "/nosuch").returncode == 127
    assert stat.S_ISDIR(remapped.layout.root.stat().st_mode)


def test_builds_are_remapped(remapped: Minidock, tmp_path: Path) -> None:
    """RUN's root is nobody on the host; in the layers owners are the image's own, as without."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "hello").write_text("hello")
    (context / "Dockerfile").write_text(
        "FROM busybox\nCOPY --chown=5:6 hello /h\nRUN cat /proc/self/uid_map > /map; touch /root-s; chown 7:8 /h\n"
        "RUN --mount=type=secret,id=s cat /run/secrets/s > /dev/null && touch /read\n"
        "RUN --mount=type=cache,target=/c touch /c/x && touch /cached\n"
        "RUN --mount=target=/w,rw touch /w/x && stat -c '%n %u %g' /w/hello /w/x > /bound\n"
        "RUN --mount=target=/w stat -c '%n %u %g' /w/hello >> /bound\n"
    )
    os.chown(context / "hello", 1000, 1000)  # whoever has a context, to a RUN it is root's
    (tmp_path / "secret").write_text("s")
    remapped("build", "-t", "out", "--secret", f"id=s,src={tmp_path / 'secret'}", str(context), check=True)
    told = inside(remapped, "out", "stat", "-c", "%n %u %g", "/h", "/root-s", "/read", "/cached")
    assert told == "/h 7 8\n/root-s 0 0\n/read 0 0\n/cached 0 0\n"
    assert inside(remapped, "out", "cat", "/bound") == "/w/hello 0 0\n/w/x 0 0\n/w/hello 0 0\n"
    assert inside(remapped, "out", "cat", "/map").split() == ["0", str(FIRST), str(COUNT)]


def test_what_is_copied_into_a_running_one_belongs_to_its_own_users(remapped: Minidock, tmp_path: Path) -> None:
    """By its root, not by the host's, which the kernel takes for nobody there: EOVERFLOW, were it to make a file."""
    script = "mkdir -m 700 /made; ln -s /made /link; ln -s /proc/self/root /out; exec sleep 60"
    command = ("--tmpfs", "/t", "-v", "kept:/kept", "-v", "fixed:/fixed:ro", "busybox", "sh", "-c", script)
    remapped("run", "-d", "--name", "lives", "--network", "none", *command, check=True)
    settled(lambda: [] if remapped("exec", "lives", "test", "-L", "/out").returncode == 0 else ["not yet"])
    (tmp_path / "file").write_text("hello")
    os.chown(tmp_path / "file", 7, 8)
    for target in ("/made", "/link/renamed", "/kept", "/t", "/etc/group"):
        remapped("cp", "-a", str(tmp_path / "file"), f"lives:{target}", check=True)
    remapped("cp", str(tmp_path / "file"), "lives:/plain", check=True)
    paths = ("/made/file", "/made/renamed", "/kept/file", "/t/file", "/etc/group", "/plain")
    told = remapped("exec", "lives", "stat", "-c", "%n %u:%g %s", *paths, check=True).stdout
    assert told == "".join(f"{path} 7:8 5\n" for path in paths)
    assert remapped("exec", "lives", "cat", "/made/file", check=True).stdout == "hello"

    big = subprocess.run(["tar", "c", "-C", "/usr/lib", "python3"], capture_output=True, check=True).stdout
    packed = subprocess.run(["gzip", "-1"], input=big, capture_output=True, check=True).stdout
    subprocess.run([*remapped.command, "cp", "-", "lives:/made"], input=packed, check=True)
    assert remapped("exec", "lives", "ls", "/made/python3", check=True).stdout.split() == sorted(
        os.listdir("/usr/lib/python3")
    )
    for target, text in (
        ("/out/tmp", "Could not find the file /out in container lives"),
        ("/fixed", "mounted volume is marked read-only"),
        ("/etc/group/under", "not a directory"),
        ("/nowhere/at/all", "Could not find the file /nowhere/at in container lives"),
        ("/proc/sys/kernel", "can't write /proc/sys/kernel/file"),
    ):
        refused = remapped("cp", str(tmp_path / "file"), f"lives:{target}")
        assert (refused.returncode, text in refused.stderr) == (1, True), refused
    remapped("rm", "-f", "-v", "lives", check=True)


def test_what_is_copied_out_of_a_running_one_has_its_own_numbers(remapped: Minidock, tmp_path: Path) -> None:
    """The kernel shows us its files with the host's numbers; in tars they are whose they are in the container."""
    script = "mkdir /made; touch /made/root /made/user; chown 1000:5 /made/user; ln /made/user /made/too; sleep 60"
    remapped("run", "-d", "--name", "lives", "--network", "none", "-v", "kept:/kept", "busybox", "sh", "-c", script)
    while "too" not in remapped("exec", "lives", "ls", "/made").stdout:
        pass
    remapped("exec", "lives", "sh", "-c", "touch /kept/file; chown 7:8 /kept/file", check=True)

    def owners(*words: str) -> dict[str, tuple[int, int]]:
        done = subprocess.run([*remapped.command, *words], capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            return {
                member.name: (member.uid, member.gid)
                for member in tar
                if "made" in member.name or "file" in member.name
            }

    wanted = {"made": (0, 0), "made/root": (0, 0), "made/user": (1000, 5), "made/too": (1000, 5)}
    assert owners("cp", "lives:/made", "-") == wanted
    assert owners("cp", "lives:/kept/file", "-") == {"file": (7, 8)}
    assert owners("export", "lives") == wanted
    remapped("cp", "lives:/made/user", str(tmp_path / "here"), check=True)
    assert (tmp_path / "here").stat().st_uid == 0  # as whoever copies it
    remapped("kill", "lives", check=True)
    assert owners("export", "lives") == wanted
    remapped("cp", str(tmp_path / "here"), "lives:/made/", check=True)
    remapped("rm", "-v", "lives", check=True)
