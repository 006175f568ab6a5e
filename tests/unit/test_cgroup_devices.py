"""The device filter: what the program says, as a small interpreter of BPF runs it, against the rules read naively."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidock.errors import Unsupported, UsageError
from minidock.kernel import bpf
from minidock.kernel.device_filter import (
    ALLOW_ALL,
    DEFAULT_DEVICE_RULES,
    DENY_ALL,
    HARMLESS,
    AttachDeviceFilter,
    effective,
    program,
    v1_lines,
)
from minidock.spec import DeviceRule

BITS = {"m": 1, "r": 2, "w": 4}
TYPES = {"b": 1, "c": 2}


def allow(kind: str, major: int | None, minor: int | None, access: str = "rwm") -> DeviceRule:
    return DeviceRule(allow=True, type=kind, major=major, minor=minor, access=access)


def deny(kind: str, major: int | None, minor: int | None, access: str = "rwm") -> DeviceRule:
    return DeviceRule(allow=False, type=kind, major=major, minor=minor, access=access)


# The promise, as plainly as it can be said


def promised(rules: list[DeviceRule], kind: str, major: int, minor: int, access: str) -> bool:
    """For each kind of access the last rule that matches counts; what none matches is denied."""

    def bit(letter: str) -> bool:
        for rule in reversed(rules):
            matches = rule.type in ("a", kind) and rule.major in (None, major) and rule.minor in (None, minor)
            if matches and letter in rule.access:
                return rule.allow
        return False

    return all(bit(letter) for letter in access)


# The machine


def run(code: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """Interpret the bytes that the kernel is given; an instruction that isn't known here is an error."""
    context = struct.pack("=III", sum(BITS[letter] for letter in access) << 16 | TYPES[kind], major, minor)
    registers = [None] * 11
    registers[1] = 0
    at = 0
    for _ in range(100_000):
        opcode, both, offset, constant = struct.unpack_from("=BBhi", code, at * 8)
        target, source = both & 15, both >> 4
        at += 1
        if opcode == 0x61:
            registers[target] = struct.unpack_from("=I", context, registers[source] + offset)[0]
        elif opcode == 0xB7:
            registers[target] = constant
        elif opcode == 0xBF:
            registers[target] = registers[source]
        elif opcode == 0x57:
            registers[target] &= constant
        elif opcode == 0x77:
            registers[target] >>= constant
        elif opcode == 0x55:
            at += offset if registers[target] != constant else 0
        elif opcode == 0x15:
            at += offset if registers[target] == constant else 0
        elif opcode == 0x95:
            assert registers[0] in (0, 1)
            return registers[0] == 1
        else:
            raise AssertionError(f"unknown opcode {opcode:#x}")
    raise AssertionError("the program doesn't end")


def machine_code(rules: list[DeviceRule]) -> bytes:
    return b"".join(instruction.bytes() for instruction in program(rules))


numbers = st.sampled_from([None, 0, 1, 2, 5, 200, (1 << 20) - 1])
accesses = st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"])
rules_of_all_kinds = st.lists(
    st.builds(
        DeviceRule, allow=st.booleans(), type=st.sampled_from("abc"), major=numbers, minor=numbers, access=accesses
    ),
    max_size=12,
)


@settings(max_examples=400, deadline=None)
@given(
    rules_of_all_kinds,
    st.lists(
        st.tuples(st.sampled_from("bc"), st.sampled_from([0, 1, 2, 5, 9]), st.sampled_from([0, 1, 3, 200]), accesses),
        min_size=1,
        max_size=20,
    ),
)
def test_the_program_decides_as_the_rules_promise(
    rules: list[DeviceRule], requests: list[tuple[str, int, int, str]]
) -> None:
    code = machine_code(rules)
    for request in requests:
        assert run(code, *request) is promised(rules, *request), request


@settings(max_examples=200, deadline=None)
@given(rules_of_all_kinds)
def test_every_instruction_can_be_reached(rules: list[DeviceRule]) -> None:
    """The verifier refuses a program with an instruction that no path leads to, or a jump out of it."""
    code = program(rules)
    reached, todo = set(), [0]
    while todo:
        at = todo.pop()
        if at in reached:
            continue
        reached.add(at)
        assert at < len(code)
        if code[at].opcode == 0x95:
            continue
        todo.append(at + 1)
        if code[at].opcode in (0x55, 0x15):
            todo.append(at + 1 + code[at].offset)
    assert reached == set(range(len(code)))


def test_a_program_for_one_device_reads_like_its_rule() -> None:
    code = program([DENY_ALL, allow("c", 1, 3, "rw")])
    assert bpf.listing(code).splitlines() == [
        "  0: r2 = *(u32 *)(r1 + 0)",
        "  1: r3 = r2",
        "  2: r2 &= 0xffff",
        "  3: r3 >>= 16",
        "  4: r4 = *(u32 *)(r1 + 4)",
        "  5: r5 = *(u32 *)(r1 + 8)",
        "  6: if r2 != 2 skip 6",
        "  7: if r4 != 1 skip 5",
        "  8: if r5 != 3 skip 4",
        "  9: r3 &= 0x1",
        " 10: if r3 != 0 skip 2",
        " 11: r0 = 1",
        " 12: return r0",
        " 13: r0 = 0",
        " 14: return r0",
    ]
    assert b"".join(instruction.bytes() for instruction in code).hex(" ", 8).split() == [
        "6112000000000000",
        "bf23000000000000",
        "57020000ffff0000",
        "7703000010000000",
        "6114040000000000",
        "6115080000000000",
        "5502060002000000",
        "5504050001000000",
        "5505040003000000",
        "5703000001000000",
        "5503020000000000",
        "b700000001000000",
        "9500000000000000",
        "b700000000000000",
        "9500000000000000",
    ]


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (("c", 1, 3, "rw"), True),  # /dev/null
        (("c", 1, 11, "r"), False),  # /dev/kmsg
        (("c", 1, 11, "m"), True),  # making the node is harmless
        (("c", 136, 77, "rw"), True),  # /dev/pts/77
        (("b", 8, 0, "r"), False),  # a disk
        (("b", 8, 0, "m"), True),
        (("b", 8, 0, "rm"), False),
        (("c", 10, 229, "rw"), False),  # /dev/fuse
    ],
)
def test_the_default_rules_are_dockers(request_: tuple[str, int, int, str], answer: bool) -> None:
    assert run(machine_code(list(DEFAULT_DEVICE_RULES)), *request_) is answer


def test_what_cannot_matter_is_left_out() -> None:
    assert effective([]) == [DENY_ALL]
    assert effective([allow("c", 1, 3), ALLOW_ALL, deny("b", 8, 0), *HARMLESS]) == [
        ALLOW_ALL,
        deny("b", 8, 0),
        *HARMLESS,
    ]
    assert effective([DENY_ALL, deny("c", 1, 3), allow("c", 1, 5), allow("c", 1, 5)]) == [DENY_ALL, allow("c", 1, 5)]
    assert effective([ALLOW_ALL, *HARMLESS]) == [ALLOW_ALL]


def test_wildcards_of_other_tools() -> None:
    minus_one = DeviceRule(allow=True, type="c", major=-1, minor=-1, access="mr")
    assert effective([minus_one]) == [DENY_ALL, allow("c", None, None, "rm")]
    assert effective([DeviceRule(allow=True, type="u", major=1, minor=3)]) == [DENY_ALL, allow("c", 1, 3)]


@pytest.mark.parametrize(
    "rule",
    [
        DeviceRule(allow=True, type="p"),
        DeviceRule(allow=True, type="c", access=""),
        DeviceRule(allow=True, type="c", access="rx"),
        DeviceRule(allow=True, type="c", major=-2),
        DeviceRule(allow=True, type="c", major=1 << 31),
    ],
)
def test_rules_that_mean_nothing(rule: DeviceRule) -> None:
    with pytest.raises(UsageError, match="invalid device rule"):
        effective([rule])


def test_version_1_gets_the_default_and_its_exceptions() -> None:
    lines = v1_lines(DEFAULT_DEVICE_RULES)
    assert lines[:4] == [
        ("devices.deny", "a"),
        ("devices.allow", "c *:* m"),
        ("devices.allow", "b *:* m"),
        ("devices.allow", "c 1:3 rwm"),
    ]
    assert lines[-1] == ("devices.allow", "c 10:200 rwm")
    assert v1_lines([ALLOW_ALL, deny("a", 8, None, "w")]) == [
        ("devices.allow", "a"),
        ("devices.deny", "c 8:* w"),
        ("devices.deny", "b 8:* w"),
    ]


def test_version_1_can_take_back_what_it_gave_but_not_a_part_of_it() -> None:
    given_and_taken = [DENY_ALL, allow("c", 1, 3), deny("c", 1, 3, "w")]
    assert v1_lines(given_and_taken)[1:] == [("devices.allow", "c 1:3 rwm"), ("devices.deny", "c 1:3 w")]
    with pytest.raises(Unsupported, match=r"deny devices c 1:11 rwm: cgroup version 1 keeps no exception"):
        v1_lines([DENY_ALL, allow("c", 1, None), deny("c", 1, 11)])


def test_the_shell_line_is_honest() -> None:
    assert AttachDeviceFilter("/x", list(DEFAULT_DEVICE_RULES)).shell().startswith("# no shell command can")
    on_hybrid = AttachDeviceFilter("/x", list(DEFAULT_DEVICE_RULES), "/sys/fs/cgroup/devices/x").shell().splitlines()
    assert on_hybrid[1] == "echo a > /sys/fs/cgroup/devices/x/devices.deny"
    assert on_hybrid[2] == "echo 'c *:* m' > /sys/fs/cgroup/devices/x/devices.allow"
