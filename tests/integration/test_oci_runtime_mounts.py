"""`mounts`, crun's command: mounts for a container that runs already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.oci import Run, add_user_namespace, args, bundle, configure, oci

__all__ = ["bundle", "oci"]


def listed(bundle: Path, *mounts: dict[str, Any]) -> str:
    """The file with the mounts."""
    file = bundle / "mounts.json"
    file.write_text(json.dumps(mounts))
    return str(file)


def mounted(oci: Run) -> dict[str, str]:
    """Where, and how, as the container sees it."""
    lines = oci("exec", "box", "cat", "/proc/self/mountinfo").stdout.splitlines()
    return {line.split(" ")[4]: line.split(" ")[5] for line in lines}


@pytest.fixture
def shown(bundle: Path) -> dict[str, Any]:
    """A mount of a directory with one file, read-only."""
    (bundle / "shown").mkdir()
    (bundle / "shown/words").write_text("hello\n")
    return {"destination": "/data/deep", "type": "bind", "source": "shown", "options": ["bind", "ro"]}


@pytest.mark.parametrize("users", ["the host's", "its own"])
def test_they_come_and_go(oci: Run, bundle: Path, shown: dict[str, Any], users: str) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["args"] = ["sleep", "1000"]
        config["root"]["readonly"] = False
        if users == "its own":
            add_user_namespace(config, bundle)

    configure(oci, bundle, change)
    oci("run", "-d", "-b", str(bundle), "box")
    before = mounted(oci)
    file = listed(bundle, shown, {"destination": "/scratch", "type": "tmpfs", "options": ["noexec", "size=64k"]})
    oci("mounts", "add", "box", file)
    added = {place: set(how.split(",")) for place, how in mounted(oci).items() if place not in before}
    assert added.keys() == {"/data/deep", "/scratch"}
    assert "ro" in added["/data/deep"]
    assert "noexec" in added["/scratch"]
    script = "cat /data/deep/words; stat -c %u /data /scratch; echo > /scratch/mine && echo written"
    assert oci("exec", "box", "sh", "-c", script).stdout.split() == ["hello", "0", "0", "written"]
    oci("mounts", "remove", "box", file)
    assert mounted(oci) == before


def test_all_or_none(oci: Run, bundle: Path, shown: dict[str, Any]) -> None:
    (bundle / "rootfs/file").touch()
    configure(oci, bundle, lambda config: (args("sleep", "1000")(config), config["root"].update(readonly=False))[0])
    oci("run", "-d", "-b", str(bundle), "box")
    before = mounted(oci)
    refused = oci("mounts", "add", "box", listed(bundle, shown, {**shown, "destination": "/file"}), check=False)
    assert refused.returncode == 1
    assert "mount a directory onto a file" in refused.stderr
    assert mounted(oci) == before


def test_a_link_of_the_container_s_doesn_t_choose_what_is_unmounted(oci: Run, bundle: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["args"] = ["sleep", "1000"]
        config["linux"]["maskedPaths"] = ["/proc/meminfo"]

    (bundle / "rootfs/link").symlink_to("proc")
    configure(oci, bundle, change)
    oci("run", "-d", "-b", str(bundle), "box")
    assert "/proc/meminfo" in (before := mounted(oci))
    wanted = listed(bundle, {"destination": "/link/meminfo", "type": "tmpfs"})
    assert "too many levels of symbolic links" in oci("mounts", "remove", "box", wanted, check=False).stderr.lower()
    assert mounted(oci) == before


REFUSED = [
    ({"destination": "/p", "type": "proc"}, "can't add a proc"),
    ({"destination": "/..", "type": "tmpfs"}, "can't be the root"),
    ({"destination": "/t", "type": "tmpfs", "options": ["tmpcopyup"]}, "for config.json alone"),
    ({"destination": "/t", "type": "bind", "source": "/no/such"}, "bind source path does not exist"),
    ({"type": "tmpfs"}, "destination"),
]


def test_what_is_refused(oci: Run, bundle: Path) -> None:
    configure(oci, bundle, args("true"))
    oci("create", "-b", str(bundle), "box")
    for mount, words in REFUSED:
        refused = oci("mounts", "add", "box", listed(bundle, mount), check=False)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
        assert words in refused.stderr


def test_who_can_have_none(oci: Run, bundle: Path) -> None:
    file = listed(bundle)
    assert "does not exist" in oci("mounts", "add", "nobody", file, check=False).stderr
    configure(oci, bundle, args("true"))
    oci("run", "--keep", "-b", str(bundle), "box")
    assert "container not running" in oci("mounts", "add", "box", file, check=False).stderr
    assert "unknown command 'move'" in oci("mounts", "move", "box", file, check=False).stderr
