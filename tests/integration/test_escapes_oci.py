"""The published escapes that minidock-oci's own bundles can show; docs/escapes.md tells their stories."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from minidock import spec
from minidock.errors import MinidockError
from minidock.kernel import masks, mounts, namespaces, syscalls, workdir
from minidock.kernel.cgroups import CgroupPlan
from minidock.kernel.pivot import PivotRoot
from minidock.runtime.plan import Extras, plan
from minidock.steps import Live
from tests.support.needs import require_root
from tests.support.oci import Run, args, bundle, configure, oci, run_with

__all__ = ["bundle", "oci"]


@pytest.fixture
def created(oci: Run, bundle: Path) -> int:
    """A container whose first process is still the runtime, and its pid."""
    configure(oci, bundle, args("sleep", "100"))
    oci("create", "-b", str(bundle), "box")
    return int(json.loads(oci("state", "box").stdout)["pid"])


def test_2016_9962_the_runtime_in_the_container_can_t_be_looked_into(oci: Run, created: int) -> None:
    script = "for what in exe cwd root fd/0 fd/3; do readlink /proc/1/$what; cat < /proc/1/$what; done; id -u"
    result = oci("exec", "box", "sh", "-c", script, check=False)
    assert result.stdout == "0\n"
    assert result.stderr.count("ermission denied") == 5


def test_2024_21626_the_runtime_holds_nothing_of_the_host_s(created: int) -> None:
    held = {os.readlink(entry) for entry in Path(f"/proc/{created}/fd").iterdir()}
    named = {path for path in held if path.startswith("/") and not path.startswith("/dev/")}
    allowed = (
        "/exec.fifo",
        "/out",
        "/err",
    )  # the fifo; what the test itself gave as output; and minidock-exec, at "/"
    assert not [path for path in named if path != "/" and not path.endswith(allowed)], held


def test_2024_21626_a_descriptor_that_stayed_open_is_no_working_directory() -> None:
    """The second line of defence, with the first one down: the host's root is open, and asked for by its name."""
    require_root()
    pid = syscalls.clone3(namespaces.flags(["mount"]))
    if pid == 0:
        code = 1
        try:
            left = os.open("/", os.O_PATH)
            mounts.IsolateMounts().apply(Live())
            mounts.MountFilesystem("", "/mnt", "tmpfs", "tmpfs", []).apply(Live())
            os.mkdir("/mnt/proc")
            mounts.MountFilesystem("/mnt", "/proc", "proc", "proc", []).apply(Live())
            PivotRoot("/mnt").apply(Live())
            os.chdir(f"/proc/self/fd/{left}")  # the kernel has nothing against it
            code = 2
            workdir.EnterDirectory(f"/proc/self/fd/{left}", make=False).apply(Live())
        except (MinidockError, OSError):
            code = 0 if code == 2 else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("where", ["proc", "sys"])
def test_2019_19921_and_2023_27561_proc_can_t_be_moved_by_a_symlink(oci: Run, bundle: Path, where: str) -> None:
    """And CVE-2023-28642: masks and labels are of use only where the kernel's files are."""
    (bundle / "rootfs" / "elsewhere").mkdir()
    (bundle / "rootfs" / where).symlink_to("elsewhere")
    result = run_with(oci, bundle, args("true"))
    assert result.returncode == 1
    assert "must be mounted on ordinary directory" in result.stderr


@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_2021_30465_and_2024_45310_a_mount_stays_inside(oci: Run, bundle: Path, tmp_path: Path, kind: str) -> None:
    """The destination leads out by a symlink: nothing is mounted on the host, nor even made there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (bundle / "rootfs" / "data").symlink_to(f"../../../../../../../..{outside}")

    def change(config: dict) -> None:
        config["process"]["args"] = ["sh", "-c", f"ls -d {outside}/below/new"]
        source, options = (str(bundle / "rootfs" / "bin"), ["bind"]) if kind == "bind" else ("tmpfs", [])
        config["mounts"].append({"destination": "/data/below/new", "type": kind, "source": source, "options": options})

    result = run_with(oci, bundle, change)
    assert result.returncode != 0 or result.stdout == f"{outside}/below/new\n"
    assert not list(outside.iterdir())


def test_2022_0492_release_agent_can_t_be_written(oci: Run, bundle: Path) -> None:
    agents = "for f in /sys/fs/cgroup/*/release_agent; do echo /x > $f; done"
    script = f"mkdir /tmp/c; mount -t cgroup -o memory c /tmp/c; {agents}"

    def change(config: dict) -> None:
        config["process"]["args"] = ["sh", "-c", f"{script}; true"]
        config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})

    result = run_with(oci, bundle, change)
    assert "ermission denied" in result.stderr
    for agent in Path("/sys/fs/cgroup").glob("*/release_agent"):
        assert agent.read_text() != "/x\n"


def test_2022_29162_nothing_is_inheritable_that_was_not_asked_for(oci: Run, bundle: Path) -> None:
    configure(oci, bundle, args("sleep", "100"))
    oci("run", "-d", "-b", str(bundle), "box")
    told = oci("exec", "--cap", "CAP_SYS_TIME", "box", "grep", "CapInh", "/proc/self/status").stdout
    assert int(told.split()[1], 16) == 0


@pytest.mark.parametrize("kind", ["link", "link to a null device", "file"])
def test_2025_31133_a_mask_is_the_null_device_or_nothing(kind: str) -> None:
    """The image's /dev/null is a symlink to what should be hidden: binding it would have opened it for writing.

    Two lines stop it: no link is followed, whatever it leads to; and what is found has to be the device."""
    require_root()
    pid = syscalls.clone3(namespaces.flags(["mount"]))
    if pid == 0:
        code = 1
        try:
            mounts.IsolateMounts().apply(Live())
            mounts.MountFilesystem("", "/dev", "tmpfs", "tmpfs", []).apply(Live())
            if kind == "file":
                os.close(os.open("/dev/null", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
            elif kind == "link":
                os.symlink("/proc/sys/kernel/core_pattern", "/dev/null")
            else:
                os.mknod("/dev/other", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
                os.symlink("other", "/dev/null")
            masks.MaskPath("/proc/timer_list").apply(Live())
        except (MinidockError, OSError):
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("target", ["/proc/sys/kernel/core_pattern", "outside/made"])
def test_2025_52565_the_console_is_mounted_on_no_symlink(oci: Run, bundle: Path, tmp_path: Path, target: str) -> None:
    """And crun's CVE-2026-88264: what isn't there yet was made, before the pivot, where the link leads."""
    (tmp_path / "outside").mkdir()
    if not target.startswith("/"):
        target = f"../../../../../../../..{tmp_path}/{target}"

    def change(config: dict) -> None:
        config["process"]["terminal"] = True
        config["process"]["args"] = ["true"]
        config["root"]["readonly"] = False
        config["mounts"] = [mount for mount in config["mounts"] if mount["destination"] in ("/proc", "/dev/pts")]

    configure(oci, bundle, change)
    (bundle / "rootfs" / "dev").mkdir()
    (bundle / "rootfs" / "dev" / "console").symlink_to(target)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "console"))
        listener.listen()
        result = oci("create", "-b", str(bundle), "--console-socket", str(tmp_path / "console"), "box", check=False)
    assert result.returncode == 1
    assert "show the terminal as /dev/console too" in result.stderr
    assert not list((tmp_path / "outside").iterdir())


def test_2025_52881_nothing_is_written_below_proc_once_it_is_the_container_s() -> None:
    """A write to the container's /proc could be led elsewhere (a sysctl that becomes core_pattern): all of ours are
    done while /proc is still the host's, and what comes after the pivot has no such step."""
    asked = spec.Spec(
        "1.2.0",
        process=spec.Process(cwd="/", args=["true"], oom_score_adj=5, terminal=True),
        mounts=[spec.Mount("/proc", "proc", "proc")],
        linux=spec.Linux(
            namespaces=[spec.Namespace(kind) for kind in ("mount", "pid", "network", "user")],
            sysctl={"net.ipv4.ip_forward": "1"},
            uid_mappings=[spec.IdMapping(container_id=0, host_id=1, size=1)],
            gid_mappings=[spec.IdMapping(container_id=0, host_id=1, size=1)],
            masked_paths=masks.MASKED,
            readonly_paths=masks.READONLY,
        ),
    )
    made = plan(asked, rootfs="/r", cgroups=CgroupPlan(before=[], clone_dir="", joined=[]), extras=Extras())
    pivot = next(place for place, step in enumerate(made.child) if isinstance(step, PivotRoot))
    names = [type(step).__name__ for step in made.child]
    assert {"SetSysctl", "SetOomScoreAdj"} <= set(names[:pivot])
    writers = {"SetSysctl", "SetOomScoreAdj", "MapIds", "EnterCgroup", "JoinCgroup"}
    assert not writers & set(names[pivot:])


@pytest.mark.parametrize("mounted", [False, True])
def test_2026_41579_dev_is_made_inside_whatever_the_image_has_there(
    oci: Run, bundle: Path, tmp_path: Path, mounted: bool
) -> None:
    """And crun's CVE-2026-47766: the image's /dev leads out, where device nodes and links would be made."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (bundle / "rootfs" / "dev").symlink_to(f"../../../../../../../..{outside}")

    def change(config: dict) -> None:
        config["process"]["args"] = ["ls", "/dev/"]
        config["linux"]["maskedPaths"] = []  # they would be refused: no /dev/null that is no link
        if not mounted:
            config["mounts"] = [mount for mount in config["mounts"] if not mount["destination"].startswith("/dev")]

    result = run_with(oci, bundle, change)
    assert {"null", "zero", "stdin", "ptmx"} <= set(result.stdout.split())
    assert not list(outside.iterdir())


def test_2026_55686_a_working_directory_is_made_inside_whatever_leads_to_it(
    oci: Run, bundle: Path, tmp_path: Path
) -> None:
    """podman made it before the container was there, and a symlink on the way was followed on the host."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name, target in (("absolute", str(outside)), ("upwards", "../../../../../.." + str(outside))):
        (bundle / "rootfs" / name).symlink_to(target)

        def change(config: dict, name: str = name) -> None:
            config["root"]["readonly"] = False
            config["process"].update(args=["sh", "-c", "pwd"], cwd=f"/{name}/below")

        result = run_with(oci, bundle, change, name)
        assert result.stdout == f"{outside}/below\n", result.stderr
    assert not list(outside.iterdir())
    assert (bundle / "rootfs" / str(outside)[1:] / "below").is_dir()


@pytest.mark.parametrize("user", ["1000x", "1000:", ":0", "0:x", "-1", "1_0", " 0", "4294967295"])
def test_2026_30892_exec_takes_a_user_whole_or_not_at_all(oci: Run, bundle: Path, user: str) -> None:
    configure(oci, bundle, args("sleep", "100"))
    oci("run", "-d", "-b", str(bundle), "box")
    result = oci("exec", "--user", user, "box", "id", check=False)
    assert result.returncode == 255
    assert "uid[:gid] failed" in result.stderr
    assert result.stdout == ""


def test_the_page_of_escapes_names_what_is_there() -> None:
    """docs/escapes.md: every test and every file that it points to exists."""
    repository = Path(__file__).parents[2]
    page = (repository / "docs" / "escapes.md").read_text()
    words = {word.strip("`.,;:()|") for word in page.split()}
    for word in words:
        if word.startswith(("minidock/", "native/", "tests/")):
            assert (repository / word.partition("::")[0]).exists(), word
        if word.startswith("test_") and not word.endswith(".py"):
            found = subprocess.run(["grep", "-rqE", f"def {word}", repository / "tests"], check=False)
            assert found.returncode == 0, word


def test_the_page_of_escapes_shows_the_code_s_own_lines() -> None:
    repository = Path(__file__).parents[2]
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", (repository / "docs" / "escapes.md").read_text(), re.DOTALL)
    assert len(blocks) >= 8
    for name, lines in blocks:
        assert lines in (repository / name).read_text(), name
