"""The table of docs/gpus.md: which rules let through what, on both kinds of cgroups, by real opens of real nodes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minidock.engine.limits import device_rules
from minidock.errors import Unsupported
from minidock.kernel import bpf, cgroups, device_filter
from minidock.kernel.device_filter import ALLOW_ALL, DEFAULT_DEVICE_RULES, DENY_ALL
from minidock.model.host import HostConfig
from minidock.spec import DeviceRule, Resources
from tests.support.cgroups import Group, v1_part
from tests.support.instance import REPOSITORY
from tests.support.needs import require_root

ASK = """
import stat
def ask(what):
    access, kind, numbers = what.split()
    major, minor = numbers.split(":")
    path = DIRECTORY + "/" + kind + major + "-" + minor
    if not os.path.exists(path):
        os.mknod(path, (stat.S_IFCHR if kind == "c" else stat.S_IFBLK) | 0o600, os.makedev(int(major), int(minor)))
    flags = {"read": os.O_RDONLY, "write": os.O_WRONLY, "both": os.O_RDWR}[access]
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK))
        return "opened"
    except OSError as error:
        return errno.errorcode[error.errno]
for what in QUESTIONS:
    print(ask(what))
"""


def table() -> tuple[list[str], list[list[str]]]:
    """(questions, rows)."""
    lines = (REPOSITORY / "docs/gpus.md").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| rules |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[0][1:-1], rows[2:]


QUESTIONS, ROWS = table()


def rule(words: str) -> DeviceRule:
    allow = not words.startswith("not ")
    kind, numbers, access = words.removeprefix("not ").split()
    major, minor = (None if number == "*" else int(number) for number in numbers.split(":"))
    return DeviceRule(allow, kind, major, minor, access)


def resources(words: str) -> Resources:
    asked = [rule(word) for word in words.split(", ") if word != "none"]
    return Resources(devices=[*DEFAULT_DEVICE_RULES, *asked])


def answers(group: Group, directory: Path) -> list[str]:
    status, said = group.run(f"DIRECTORY, QUESTIONS = {str(directory)!r}, {QUESTIONS!r}\n{ASK}")
    assert status == 0, said
    return said.split()


HARDEST = "c 239:* rw, not c 239:1 rw"
"""The row that is tried on a machine with version 2 alone, too: the program is the same there."""


@pytest.mark.parametrize(
    "row", [pytest.param(row, marks=pytest.mark.vm if row[0] == HARDEST else (), id=row[0]) for row in ROWS]
)
def test_a_row_with_a_program_on_cgroup2(row: list[str], tmp_path: Path) -> None:
    require_root()
    with Group(resources(row[0])) as group:
        assert answers(group, tmp_path) == row[1:-1]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_with_lines_in_devices_allow(row: list[str], tmp_path: Path) -> None:
    require_root()
    hierarchies = v1_part()
    if row[-1] == "refused":
        with pytest.raises(Unsupported, match="keeps no exception from a wider rule"):
            Group(resources(row[0]), hierarchies=hierarchies)
        return
    with Group(resources(row[0]), hierarchies=hierarchies) as group:
        assert answers(group, tmp_path) == row[1:-1]


def test_the_rules_of_the_command_line_are_those_of_the_table() -> None:
    assert device_rules(HostConfig(device_cgroup_rules=["c 239:* rw"]))[-1] == rule("c 239:* rw")
    assert device_rules(HostConfig(privileged=True)) == [ALLOW_ALL]


GPU = DeviceRule(True, "c", 239, 0, "rw")


def test_a_daemon_reload_takes_nothing_away_and_gives_nothing(tmp_path: Path) -> None:
    """What systemd does with a unit's cgroup then: it hangs a new program of its own there, and takes the old one away.
    On ours, on its parent, before and after ours is replaced (`update`)."""
    require_root()
    expected = ["ENXIO", "ENXIO", "ENXIO", "EPERM", "EPERM"]
    with Group(Resources(devices=[*DEFAULT_DEVICE_RULES, GPU])) as group:
        assert group.cgroup.v2 is not None
        fds = [os.open(path, os.O_RDONLY) for path in (group.cgroup.v2, os.path.dirname(group.cgroup.v2))]
        theirs = [bpf.load(device_filter.program([ALLOW_ALL]), "sd_devices") for _ in range(2)]
        strict = bpf.load(device_filter.program([DENY_ALL]), "sd_devices")
        try:
            for fd in fds:
                bpf.attach(fd, theirs[0])
                assert answers(group, tmp_path) == expected
                bpf.attach(fd, theirs[1])
                bpf.detach(fd, theirs[0])
                assert answers(group, tmp_path) == expected
                device_filter.install(fds[0], [*DEFAULT_DEVICE_RULES, GPU])
                assert len(bpf.attached(fds[0])) == 2
                assert answers(group, tmp_path) == expected
            bpf.attach(fds[0], strict)  # while it hangs there it counts too
            assert answers(group, tmp_path) == ["EPERM"] * 5
            bpf.detach(fds[0], strict)
            assert answers(group, tmp_path) == expected
            for fd in fds:
                bpf.detach(fd, theirs[1])
            assert len(bpf.attached(fds[0])) == 1
        finally:
            for fd in (*fds, *theirs, strict):
                os.close(fd)


def test_a_rewrite_of_version_1_beside_the_program_changes_nothing(tmp_path: Path) -> None:
    """On a hybrid host the program decides: `a` in devices.allow, the widest that anybody can write, gives nothing."""
    require_root()
    v1_part()
    assert cgroups.discover().v2_mount
    with Group(Resources(devices=[*DEFAULT_DEVICE_RULES, GPU])) as group:
        directory = Path(group.cgroup.need("devices", "rewrite"))
        for lines in (["a"], ["c 239:0 rwm", "c 239:1 rwm"]):
            for line in lines:
                (directory / "devices.allow").write_text(line)
            assert answers(group, tmp_path) == ["ENXIO", "ENXIO", "ENXIO", "EPERM", "EPERM"]
