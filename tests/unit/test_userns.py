"""User namespaces, the part that needs no root: ranges, maps, settings, and what the plan hands to whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from minidock.engine import userns
from minidock.errors import MinidockError, UsageError
from minidock.kernel import bind, cgroups, devices, idmap, namespaces, subid, sysctl, user
from minidock.model.host import HostConfig
from minidock.paths import Layout
from minidock.runtime.plan import Extras, plan
from minidock.runtime.planned import Plan
from minidock.spec import Device, IdMapping, Linux, Mount, Namespace, Process, Root, Spec
from tests.support import cgroups as fake

RANGE = [IdMapping(0, 100_000, 65_536)]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# subid


def test_ranges_are_laid_end_to_end(tmp_path: Path) -> None:
    file = write(tmp_path / "subuid", "# comment\nother:1:2\nme:100000:1000\nme:300000:500\n1234:900000:7\n")
    assert subid.mappings(file, "me", 1234) == [
        IdMapping(0, 100_000, 1000),
        IdMapping(1000, 300_000, 500),
        IdMapping(1500, 900_000, 7),
    ]


@pytest.mark.parametrize("text", ["", "other:1:2\n", "me:100000:0\n"])
def test_nobody_gets_a_range_that_is_not_there(tmp_path: Path, text: str) -> None:
    with pytest.raises(MinidockError, match="me has no subordinate ids") as caught:
        subid.mappings(write(tmp_path / "subuid", text), "me", None)
    assert "echo me:100000:65536 >>" in caught.value.hint


def test_a_missing_file_is_no_range(tmp_path: Path) -> None:
    with pytest.raises(MinidockError, match="no subordinate ids"):
        subid.mappings(tmp_path / "nosuch", "me", None)


@pytest.mark.parametrize("line", ["me", "me:1", "me:x:1", "me:1:2:3", "me:-1:2"])
def test_a_broken_line_is_told(tmp_path: Path, line: str) -> None:
    with pytest.raises(MinidockError, match=r"not a line of subuid\(5\)"):
        subid.mappings(write(tmp_path / "subuid", f"{line}\n"), "me", None)


# Whom an id stands for


@pytest.mark.parametrize(("inside", "outside"), [(0, 100_000), (65_535, 165_535), (65_536, 65_534), (70_000, 65_534)])
def test_outside(inside: int, outside: int) -> None:
    assert user.outside(RANGE, inside) == outside


# Idmapped binds


def seen(maps: list[IdMapping], disk: int) -> int | None:
    return next(
        (line.host_id + disk - line.container_id for line in maps if 0 <= disk - line.container_id < line.size),
        None,
    )


def test_the_owners_files_are_the_containers_roots() -> None:
    maps = idmap.exchange(1000, 0, [idmap.EVERYBODY])
    assert (seen(maps, 1000), seen(maps, 999), seen(maps, 1001)) == (0, 999, 1001)
    assert seen(maps, 0) is None, "nobody in the container may make a file of the host's root"


def test_within_a_user_namespace_the_mount_shows_its_ids() -> None:
    maps = idmap.exchange(1000, 5, RANGE)
    assert (seen(maps, 1000), seen(maps, 7)) == (100_005, 100_007)
    assert seen(maps, 0) is None
    assert seen(maps, 70_000) is None, "an id that the container doesn't know"


def test_who_is_the_owner_already_sees_everything_as_it_is() -> None:
    assert idmap.exchange(1000, 1000, [idmap.EVERYBODY]) == [idmap.EVERYBODY]


ids = some.integers(0, (1 << 32) - 2)


@given(ids, ids, some.lists(ids, max_size=6))
def test_a_map_is_one_to_one_and_the_kernel_takes_it(owner: int, inside: int, others: list[int]) -> None:
    maps = idmap.exchange(owner, inside, [idmap.EVERYBODY])
    assert seen(maps, owner) == inside
    tried = {owner, inside, 0, *others}
    shown = [found for disk in tried if (found := seen(maps, disk)) is not None]
    assert len(shown) == len(set(shown))
    for line in maps:  # user_namespaces(7): ranges don't overlap, on either side
        assert line.size > 0
        for other in maps:
            if other is not line:
                assert line.container_id + line.size <= other.container_id or other.container_id < line.container_id
                assert line.host_id + line.size <= other.host_id or other.host_id < line.host_id


# Settings


@pytest.fixture
def ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "subid", "dockremap:100000:65536\nroot:200000:10\nnogroup:300000:10\n")
    monkeypatch.setattr(subid, "SUBUID", file)
    monkeypatch.setattr(subid, "SUBGID", file)


def configured(layout: Layout, text: str) -> Layout:
    layout.root.mkdir(exist_ok=True)
    write(layout.settings, text)
    return layout


def test_without_a_file_nothing_is_remapped(layout: Layout) -> None:
    assert userns.remap(layout, HostConfig()) is None


@pytest.mark.usefixtures("ranges")
@pytest.mark.parametrize(
    ("word", "owner"),
    [
        ("default", (100_000, 100_000)),
        ("dockremap", (100_000, 100_000)),
        ("root", (200_000, 200_000)),
        ("0", (200_000, 200_000)),
        ("dockremap:nogroup", (100_000, 300_000)),
    ],
)
def test_the_ways_to_say_who(layout: Layout, word: str, owner: tuple[int, int]) -> None:
    if word == "0":
        file = subid.SUBUID
        file.write_text(file.read_text().replace("root:", "0:"))
    maps = userns.remap(configured(layout, f'{{"userns-remap": "{word}"}}'), HostConfig())
    assert maps is not None
    assert maps.owner() == owner
    assert userns.remap(layout, HostConfig(userns_mode="host")) is None


@pytest.mark.parametrize("text", ["", "{", '{"userns-remap": 5}', '{"colour": "blue"}', "[]"])
def test_settings_that_cant_be_read(layout: Layout, text: str) -> None:
    with pytest.raises(MinidockError, match=r"config\.json"):
        userns.settings(configured(layout, text))


@pytest.mark.usefixtures("ranges")
@pytest.mark.parametrize(
    ("host", "text"),
    [
        (HostConfig(privileged=True), "privileged mode is incompatible with user namespaces"),
        (HostConfig(network_mode="host"), "host's network namespace"),
        (HostConfig(pid_mode="host"), "host PID namespace"),
        (HostConfig(ipc_mode="host"), "host's IPC namespace"),
        (HostConfig(cgroupns_mode="host"), "host's cgroup namespace"),
    ],
)
def test_what_a_user_namespace_rules_out(layout: Layout, host: HostConfig, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        userns.remap(configured(layout, '{"userns-remap": "default"}'), host)


# The plan: what the parent does for a child that is root of a mere user namespace


def planned(tmp_path: Path, *, path: str = "") -> Plan:
    kinds = ("mount", "network", "uts", "pid", "ipc", "cgroup")
    config = Spec(
        oci_version="1.2.0",
        root=Root("rootfs"),
        process=Process(cwd="/", args=["true"], oom_score_adj=0),
        mounts=[
            Mount("/proc", "proc", "proc"),
            Mount("/dev", "tmpfs", "tmpfs", ["mode=755"]),
            Mount("/data", "bind", "/srv", ["rbind", "rprivate"]),
        ],
        linux=Linux(
            uid_mappings=RANGE,
            gid_mappings=RANGE,
            namespaces=[*map(Namespace, kinds), Namespace("user", path)],
            cgroups_path="/minidock/x",
        ),
    )
    made = cgroups.plan(fake.hybrid(tmp_path), "/minidock/x", None, child_joins=True)
    root = idmap.MountIdmappedOverlay(["/layer"], "/own", "/r", (100_000, 100_000))
    extras = Extras(root=[root], remapped=True)
    return plan(config, rootfs="/r", cgroups=made, extras=extras)


def kinds_of(steps: list) -> list[type]:
    return [type(step) for step in steps]


def test_the_parent_makes_what_the_child_may_not(tmp_path: Path) -> None:
    made = planned(tmp_path)
    joined, child = kinds_of(made.joined), kinds_of(made.child)
    assert joined.index(user.MapIds) < joined.index(sysctl.SetOomScoreAdj)
    assert devices.MakeDevice not in child
    assert sysctl.SetOomScoreAdj not in child
    lent = [idmap.MountIdmappedOverlay, devices.MakeDeviceDirectory, bind.BindMount]
    assert [kind for kind in child if kind in lent] == lent
    assert next(step for step in made.child if isinstance(step, bind.BindMount)).lent
    nodes = next(step for step in made.child if isinstance(step, devices.MakeDeviceDirectory))
    assert (nodes.uid, nodes.gid) == (100_000, 100_000)
    assert "user" in made.spawn.kinds


def test_a_user_namespace_that_exists_is_entered_before_the_birth(tmp_path: Path) -> None:
    made = planned(tmp_path, path="/proc/7/ns/user")
    assert user.MapIds not in kinds_of(made.joined)
    assert made.spawn.user_path == "/proc/7/ns/user"
    assert "user" not in made.spawn.kinds
    assert user.BecomeRoot in kinds_of(made.child)
    assert not [step for step in made.child if isinstance(step, namespaces.JoinNamespace) and step.kind == "user"]


@pytest.mark.parametrize("owner, outside", [(None, 100_000), (0, 100_000), (5, 100_005), (70_000, None)])
def test_who_owns_a_device_is_somebody_of_the_namespace(tmp_path: Path, owner: int | None, outside: int | None) -> None:
    config = Spec(
        oci_version="1.2.0",
        root=Root("rootfs"),
        process=Process(cwd="/", args=["true"]),
        linux=Linux(
            uid_mappings=RANGE,
            gid_mappings=RANGE,
            namespaces=[Namespace("mount"), Namespace("user")],
            devices=[Device("c", "/dev/own", 10, 229, uid=owner)],
            cgroups_path="/minidock/x",
        ),
    )
    made = cgroups.plan(fake.hybrid(tmp_path), "/minidock/x", None, child_joins=True)
    if outside is None:
        with pytest.raises(UsageError, match="/dev/own is to belong to 70000, whom the user namespace has no mapping"):
            plan(config, rootfs="/r", cgroups=made, extras=Extras())
        return
    child = plan(config, rootfs="/r", cgroups=made, extras=Extras()).child
    (node,) = [step for step in child if isinstance(step, devices.MakeDevice) and step.path == "/dev/own"]
    assert (node.uid, node.gid) == (outside, 100_000)
