"""Mounts and namespaces of config.json that an engine like ours doesn't use itself, but others do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.oci import Run, add_user_namespace, args, bundle, configure, oci, run_with

__all__ = ["bundle", "oci"]


def test_tmpcopyup_keeps_what_was_there(oci: Run, bundle: Path) -> None:
    place = bundle / "rootfs" / "data" / "below"
    place.mkdir(parents=True)
    (place / "file").write_text("kept\n")

    def change(config: dict) -> None:
        config["process"]["args"] = [
            "sh",
            "-c",
            "cat /data/below/file; echo new > /data/more; grep ' /data' /proc/mounts",
        ]
        config["mounts"].append({"destination": "/data", "type": "tmpfs", "options": ["tmpcopyup", "size=64k"]})

    result = run_with(oci, bundle, change)
    assert result.stdout.split()[:3] == ["kept", "tmpfs", "/data"], result.stderr
    assert not (bundle / "rootfs" / "data" / "more").exists()


def test_bind_and_rbind_and_a_device_whose_path_ends_in_a_slash(oci: Run, bundle: Path) -> None:
    """Both words make it recursive, in either order, as mount(2)'s flags do."""

    def change(config: dict) -> None:
        for place, words in (("/one", ["bind", "rbind"]), ("/two", ["rbind", "bind"])):
            config["mounts"].append({"destination": place, "source": "/sys", "options": words})
        config["linux"]["devices"] = [{"path": "/dev/odd/", "type": "c", "major": 1, "minor": 5}]
        config["process"]["args"] = ["sh", "-c", "grep -c ' /[ot][nw][eo]/' /proc/mounts; stat -c %t:%T /dev/odd"]

    mounted = len([line for line in Path("/proc/mounts").read_text().splitlines() if " /sys/" in line])
    assert mounted, "a machine without cgroups"
    assert run_with(oci, bundle, change).stdout.split() == [str(2 * mounted), "1:5"]


def test_links_are_meant_themselves_where_crun_s_words_say_so(oci: Run, bundle: Path, tmp_path: Path) -> None:
    source = tmp_path / "link"
    source.symlink_to("/to/nowhere")
    (bundle / "rootfs" / "two").symlink_to("gone")

    def change(config: dict) -> None:
        for place, words in (("/one", ["copy-symlink"]), ("/two", ["src-nofollow", "dest-nofollow"])):
            config["mounts"].append({"destination": place, "source": str(source), "options": ["bind", *words]})
        config["process"]["args"] = ["sh", "-c", "readlink /one; readlink /two"]

    for _ in range(2):  # the copy stays in the bundle
        assert run_with(oci, bundle, change).stdout.split() == ["/to/nowhere"] * 2
    assert os.readlink(bundle / "rootfs" / "two") == "gone"

    def hide(config: dict) -> None:
        options = ["bind", "src-nofollow", "dest-nofollow"]
        config["mounts"].append({"destination": "/way/self", "source": str(source), "options": options})

    (bundle / "rootfs" / "way").symlink_to("/proc")
    refused = run_with(oci, bundle, hide)
    assert refused.returncode == 1
    assert "nothing of /proc may be hidden so" in refused.stderr


def test_an_idmapped_mount_shows_other_owners(oci: Run, bundle: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    os.chown(source / "file", 1000, 1001)

    def change(config: dict) -> None:
        config["process"]["args"] = ["stat", "-c", "%u:%g", "/data/file"]
        mapping = [{"containerID": 1000, "hostID": 5000, "size": 10}]
        config["mounts"].append(
            {"destination": "/data", "type": "bind", "source": str(source), "options": ["rbind", "ridmap"],
             "uidMappings": mapping, "gidMappings": mapping}
        )  # fmt: skip

    result = run_with(oci, bundle, change)
    assert result.stdout == "5000:5001\n", result.stderr
    assert (source / "file").stat().st_uid == 1000


@pytest.mark.vm  # before Linux 6.15 what hangs nowhere can't be copied
def test_a_user_namespace_gets_devices_and_sources_that_it_can_t_reach(oci: Run, bundle: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("lent\n")

    def change(config: dict) -> None:
        add_user_namespace(config, bundle)
        config["mounts"].append(
            {"destination": "/lent", "type": "bind", "source": str(closed / "file"), "options": ["bind"]}
        )
        config["linux"]["devices"] = [{"path": "/dev/odd", "type": "c", "major": 1, "minor": 5, "uid": 3, "gid": 4}]
        script = "cat /lent; stat -c %t:%T:%u:%g /dev/odd; echo x > /dev/null && echo null; head -c 2 /dev/zero | ls -"
        config["process"]["args"] = ["sh", "-c", script.partition("; head")[0]]

    result = run_with(oci, bundle, change)
    assert result.stdout.split() == ["lent", "1:5:3:4", "null"], result.stderr


def test_namespaces_by_path_with_a_user_namespace(oci: Run, bundle: Path) -> None:
    """Another container's network and user namespaces, entered before there is a process: it would lack the right."""
    configure(oci, bundle, lambda config: (add_user_namespace(config, bundle), args("sleep", "1000")(config))[0])
    oci("run", "-d", "-b", str(bundle), "first")
    pid = json.loads(oci("state", "first").stdout)["pid"]

    def change(config: dict) -> None:
        config["process"]["args"] = [
            "sh",
            "-c",
            "for kind in net user uts; do readlink /proc/self/ns/$kind; done; id -u",
        ]
        add_user_namespace(config, bundle)
        for entry in config["linux"]["namespaces"]:
            if entry["type"] in ("network", "user"):
                entry["path"] = f"/proc/{pid}/ns/{'net' if entry['type'] == 'network' else 'user'}"

    result = run_with(oci, bundle, change, "second")
    theirs = [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("net", "user", "uts")]
    found = result.stdout.split()
    assert found[:2] == theirs[:2], result.stderr
    assert found[2] != theirs[2]
    assert found[3] == "0"


@pytest.mark.parametrize(("word", "seen"), [("shared", "shared:"), ("runbindable", "unbindable")])
def test_propagation_of_the_root(oci: Run, bundle: Path, word: str, seen: str) -> None:
    def change(config: dict) -> None:
        config["process"]["args"] = ["sh", "-c", "head -n 1 /proc/self/mountinfo; grep more /proc/self/mountinfo"]
        config["linux"]["rootfsPropagation"] = word
        # For this one alone the child once had to import a module, after its last import.
        config["mounts"].append({"destination": "/more", "type": "tmpfs", "source": "more", "options": ["iversion"]})

    result = run_with(oci, bundle, change)
    assert seen in result.stdout.splitlines()[0], result.stderr
    assert "tmpfs more rw" in result.stdout.splitlines()[1]
    fresh = subprocess.run(["grep", str(bundle), "/proc/self/mountinfo"], capture_output=True, text=True)
    assert fresh.stdout == ""


def test_a_tmpfs_that_others_hang_in_is_read_only_in_the_end(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        for mount in config["mounts"]:
            if mount["destination"] == "/dev":
                mount["options"].append("ro")
        config["process"]["args"] = ["sh", "-c", "echo x > /dev/null && touch /dev/new"]

    result = run_with(oci, bundle, change)
    assert "Read-only file system" in result.stderr


def test_a_path_is_masked_once_however_often_it_is_named(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        config["linux"]["maskedPaths"] = ["/proc/timer_list"] * 3
        config["process"]["args"] = ["grep", "-c", "/proc/timer_list", "/proc/mounts"]

    assert run_with(oci, bundle, change).stdout == "1\n"


def test_exec_joins_what_the_host_owns_and_what_the_user_namespace_owns(oci: Run, bundle: Path) -> None:
    """A time namespace is made before the user namespace, which then has no rights over it."""

    def change(config: dict) -> None:
        add_user_namespace(config, bundle)
        config["linux"]["namespaces"].append({"type": "time"})
        config["linux"]["timeOffsets"] = {"boottime": {"secs": 77, "nanosecs": 0}}
        config["process"]["args"] = ["sleep", "1000"]

    configure(oci, bundle, change)
    oci("run", "-d", "-b", str(bundle), "first")

    def join(config: dict) -> None:
        files = {"network": "net", "mount": ""}
        pid = json.loads(oci("state", "first").stdout)["pid"]
        config["linux"]["namespaces"] = [
            {"type": kind, "path": f"/proc/{pid}/ns/{files.get(kind, kind)}" if kind != "mount" else ""}
            for kind in ("user", "time", "network", "ipc", "uts", "pid", "mount")
        ]
        config["process"]["args"] = ["sleep", "999"]

    configure(oci, bundle, join)
    oci("run", "-d", "-b", str(bundle), "second")
    for name in ("first", "second"):
        seen = oci("exec", name, "sh", "-c", "cat /proc/self/timens_offsets /proc/self/uid_map").stdout.split()
        assert seen[:6] == ["monotonic", "0", "0", "boottime", "77", "0"]
        assert seen[6:] == ["0", "100000", "65536"]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Path]:
    """A directory whose mount is read-only, nosuid and noatime."""
    place = tmp_path / "guarded"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "guarded", str(place)], check=True)
    subprocess.run(["mount", "--bind", "-o", "remount,ro,nosuid,noatime", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def shown(oci: Run, bundle: Path, source: Path, words: list[str], *, user: bool = False) -> tuple[set[str], str]:
    """Of a bind mount with these words: its options inside, and what was said."""

    def change(config: dict) -> None:
        if user:
            add_user_namespace(config, bundle)
        config["mounts"].append({"destination": "/data", "type": "bind", "source": str(source), "options": words})
        config["process"]["args"] = ["grep", " /data ", "/proc/mounts"]

    result = run_with(oci, bundle, change)
    return set(result.stdout.split()[3].split(",") if result.stdout else []) & ATTRIBUTES, result.stderr


ATTRIBUTES = {"ro", "rw", "nosuid", "nodev", "noatime", "relatime"}


def test_a_bind_mount_has_what_was_asked_for_or_all_of_its_source_s(oci: Run, bundle: Path, guarded: Path) -> None:
    assert shown(oci, bundle, guarded, ["bind"])[0] == {"ro", "nosuid", "noatime"}
    assert shown(oci, bundle, guarded, ["bind", "nodev", "rprivate"])[0] == {"rw", "nodev", "noatime"}
    assert shown(oci, bundle, guarded, ["bind", "ro", "relatime"])[0] == {"ro", "relatime"}


def test_what_the_host_forbids_in_a_mount_a_user_namespace_can_t_allow(oci: Run, bundle: Path, guarded: Path) -> None:
    kept, _ = shown(oci, bundle, guarded, ["bind", "nodev"], user=True)
    assert kept == {"ro", "nosuid", "nodev", "noatime"}
    nothing, refused = shown(oci, bundle, guarded, ["bind", "rw"], user=True)
    assert not nothing
    assert "error during container init: error mounting" in refused and "operation not permitted" in refused

    def change(config: dict) -> None:
        add_user_namespace(config, bundle)
        config["mounts"].append({"destination": "/data", "type": "bind", "source": str(guarded), "options": ["bind"]})
        for kind in config["process"]["capabilities"].values():
            kind.append("CAP_SYS_ADMIN")
        config["process"]["args"] = ["mount", "-o", "remount,bind,rw", "/data"]

    # Not even with the namespace's every right: the kernel holds it, not our table of words.
    assert "ermission denied" in run_with(oci, bundle, change).stderr


@pytest.mark.parametrize("user", [False, True])
def test_an_earlier_mount_can_be_the_source_of_a_later_one(oci: Run, bundle: Path, tmp_path: Path, user: bool) -> None:
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "below" / "file").write_text("seen\n")
    root = bundle / "rootfs"

    def change(config: dict) -> None:
        if user:
            add_user_namespace(config, bundle)
        for one, other in ((source, "/first"), (root / "first" / "below", f"{root}/second")):
            config["mounts"].append({"destination": other, "type": "bind", "source": str(one), "options": ["rbind"]})
        config["process"]["args"] = ["cat", "/second/file"]

    result = run_with(oci, bundle, change)
    assert result.stdout == "seen\n", result.stderr


def test_masked_directories_share_one_empty_file_system(oci: Run, bundle: Path) -> None:
    for name in ("one", "two"):
        (bundle / "rootfs" / name).mkdir()

    def change(config: dict) -> None:
        config["linux"]["maskedPaths"] = ["/one", "/two"]
        config["process"]["args"] = ["sh", "-c", "stat -c %d /one /two; touch /two/file"]

    result = run_with(oci, bundle, change)
    first, second = result.stdout.split()
    assert first == second
    assert "Read-only file system" in result.stderr


@pytest.mark.parametrize("word", ["idmap", "ridmap"])
@pytest.mark.parametrize("joined", [False, True])
def test_other_owners_below_a_mount_and_by_an_entered_user_namespace(
    oci: Run, bundle: Path, guarded: Path, word: str, joined: bool
) -> None:
    """`ridmap` means what hangs below, too; where no map is written, the user namespace's own counts."""
    upper = guarded.parent / "upper"
    (upper / "below").mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(guarded), str(upper / "below")], check=True)

    def change(config: dict) -> None:
        add_user_namespace(config, bundle)
        if joined:
            pid = json.loads(oci("state", "first").stdout)["pid"]
            config["linux"]["namespaces"][-1]["path"] = f"/proc/{pid}/ns/user"
            del config["linux"]["uidMappings"], config["linux"]["gidMappings"]
        config["mounts"].append(
            {"destination": "/data", "type": "bind", "source": str(upper), "options": ["rbind", word]}
        )
        config["process"]["args"] = ["stat", "-c", "%u", "/data", "/data/below"]

    try:
        if joined:
            configure(oci, bundle, lambda config: (add_user_namespace(config, bundle), args("sleep", "99")(config))[0])
            oci("run", "-d", "-b", str(bundle), "first")
        result = run_with(oci, bundle, change)
    finally:
        subprocess.run(["umount", str(upper / "below")], check=True)
    assert result.stdout.split() == ["0", "0" if word == "ridmap" else "65534"], result.stderr


def test_a_file_system_that_is_mounted_already_gets_other_options(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        for words in (["size=64k", "nosuid"], ["remount", "size=32k", "noexec", "ro"]):
            config["mounts"].append({"destination": "/data", "type": "tmpfs", "source": "data", "options": words})
        # As mount(8)'s: the mount gets other flags, its file system stays, and no source is looked at.
        for kind, words in (("tmpfs", ["mode=700"]), ("none", ["bind", "remount", "ro", "nodev"])):
            config["mounts"].append({"destination": "/bound", "type": kind, "source": "bound", "options": words})
        counted = ["iversion", "size=32k", "noatime"]
        config["mounts"].append({"destination": "/more", "type": "tmpfs", "source": "more", "options": counted})
        config["process"]["args"] = ["grep", "-E", "^(data|more|bound)", "/proc/mounts"]

    data, bound, more = run_with(oci, bundle, change).stdout.splitlines()
    assert bound.split()[3] == "ro,nodev,relatime,mode=700"
    assert data.split()[3] == "ro,noexec,relatime,size=32k"
    assert more.split()[3] == "rw,noatime,size=32k"

    def nothing(config: dict) -> None:
        config["mounts"].append({"destination": "/no", "type": "tmpfs", "options": ["remount", "ro"]})

    assert "nothing is mounted at /no" in run_with(oci, bundle, nothing).stderr


@pytest.mark.parametrize("users", [False, True])
def test_what_is_in_a_device_s_place_is_it_or_an_error(oci: Run, bundle: Path, users: bool) -> None:
    place = bundle / "rootfs" / "opt" / "odd"
    place.parent.mkdir()
    os.mknod(place, 0o20600, os.makedev(1, 5))

    def change(config: dict) -> None:
        if users:
            add_user_namespace(config, bundle)
        config["linux"]["devices"] = [{"path": "/opt/odd", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640}]
        config["process"]["args"] = ["stat", "-c", "%t:%T:%a", "/opt/odd"]

    assert run_with(oci, bundle, change).stdout == "1:5:640\n"
    place.unlink()
    place.write_text("an image's own\n")
    told = run_with(oci, bundle, change)
    assert (told.returncode, told.stdout) == (1, "")
    assert "/opt/odd is there already, and is not the device c 1:5" in told.stderr
    assert place.read_text() == "an image's own\n"
