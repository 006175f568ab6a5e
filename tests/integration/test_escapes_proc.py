"""What a bundle's mounts must not cover, and what must not be found through an image's /dev; docs/escapes.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.oci import Run, bundle, oci, run_with

__all__ = ["bundle", "oci"]


@pytest.mark.parametrize("link", ["", "way"])
@pytest.mark.parametrize("place", ["", "/version", "/sys", "/self/attr/exec"])
def test_2019_16884_nothing_covers_proc_or_what_is_in_it(oci: Run, bundle: Path, place: str, link: str) -> None:
    """Masks, and what engines read and write there, would be of whoever made the cover. A link leads there, too."""
    (bundle / "rootfs" / "way").symlink_to("proc")
    (bundle / "file").touch()

    def change(config: dict) -> None:
        source = bundle / "file" if place in ("/version", "/self/attr/exec") else bundle / "rootfs" / "bin"
        destination = f"/{link or 'proc'}{place}"
        config["mounts"].append({"destination": destination, "type": "bind", "source": str(source)})
        config["process"]["args"] = ["true"]

    result = run_with(oci, bundle, change)
    assert result.returncode == 1
    assert f"cannot be mounted because it is {'inside /proc' if place else 'not of type proc'}" in result.stderr


def test_what_lxcfs_shows_may_cover_a_file_of_proc(oci: Run, bundle: Path) -> None:
    (bundle / "uptime").write_text("1.00 2.00\n")

    def change(config: dict) -> None:
        mount = {"destination": "/proc/uptime", "type": "bind", "source": str(bundle / "uptime")}
        config["mounts"] += [mount, {"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]}]
        config["mounts"].append(mount)
        config["process"]["args"] = ["cat", "/proc/uptime"]

    assert run_with(oci, bundle, change).stdout == "1.00 2.00\n"


def test_2026_88265_the_null_device_of_an_image_gets_no_stream_and_no_owner(
    oci: Run, bundle: Path, tmp_path: Path
) -> None:
    """crun opened /dev/null again for the standard streams, inside: a link there led to a host's file in a mount."""
    victim = tmp_path / "victim"
    victim.write_text("the host's")
    (bundle / "rootfs" / "dev").mkdir()
    (bundle / "rootfs" / "dev" / "null").symlink_to("/data")

    def change(config: dict) -> None:
        config["process"].update(args=["sh", "-c", "readlink /proc/self/fd/*; echo mine >/dev/null; echo over"])
        config["process"]["user"] = {"uid": 1000, "gid": 1000}
        config["root"]["readonly"] = False
        config["mounts"] = [mount for mount in config["mounts"] if not mount["destination"].startswith("/dev")]
        config["mounts"].append({"destination": "/data", "type": "bind", "source": str(victim)})

    result = run_with(oci, bundle, change)
    assert result.stdout.endswith("over\n"), result.stderr
    assert "/data" not in result.stdout
    assert (victim.read_text(), victim.stat().st_uid) == ("the host's", 0)
