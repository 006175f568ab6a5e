"""The device filter, asked by real opens of real nodes."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from minidock.kernel import bpf, device_filter
from minidock.kernel.device_filter import ALLOW_ALL, DENY_ALL
from minidock.spec import DeviceRule, Resources
from tests.support.cgroups import Group, v1_part
from tests.support.needs import require_root


@pytest.fixture(autouse=True)
def _root() -> None:
    require_root()


ASK = """
import stat
def ask(path, flags):
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK))
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]
def make(name, kind, major, minor):
    try:
        os.mknod(name, kind | 0o600, os.makedev(major, minor))
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]
R, W, RW, B, C = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, stat.S_IFBLK, stat.S_IFCHR
"""


def answers(group: Group, *questions: str) -> list[str]:
    status, said = group.run(f"{ASK}\nprint({', '.join(questions)})")
    assert status == 0, said
    return said.split()


def rule(minor: int, access: str) -> DeviceRule:
    return DeviceRule(allow=True, type="c", major=1, minor=minor, access=access)


@pytest.mark.vm
def test_an_ordinary_container_has_dockers_devices_and_no_others(tmp_path: Path) -> None:
    node = f"{tmp_path}/node"
    with Group() as group:
        said = answers(
            group,
            'ask("/dev/null", RW)',
            'ask("/dev/zero", RW)',
            'ask("/dev/full", R)',
            'ask("/dev/urandom", R)',
            'ask("/dev/kmsg", R)',
            'ask("/dev/mem", R)' if os.path.exists("/dev/mem") else '"EPERM"',
            f'make("{node}null", C, 1, 3)',
            f'ask("{node}null", RW)',
            f'make("{node}disk", B, 259, 77)',
            f'ask("{node}disk", R)',
        )
    assert said == ["ok", "ok", "ok", "ok", "EPERM", "EPERM", "ok", "ok", "ok", "EPERM"]
    # The same node outside: nobody is there behind the number, but nobody says no either.
    with pytest.raises(OSError, match="No such device or address"):
        os.open(f"{node}disk", os.O_RDONLY)


def test_reading_may_be_allowed_without_writing() -> None:
    with Group(Resources(devices=[DENY_ALL, rule(11, "r")])) as group:
        assert answers(group, 'ask("/dev/kmsg", R)', 'ask("/dev/kmsg", RW)', 'ask("/dev/kmsg", W)') == [
            "ok",
            "EPERM",
            "EPERM",
        ]


def test_a_later_rule_takes_back_a_part(tmp_path: Path) -> None:
    taken = DeviceRule(allow=False, type="c", major=1, minor=11, access="w")
    rules = [ALLOW_ALL, taken]
    with Group(Resources(devices=rules)) as group:
        disk = f'make("{tmp_path}/disk", B, 259, 77), ask("{tmp_path}/disk", R)'
        assert answers(group, 'ask("/dev/kmsg", R)', 'ask("/dev/kmsg", RW)', disk) == ["ok", "EPERM", "ok", "ENXIO"]


@pytest.mark.vm
def test_a_privileged_container_has_no_filter() -> None:
    with Group(Resources(devices=[ALLOW_ALL])) as group:
        assert device_filter.read(group.cgroup) == {"programs": []}
        assert answers(group, 'ask("/dev/kmsg", R)') == ["ok"]


def install(group: Group, rules: Sequence[DeviceRule]) -> None:
    assert group.cgroup.v2 is not None
    fd = os.open(group.cgroup.v2, os.O_RDONLY)
    try:
        device_filter.install(fd, rules)
        assert len(bpf.attached(fd)) == 1
    finally:
        os.close(fd)


def test_replacing_leaves_one_program_that_counts() -> None:
    with Group() as group:
        assert answers(group, 'ask("/dev/kmsg", R)') == ["EPERM"]
        install(group, [*device_filter.DEFAULT_DEVICE_RULES, rule(11, "rw")])
        assert answers(group, 'ask("/dev/kmsg", R)', 'ask("/dev/null", RW)') == ["ok", "ok"]
        install(group, device_filter.DEFAULT_DEVICE_RULES)
        assert answers(group, 'ask("/dev/kmsg", R)') == ["EPERM"]


def test_the_program_goes_with_the_cgroup() -> None:
    with Group() as group:
        (number,) = device_filter.read(group.cgroup)["programs"]  # type: ignore[misc,attr-defined]
        os.close(bpf.open_id(number))
    # The kernel frees the cgroup, and the program with it, a moment after rmdir.
    import time

    for _ in range(200):
        try:
            os.close(bpf.open_id(number))
        except Exception as error:  # noqa: BLE001 - the message is checked
            assert "ENOENT" in str(error)
            return
        time.sleep(0.05)
    pytest.fail("the program outlives its cgroup")


def test_many_rules_make_a_program_that_the_kernel_takes() -> None:
    rules = [DENY_ALL, *(rule(minor, "rw") for minor in range(12, 400)), rule(11, "r")]
    with Group(Resources(devices=rules)) as group:
        assert answers(group, 'ask("/dev/kmsg", R)', 'ask("/dev/kmsg", W)') == ["ok", "EPERM"]


def test_a_host_with_version_1_only_filters_with_its_devices_hierarchy() -> None:
    with Group(Resources(devices=[DENY_ALL, rule(11, "r")]), hierarchies=v1_part()) as group:
        assert answers(group, 'ask("/dev/kmsg", R)', 'ask("/dev/kmsg", RW)', 'ask("/dev/null", RW)') == [
            "ok",
            "EPERM",
            "ok",
        ]
        listed = Path(group.cgroup.need("devices", "look"), "devices.list").read_text().split("\n")
        assert "c 1:11 r" in listed
        assert "a *:* rwm" not in listed
