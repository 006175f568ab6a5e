"""The seccomp compiler against two judges: a naive reading of the profile, and libseccomp's own compiler."""

from __future__ import annotations

import ctypes
import ctypes.util
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidock import spec
from minidock.errors import Unsupported, UsageError
from minidock.kernel import capabilities, seccomp, seccomp_arch, seccomp_bpf, seccomp_profile
from minidock.steps import from_journal, to_journal

X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0, 0x50001, 0x50026
NUMBERS = seccomp_arch.numbers()


def run(program: bytes, arch: int, number: int, args: tuple[int, ...] = ()) -> int:
    """What the kernel would do: interpret classic BPF over a struct seccomp_data."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *(args + (0,) * (6 - len(args))))
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator = place = 0
    while True:
        operation, yes, no, constant = code[place]
        place += 1
        match operation:
            case 0x20:
                accumulator = struct.unpack_from("=I", data, constant)[0]
            case 0x05:
                place += constant
            case 0x15:
                place += yes if accumulator == constant else no
            case 0x25:
                place += yes if accumulator > constant else no
            case 0x35:
                place += yes if accumulator >= constant else no
            case 0x45:  # runc's; our compiler has no use for it
                place += yes if accumulator & constant else no
            case 0x54:
                accumulator &= constant
            case 0x06:
                return int(constant)
            case _:
                raise AssertionError(f"an instruction that nobody here writes: {operation:#x}")


def container(*extra: str) -> spec.Seccomp:
    """The default profile for a container with Docker's capabilities and these."""
    profile = seccomp_profile.resolve(seccomp_profile.default(), [*capabilities.DEFAULT, *extra], "x86_64", "6.1.0")
    assert profile is not None
    return profile


def allowing(
    *rules: spec.SeccompRule, default: str = "SCMP_ACT_ERRNO", architectures: list[str] | None = None
) -> bytes:
    profile = spec.Seccomp(default_action=default, syscalls=list(rules), architectures=architectures or [])
    return seccomp_bpf.compile_profile(profile, "x86_64")


# Docker's default profile, by example


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("read", (), ALLOW),
        ("execve", (), ALLOW),
        ("mount", (), EPERM),
        ("keyctl", (), EPERM),
        ("bpf", (), EPERM),
        ("unshare", (), EPERM),
        ("io_uring_setup", (), EPERM),
        ("clone3", (), ENOSYS),
        ("clone", (0x01200011,), ALLOW),
        ("clone", (0x10000000,), EPERM),  # CLONE_NEWUSER
        ("clone", (0x1_00000011,), ALLOW),  # the mask has no bit above 32
        ("personality", (0xFFFFFFFF,), ALLOW),
        ("personality", (0x1_FFFFFFFF,), EPERM),
        ("personality", (0x40000,), EPERM),  # ADDR_NO_RANDOMIZE
        ("socket", (2,), ALLOW),
        ("socket", (38,), EPERM),  # AF_ALG
        ("socket", (39,), ALLOW),
        ("socket", (40,), EPERM),  # AF_VSOCK
        ("socket", (41,), ALLOW),
        ("socket", (0x1_00000002,), ALLOW),
    ],
)
def test_default_profile(name: str, args: tuple[int, ...], expected: int) -> None:
    program = seccomp_bpf.compile_profile(container(), "x86_64")
    assert run(program, X86_64, NUMBERS["x86_64"][name], args) == expected


def test_a_capability_opens_the_calls_that_need_it() -> None:
    program = seccomp_bpf.compile_profile(container("CAP_SYS_ADMIN"), "x86_64")
    assert run(program, X86_64, NUMBERS["x86_64"]["mount"]) == ALLOW
    assert run(program, X86_64, NUMBERS["x86_64"]["clone"], (0x10000000,)) == ALLOW
    assert run(program, X86_64, NUMBERS["x86_64"]["clone3"]) == ALLOW


def test_calls_newer_than_the_profile_do_not_exist() -> None:
    program = seccomp_bpf.compile_profile(container(), "x86_64")
    newest = max(n for name, n in NUMBERS["x86_64"].items() if any(name in r.names for r in container().syscalls))
    assert run(program, X86_64, newest + 1) == ENOSYS
    assert run(program, I386, newest + 1) == ENOSYS
    assert run(program, X86_64, 180) == EPERM  # nfsservctl: old, and not named


@pytest.mark.parametrize(("arch", "bit"), [(I386, 0), (X86_64, seccomp_arch.X32_BIT)])
def test_no_way_round_by_another_abi(arch: int, bit: int) -> None:
    program = seccomp_bpf.compile_profile(container(), "x86_64")
    table = NUMBERS["x86" if arch == I386 else "x32"]
    assert run(program, arch, table["mount"] | bit) == EPERM
    assert run(program, arch, table["write"] | bit) == ALLOW


def test_an_architecture_that_is_not_listed_is_killed() -> None:
    program = allowing(spec.SeccompRule(["read"], "SCMP_ACT_ALLOW"), architectures=["SCMP_ARCH_X86_64"])
    assert run(program, X86_64, 0) == ALLOW
    assert run(program, I386, 3) == KILL
    assert run(program, X86_64, seccomp_arch.X32_BIT) == KILL
    assert run(program, AARCH64, 63) == KILL


def test_i386_cannot_hide_a_denied_call_in_socketcall() -> None:
    rule = spec.SeccompRule(["socket"], "SCMP_ACT_ERRNO", args=[spec.SeccompArg(0, 38)])
    program = allowing(rule, default="SCMP_ACT_ALLOW", architectures=["SCMP_ARCH_X86"])
    assert run(program, I386, NUMBERS["x86"]["socketcall"], (1,)) == EPERM
    assert run(program, I386, NUMBERS["x86"]["socketcall"], (2,)) == ALLOW


def test_aarch64_and_its_32_bit_calls() -> None:
    profile = seccomp_profile.resolve(seccomp_profile.default(), capabilities.DEFAULT, "aarch64", "6.1.0")
    assert profile is not None
    assert profile.architectures == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    program = seccomp_bpf.compile_profile(profile, "aarch64")
    assert run(program, AARCH64, NUMBERS["aarch64"]["openat"]) == ALLOW
    assert run(program, AARCH64, NUMBERS["aarch64"]["mount"]) == EPERM
    assert run(program, ARM, NUMBERS["arm"]["set_tls"]) == ALLOW
    assert run(program, ARM, 600) == ENOSYS
    assert run(program, X86_64, 0) == KILL


# Shape


def test_size_and_jumps_stay_in_bounds() -> None:
    program = seccomp_bpf.compile_profile(container(), "x86_64")
    code = list(struct.iter_unpack("=HBBI", program))
    assert len(code) < 900
    for place, (operation, yes, no, constant) in enumerate(code):
        ways = [place + 1 + constant] if operation == seccomp_bpf.JA else [place + 1 + yes, place + 1 + no]
        assert operation == seccomp_bpf.RET or all(way < len(code) for way in ways)


def test_more_than_255_leaves_jump_far() -> None:
    """Every second number allowed: hundreds of segments, so trees that no 8-bit offset spans."""
    names = [name for name, number in NUMBERS["x86_64"].items() if number % 2]
    program = allowing(spec.SeccompRule(names, "SCMP_ACT_ALLOW"))
    allowed = {number for number in NUMBERS["x86_64"].values() if number % 2}
    for number in range(471):
        want = ALLOW if number in allowed else EPERM if number <= max(allowed) else ENOSYS
        assert run(program, X86_64, number) == want


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (spec.Seccomp("SCMP_ACT_NONE"), "action"),
        (spec.Seccomp("SCMP_ACT_NOTIFY"), "default action"),
        (spec.Seccomp("SCMP_ACT_ERRNO", architectures=["SCMP_ARCH_Z80"]), "SCMP_ARCH_Z80"),
        (spec.Seccomp("SCMP_ACT_ERRNO", default_errno_ret=70000), "errnoRet"),
        (spec.Seccomp("SCMP_ACT_ALLOW", syscalls=[spec.SeccompRule(["write"], "SCMP_ACT_NOTIFY")]), "write"),
        (
            spec.Seccomp(
                "SCMP_ACT_ALLOW", syscalls=[spec.SeccompRule(["read"], "SCMP_ACT_LOG", args=[spec.SeccompArg(6, 0)])]
            ),
            "argument 6",
        ),
        (
            spec.Seccomp(
                "SCMP_ACT_ALLOW",
                syscalls=[spec.SeccompRule(["read"], "SCMP_ACT_LOG", args=[spec.SeccompArg(0, 0, 0, "EQ")])],
            ),
            "EQ",
        ),
    ],
)
def test_profiles_that_make_no_sense(profile: spec.Seccomp, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        seccomp_bpf.compile_profile(profile, "x86_64")


def test_a_machine_without_table() -> None:
    with pytest.raises(UsageError, match="riscv64"):
        seccomp_bpf.compile_profile(spec.Seccomp("SCMP_ACT_ALLOW"), "riscv64")


# Judge one: the meaning, written down as simply as possible

OPERATORS = {
    "SCMP_CMP_EQ": lambda have, a, b: have == a,
    "SCMP_CMP_NE": lambda have, a, b: have != a,
    "SCMP_CMP_LT": lambda have, a, b: have < a,
    "SCMP_CMP_LE": lambda have, a, b: have <= a,
    "SCMP_CMP_GT": lambda have, a, b: have > a,
    "SCMP_CMP_GE": lambda have, a, b: have >= a,
    "SCMP_CMP_MASKED_EQ": lambda have, a, b: have & a == b,
}
EDGES = [0, 1, 2, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
words = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**64 - 1))


@given(
    conditions=st.lists(
        st.tuples(st.integers(0, 5), words, words, st.sampled_from(sorted(OPERATORS))),
        min_size=1,
        max_size=6,
        unique_by=lambda condition: condition[0],
    ),
    args=st.tuples(words, words, words, words, words, words),
)
@settings(max_examples=300, deadline=None)
def test_conditions_compare_all_64_bits(conditions: list[tuple[int, int, int, str]], args: tuple[int, ...]) -> None:
    rule = spec.SeccompRule(["read"], "SCMP_ACT_ALLOW", args=[spec.SeccompArg(*condition) for condition in conditions])
    holds = all(OPERATORS[op](args[index], a, b) for index, a, b, op in conditions)
    assert run(allowing(rule), X86_64, 0, args) == (ALLOW if holds else EPERM)


@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_conditions_at_their_edges(op: str) -> None:
    for value in EDGES:
        for other in EDGES if op == "SCMP_CMP_MASKED_EQ" else [0]:
            program = allowing(
                spec.SeccompRule(["read"], "SCMP_ACT_ALLOW", args=[spec.SeccompArg(3, value, other, op)])
            )
            for have in EDGES:
                want = ALLOW if OPERATORS[op](have, value, other) else EPERM
                assert run(program, X86_64, 0, (0, 0, 0, have)) == want


def test_one_argument_named_twice_is_or() -> None:
    rule = spec.SeccompRule(["read"], "SCMP_ACT_ALLOW", args=[spec.SeccompArg(0, 1), spec.SeccompArg(0, 2)])
    program = allowing(rule)
    assert [run(program, X86_64, 0, (n,)) for n in range(4)] == [EPERM, ALLOW, ALLOW, EPERM]


# Judge two: libseccomp, which runc uses


class Libseccomp:
    """Enough of seccomp(3) to compile an OCI profile as runc does."""

    class Compare(ctypes.Structure):
        _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))

    OPS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
    TOKENS = {"SCMP_ARCH_X86_64": X86_64, "SCMP_ARCH_X86": I386, "SCMP_ARCH_X32": 0x4000003E}

    def __init__(self) -> None:
        self.library = ctypes.CDLL(ctypes.util.find_library("seccomp") or pytest.skip("needs libseccomp"))
        self.library.seccomp_init.restype = ctypes.c_void_p

    def knows(self, name: str) -> bool:
        return bool(self.library.seccomp_syscall_resolve_name(name.encode()) != -1)

    def compile(self, profile: spec.Seccomp, path: str) -> bytes:
        default = seccomp_bpf.answer(profile.default_action, profile.default_errno_ret)
        context = ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(default)))
        for arch in profile.architectures:
            assert self.library.seccomp_arch_add(context, ctypes.c_uint32(self.TOKENS[arch])) in (0, -17)
        for rule in profile.syscalls:
            value = seccomp_bpf.answer(rule.action, rule.errno_ret)
            for name in rule.names if value != default else []:
                number = self.library.seccomp_syscall_resolve_name(name.encode())
                if number == -1:
                    continue
                for way in seccomp_bpf.alternatives(rule.args):
                    conditions = [
                        self.Compare(
                            arg.index, self.OPS.index(arg.op.removeprefix("SCMP_CMP_")) + 1, arg.value, arg.value_two
                        )
                        for arg in way
                    ]
                    array = (self.Compare * len(way))(*conditions)
                    assert (
                        self.library.seccomp_rule_add_array(context, ctypes.c_uint32(value), number, len(way), array)
                        == 0
                    )
        with open(path, "w+b") as file:
            assert self.library.seccomp_export_bpf(context, file.fileno()) == 0
            file.seek(0)
            return file.read()


def questions() -> Iterator[tuple[str, int, int, tuple[int, ...]]]:
    """Every call of the three sets of numbers, with arguments that the profile's conditions are about."""
    values = [0, 1, 2, 8, 37, 38, 39, 40, 41, 0x20000, 0x20008, 0x10000000, 0x7E020000, 0x01200011, 2**32 - 1]
    for column, arch, bit in (("x86_64", X86_64, 0), ("x86", I386, 0), ("x32", X86_64, seccomp_arch.X32_BIT)):
        conditional = {NUMBERS[column].get(name) for name in ("socket", "personality", "clone")}
        for name, number in NUMBERS[column].items():
            for value in values if number in conditional else values[:2]:
                yield name, arch, number | bit, (value, value, 5, 0, 0, 0)


@pytest.mark.parametrize("extra", [[], ["CAP_SYS_ADMIN"], list(capabilities.NAMES)])
def test_every_call_is_decided_as_by_libseccomp(extra: list[str], tmp_path: Path) -> None:
    profile = container(*extra)
    oracle = Libseccomp()
    ours, theirs = seccomp_bpf.compile_profile(profile, "x86_64"), oracle.compile(profile, str(tmp_path / "bpf"))
    asked = 0
    for name, arch, number, args in questions():
        if not oracle.knows(name):  # newer than this libseccomp: it says EPERM to what the profile allows
            continue
        asked += 1
        mine, other = run(ours, arch, number, args), run(theirs, arch, number, args)
        assert mine == other, f"{name} {arch:#x} {number} {args}: {mine:#x}, libseccomp {other:#x}"
    assert asked > 1200


def test_random_profiles_are_decided_as_by_libseccomp(tmp_path: Path) -> None:
    oracle, dice = Libseccomp(), random.Random(1)
    names = sorted(name for name in NUMBERS["x86_64"] if oracle.knows(name) and seccomp_arch.multiplexed(name) is None)
    for _ in range(30):
        rules = []
        for name in dice.sample(names, 60):
            condition = spec.SeccompArg(
                dice.randrange(6), dice.choice(EDGES), dice.choice(EDGES), dice.choice(sorted(OPERATORS))
            )
            args = [condition] if dice.random() < 0.3 and condition.op != "SCMP_CMP_MASKED_EQ" else []
            action = dice.choice(["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"])
            rules.append(spec.SeccompRule([name], action, args=args))
        profile = spec.Seccomp("SCMP_ACT_ERRNO", 5, syscalls=rules)
        ours, theirs = seccomp_bpf.compile_profile(profile, "x86_64"), oracle.compile(profile, str(tmp_path / "bpf"))
        named = [rule.names[0] for rule in rules]
        for name in named:
            for value in EDGES:
                number = NUMBERS["x86_64"][name]
                assert run(ours, X86_64, number, (value,) * 6) == run(theirs, X86_64, number, (value,) * 6), name


# The cache


def test_compiled_programs_are_kept_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = seccomp.for_container("", capabilities.DEFAULT, cache=tmp_path)
    assert profile is not None
    program = seccomp.compiled(profile, tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".bpf", ".json"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the cache should have answered")

    monkeypatch.setattr(seccomp_bpf, "compile_profile", never)
    monkeypatch.setattr(seccomp_profile, "choose", never)
    assert seccomp.for_container("", capabilities.DEFAULT, cache=tmp_path) == profile
    assert seccomp.compiled(profile, tmp_path) == program
    with pytest.raises(AssertionError, match="should have answered"):
        seccomp.for_container("", [], cache=tmp_path)


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    profile = seccomp.for_container("", capabilities.DEFAULT, cache=tmp_path)
    assert profile is not None
    program = seccomp.compiled(profile, tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(b"{half")
    assert seccomp.for_container("", capabilities.DEFAULT, cache=tmp_path) == profile
    assert seccomp.compiled(profile, tmp_path) == program


def test_what_is_kept_is_made_anew_with_another_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = spec.Seccomp("SCMP_ACT_ALLOW")
    table = tmp_path / "table"
    table.write_text("one")
    monkeypatch.setattr(seccomp, "COMPILER", [table])
    seccomp.compiled(profile, tmp_path / "cache")
    table.write_text("another")
    seccomp.compiled(profile, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_flags() -> None:
    assert seccomp.flags_of(spec.Seccomp("SCMP_ACT_ALLOW")) == 4  # as runc: who says nothing gets SPEC_ALLOW
    assert seccomp.flags_of(spec.Seccomp("SCMP_ACT_ALLOW", flags=[])) == 0
    assert seccomp.flags_of(spec.Seccomp("SCMP_ACT_ALLOW", flags=["SECCOMP_FILTER_FLAG_LOG"] * 2)) == 2
    with pytest.raises(UsageError, match="SECCOMP_FILTER_FLAG_FOO"):
        seccomp.load_filter(spec.Seccomp("SCMP_ACT_ALLOW", flags=["SECCOMP_FILTER_FLAG_FOO"]))


def test_a_listener_is_for_the_command_alone_and_its_thread_is_not_under_the_filter() -> None:
    rule = spec.SeccompRule(["mkdir"], "SCMP_ACT_NOTIFY")
    profile = spec.Seccomp("SCMP_ACT_ALLOW", syscalls=[rule], flags=["SECCOMP_FILTER_FLAG_TSYNC"])
    with pytest.raises(Unsupported, match="listener"):
        seccomp.load_filter(profile)
    assert seccomp.load_filter(profile, at_exec=True).flags == 8


def test_a_step_with_bytes_survives_the_journal() -> None:
    step = seccomp.load_filter(spec.Seccomp("SCMP_ACT_ALLOW"))
    assert from_journal(to_journal([step])) == [step]
    assert step.shell().startswith("# ")


def test_who_gets_no_filter() -> None:
    assert seccomp.for_container("unconfined", []) is None
    assert seccomp.for_container("", capabilities.NAMES, privileged=True) is None
    assert seccomp.for_container("builtin", capabilities.NAMES, privileged=True) is not None
    assert seccomp.for_container("{}", []) is None


@pytest.mark.parametrize(
    "action, number, kernel",
    [  # linux/seccomp.h, SECCOMP_RET_*
        ("SCMP_ACT_KILL", None, 0x00000000),
        ("SCMP_ACT_KILL_THREAD", None, 0x00000000),
        ("SCMP_ACT_KILL_PROCESS", None, 0x80000000),
        ("SCMP_ACT_TRAP", None, 0x00030000),
        ("SCMP_ACT_ERRNO", None, 0x00050001),
        ("SCMP_ACT_ERRNO", 18, 0x00050012),
        ("SCMP_ACT_NOTIFY", None, 0x7FC00000),
        ("SCMP_ACT_TRACE", 7, 0x7FF00007),
        ("SCMP_ACT_LOG", None, 0x7FFC0000),
        ("SCMP_ACT_ALLOW", None, 0x7FFF0000),
    ],
)
def test_every_action_of_the_specification_is_the_kernel_s(action: str, number: int | None, kernel: int) -> None:
    rule = spec.SeccompRule(["sync"], action, errno_ret=number)
    program = seccomp_bpf.compile_profile(spec.Seccomp("SCMP_ACT_LOG", syscalls=[rule]), "x86_64")
    assert run(program, X86_64, NUMBERS["x86_64"]["sync"]) == kernel
    assert run(program, X86_64, NUMBERS["x86_64"]["getpid"]) == 0x7FFC0000
