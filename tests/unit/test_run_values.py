"""The rarer flags of `run`, as far as words go: rates, weights, propagation, what a host can't keep."""

from __future__ import annotations

import pytest

from minidock.cli import parse_blkio as blkio
from minidock.cli.flags import go_uint, parse
from minidock.cli.request import build
from minidock.cli.run_flags import CREATE_FLAGS, REFUSED, RUN_FLAGS
from minidock.engine import fit, volume_mounts, volume_store
from minidock.engine.record import Record
from minidock.errors import UsageError
from minidock.kernel import bind
from minidock.kernel.cgroup_files import Hierarchies
from minidock.model.container import ContainerConfig
from minidock.model.host import BindOptions, BlkioWeightDevice, HostConfig, MountRequest, ThrottleDevice, VolumeOptions
from minidock.model.state import MountPoint


def host(*words: str) -> HostConfig:
    values, _ = parse(RUN_FLAGS, [*words, "busybox"], interspersed=False)
    return build("busybox", [], values).host_config


@pytest.mark.parametrize(
    ("words", "member", "value"),
    [
        (["--blkio-weight", "300"], "blkio_weight", 300),
        (["--blkio-weight-device", "/dev/sda:10"], "blkio_weight_device", [BlkioWeightDevice("/dev/sda", 10)]),
        (["--device-read-bps", "/dev/sda:1mb"], "blkio_device_read_bps", [ThrottleDevice("/dev/sda", 1 << 20)]),
        (["--device-write-bps", "/dev/sda:1k"], "blkio_device_write_bps", [ThrottleDevice("/dev/sda", 1024)]),
        (["--device-read-iops", "/dev/sda:7"], "blkio_device_read_iops", [ThrottleDevice("/dev/sda", 7)]),
        (["--device-write-iops", "/dev/sda:0"], "blkio_device_write_iops", [ThrottleDevice("/dev/sda", 0)]),
        (["--cgroup-parent", "/x"], "cgroup_parent", "/x"),
        (["--cpu-rt-period", "9", "--cpu-rt-runtime", "8"], "cpu_realtime_runtime", 8),
        (["--oom-kill-disable"], "oom_kill_disable", True),
        (["--volumes-from", "a", "--volumes-from", "b:ro"], "volumes_from", ["a", "b:ro"]),
        (["--volume-driver", "local"], "volume_driver", "local"),
        (["--storage-opt", "size=1g"], "storage_opt", {"size": "1g"}),
        (["--runtime", "minidock"], "runtime", "minidock"),
        (["--isolation", "default"], "isolation", "default"),
        (["-v", "/a:/b:idmap,ro"], "binds", ["/a:/b:idmap,ro"]),
    ],
)
def test_each_arrives_where_the_api_has_it(words: list[str], member: str, value: object) -> None:
    assert getattr(host(*words), member) == value


@pytest.mark.parametrize(
    ("parser", "raw", "text"),
    [
        (blkio.weight, "x", 'strconv.ParseUint: parsing "x": invalid syntax'),
        (blkio.weight, "-1", 'strconv.ParseUint: parsing "-1": invalid syntax'),
        (blkio.weight, "65536", 'strconv.ParseUint: parsing "65536": value out of range'),
        (blkio.device_weight, "/dev/sda", "bad format: /dev/sda"),
        (blkio.device_weight, ":5", "bad format: :5"),
        (blkio.device_weight, "sda:50", "bad format for device path: sda:50"),
        (blkio.device_weight, "/dev/sda:9", "invalid weight for device: /dev/sda:9"),
        (blkio.device_weight, "/dev/sda:1001", "invalid weight for device: /dev/sda:1001"),
        (blkio.device_weight, "/dev/sda:0x20", "invalid weight for device: /dev/sda:0x20"),
        (blkio.byte_rate, "/dev/sda:-1", "invalid rate for device: /dev/sda:-1. The correct format is <device-path>:"),
        (blkio.byte_rate, "/dev/sda:", "invalid rate for device: /dev/sda:."),
        (blkio.operation_rate, "/dev/sda:1k", "invalid rate for device: /dev/sda:1k. The correct format is"),
        (blkio.operation_rate, "/dev/sda:18446744073709551616", "invalid rate for device"),
    ],
)
def test_rates_and_weights_that_cant_be(parser: object, raw: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parser(raw)  # type: ignore[operator]
    assert str(caught.value.message).startswith(text)


@pytest.mark.parametrize(("raw", "base", "value"), [("0x10", 0, 16), ("010", 0, 8), ("010", 10, 10), ("0", 10, 0)])
def test_go_uint(raw: str, base: int, value: int) -> None:
    assert go_uint(raw, 16, base=base) == value


@pytest.mark.parametrize("name", [flag.name for flag in REFUSED])
def test_what_is_refused_says_its_name(name: str) -> None:
    flag = next(flag for flag in CREATE_FLAGS if flag.name == name)
    with pytest.raises(UsageError, match=f"--{name} (is not supported|is only for|can't be honoured)"):
        parse(RUN_FLAGS, [f"--{name}", *(["1"] if flag.kind else []), "busybox"])


# What a host can keep


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (HostConfig(runtime="kata"), "Unknown runtime specified kata"),
        (HostConfig(isolation="hyperv"), "Invalid isolation: \"hyperv\" - linux only supports 'default'"),
        (HostConfig(storage_opt={"size": "1g"}), "--storage-opt is supported only for overlay over xfs"),
        (HostConfig(storage_opt={"a": "b"}), "Unknown option a"),
        (HostConfig(blkio_weight=5), "Range of blkio weight is from 10 to 1000"),
        (HostConfig(cpu_realtime_runtime=2, cpu_realtime_period=1), "cannot be higher than cpu real-time period"),
        (HostConfig(tmpfs={"/t": "size=1m,colour=blue"}), 'invalid tmpfs option ["colour=blue"]'),
        (HostConfig(tmpfs={"/t": "bind"}), 'invalid tmpfs option ["bind"]'),
        (HostConfig(tmpfs={"/t": "size"}), 'invalid tmpfs option ["size"]'),
    ],
)
def test_what_no_host_keeps(config: HostConfig, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        fit.fit(config)
    assert text in caught.value.message


@pytest.mark.parametrize("words", ["", "size=1m,mode=700,uid=5", "ro,noatime,exec", "rw,suid,dev", "nr_inodes=5"])
def test_words_that_a_tmpfs_knows(words: str) -> None:
    assert fit.fit(HostConfig(tmpfs={"/t": words})) == (HostConfig(tmpfs={"/t": words}), [])


def test_two_wishes_are_left_out_on_version_2_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    hierarchies = Hierarchies(v2_mount="/sys/fs/cgroup", v2_controllers=["memory"])
    monkeypatch.setattr(fit, "discover", lambda: hierarchies)
    found, warnings = fit.fit(HostConfig(oom_kill_disable=True, memory_swappiness=5))
    assert (found.oom_kill_disable, found.memory_swappiness) == (False, None)
    assert [line.split(".")[0] for line in warnings] == [
        "Your kernel does not support OomKillDisable",
        "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted",
    ]


def test_on_version_1_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "discover", lambda: Hierarchies(v1={"memory": "/sys/fs/cgroup/memory"}))
    asked = HostConfig(oom_kill_disable=True, memory=64 << 20, memory_swappiness=5)
    assert fit.fit(asked) == (asked, [])
    assert "no memory limit is set" in fit.fit(HostConfig(oom_kill_disable=True))[1][0]


# Mounts


def record(*requests: MountRequest, points: list[MountPoint], inherited: list[MountRequest] | None = None) -> Record:
    config = HostConfig(mounts=list(requests))
    return Record(
        "1" * 64, "n", "", "busybox", "", ContainerConfig(), config, [], mounts=points, inherited=inherited or []
    )


def words(*requests: MountRequest, rw: bool = True, **others: object) -> list[str]:
    point = MountPoint("bind", source="/srv", destination="/v", rw=rw, propagation="rprivate")
    return volume_mounts.oci_mount(point, record(*requests, points=[point], **others)).options  # type: ignore[arg-type]


def test_a_read_only_bind_covers_what_hangs_below() -> None:
    assert words(rw=False) == ["rbind", "rprivate", "rro"]
    flat = MountRequest("bind", "/v", "/srv", bind_options=BindOptions(non_recursive=True))
    assert words(flat, rw=False) == ["bind", "rprivate", "ro"]
    top = MountRequest("bind", "/v", "/srv", bind_options=BindOptions(read_only_non_recursive=True))
    assert words(top, rw=False) == ["rbind", "rprivate", "ro"]


def test_a_part_of_a_volume_also_when_inherited() -> None:
    part = MountRequest("volume", "/v", "data", volume_options=VolumeOptions(subpath="a/b"))
    assert words(part) == ["rbind", "rprivate", "X-mount.subdir=a/b"]
    assert words(inherited=[part]) == ["rbind", "rprivate", "X-mount.subdir=a/b"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"colour": "blue"}, 'create v: invalid option: "colour"'),
        ({"type": "tmpfs"}, 'create v: missing required option: "device"'),
        ({"device": "/srv"}, 'create v: missing required option: "type"'),
    ],
)
def test_options_of_a_volume(options: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        volume_store.check_options("v", options)
    assert caught.value.message == text


MOUNTINFO = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:20 / /srv rw shared:5 - tmpfs t rw
24 23 0:21 / /srv/a\\040b rw,relatime master:5 - tmpfs t rw
25 22 0:22 / /srv2 rw - tmpfs t rw
"""


@pytest.mark.parametrize(
    ("path", "place", "links"),
    [
        ("/nosuch/x", "/", set()),
        ("/srv", "/srv", {"shared"}),
        ("/srv/x/y", "/srv", {"shared"}),
        ("/srv/a b/c", "/srv/a b", {"master"}),
        ("/srv2/x", "/srv2", set()),
        ("/srvx", "/", set()),
    ],
)
def test_which_mount_holds_a_path(path: str, place: str, links: set[str]) -> None:
    assert bind.peers(path, MOUNTINFO) == (place, links)


@pytest.mark.parametrize(("words", "travels"), [(["rbind", "rprivate"], False), (["rslave"], True), (["shared"], True)])
def test_what_travels(words: list[str], travels: bool) -> None:
    assert bind.travels(words) is travels
