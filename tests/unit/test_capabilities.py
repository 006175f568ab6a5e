"""Which capabilities --cap-add, --cap-drop and --privileged come to, and what the steps say of themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minidock import spec
from minidock.errors import UsageError
from minidock.kernel import capabilities
from minidock.kernel.capabilities import DEFAULT, NAMES, DropBoundingSet, resolve, set_capabilities
from minidock.steps import from_journal, to_journal

HEADER = Path("/usr/include/linux/capability.h")


@pytest.fixture(autouse=True)
def _a_kernel_with_all_but_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests must not depend on what this machine's bounding set has: here all but CAP_SYS_RESOURCE."""
    lacking = capabilities.NUMBERS["CAP_SYS_RESOURCE"]
    monkeypatch.setattr(capabilities, "in_bounding_set", lambda number: number < len(NAMES) and number != lacking)


def test_numbers_are_the_kernels() -> None:
    if not HEADER.exists():
        pytest.skip("needs linux-libc-dev")
    found = re.findall(r"^#define (CAP_\w+)\s+(\d+)$", HEADER.read_text(), re.M)
    assert {name: int(number) for name, number in found} == capabilities.NUMBERS


def test_default_is_dockers_mask() -> None:
    assert capabilities.mask(DEFAULT) == 0xA80425FB


def test_root_uses_what_it_may_and_others_only_have_a_ceiling() -> None:
    assert resolve([], [], False) == spec.Capabilities(bounding=DEFAULT, effective=DEFAULT, permitted=DEFAULT)
    assert resolve([], [], False, uid=1000) == spec.Capabilities(bounding=DEFAULT)


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        (["net_admin"], [], {*DEFAULT, "CAP_NET_ADMIN"}),
        (["CAP_NET_ADMIN"], ["cap_chown", "Kill"], {*DEFAULT, "CAP_NET_ADMIN"} - {"CAP_CHOWN", "CAP_KILL"}),
        ([], ["ALL"], set()),
        (["chown"], ["all"], {"CAP_CHOWN"}),
        (["ALL"], [], {*NAMES} - {"CAP_SYS_RESOURCE"}),
        (["all"], ["sys_admin"], {*NAMES} - {"CAP_SYS_RESOURCE", "CAP_SYS_ADMIN"}),
        (["ALL"], ["ALL"], {*NAMES} - {"CAP_SYS_RESOURCE"}),
        (["chown", "CHOWN"], ["chown"], set(DEFAULT)),
    ],
)
def test_adding_and_dropping(add: list[str], drop: list[str], expected: set[str]) -> None:
    bounding = resolve(add, drop, False).bounding
    assert set(bounding) == expected
    assert len(bounding) == len(expected)


def test_privileged_has_all_that_can_be_had_whatever_is_dropped() -> None:
    assert set(resolve([], ["CHOWN"], True).bounding) == {*NAMES} - {"CAP_SYS_RESOURCE"}


@pytest.mark.parametrize(
    ("add", "drop", "message"),
    [
        (["foo"], [], 'invalid CapAdd: unknown capability: "CAP_FOO"'),
        ([], ["cap_foo"], 'invalid CapDrop: unknown capability: "CAP_FOO"'),
        (["CAP_ALL"], [], 'invalid CapAdd: unknown capability: "CAP_ALL"'),
        (
            ["sys_resource"],
            [],
            "invalid CapAdd: capability not supported by your kernel or not available in the current environment: "
            '"CAP_SYS_RESOURCE"',
        ),
    ],
)
def test_what_can_not_be_given_is_said(add: list[str], drop: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        resolve(add, drop, False)
    assert raised.value.message == message


def test_dropping_what_is_not_there_is_no_mistake() -> None:
    assert resolve([], ["SYS_RESOURCE"], False).bounding == DEFAULT


def test_masks_and_names_are_inverse() -> None:
    assert capabilities.names_of(capabilities.mask(NAMES)) == NAMES
    assert capabilities.names_of(1 << 50) == ["CAP_50"]
    assert capabilities.mask(["CAP_NO_SUCH_THING", "CAP_CHOWN"]) == 1


def test_steps_speak_and_survive_the_journal() -> None:
    drop = DropBoundingSet(["CAP_CHOWN", "CAP_NET_RAW"])
    assert drop.describe() == "drop all but 2 capabilities (chown, net_raw) from the bounding set"
    assert drop.setpriv() == ["--bounding-set=-all,+chown,+net_raw"]
    keep = set_capabilities(spec.Capabilities(effective=["CAP_CHOWN"], permitted=["CAP_CHOWN"], ambient=[]))
    assert keep.setpriv() == ["--inh-caps=-all", "--ambient-caps=-all"]
    assert keep.describe() == "keep 1 capability (chown)"
    assert set_capabilities(spec.Capabilities()).describe() == "give up all capabilities"
    assert from_journal(to_journal([drop, keep])) == [drop, keep]
