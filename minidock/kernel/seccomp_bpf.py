"""The seccomp compiler: a profile (names, actions, conditions) to the BPF program that the kernel runs at each call.

What comes out, for a profile of Docker's kind, in words:

    which architecture?      unknown → kill
      x86_64: is it x32?     → its own tree
        is the number ≥ 158? ≥ 240? …        binary search: at most 8 comparisons for 460 calls
          → allow | errno 1 | compare arguments, then allow or errno 1
        larger than any call the profile names → errno ENOSYS
      i386: …

Neighbouring numbers with the same answer are one leaf. That last rule is runc's: a libc that tries a call newer than
the profile must hear "this kernel has no such call" and fall back, not "not permitted" and give up.
Classic BPF jumps forward only, by at most 255 when conditional: longer ways go over an unconditional jump.
Man page: seccomp(2), bpf(4); linux/filter.h, linux/seccomp.h.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from minidock import spec
from minidock.errors import UsageError
from minidock.kernel import seccomp_arch

# linux/bpf_common.h: an instruction is (code, jump if true, jump if false, constant)
Instruction = tuple[int, int, int, int]
LD, JA, JEQ, JGT, JGE, AND, RET = 0x20, 0x05, 0x15, 0x25, 0x35, 0x54, 0x06
MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS

# Offsets in struct seccomp_data
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16

KILL_THREAD = 0x00000000  # linux/seccomp.h, SECCOMP_RET_*
ERRNO = 0x00050000
ACTIONS = {
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
WITH_DATA = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
PERMISSIVE = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")
EPERM, ENOSYS = 1, 38

PRIVATE_NUMBERS = 0xF0000
"""From here on 32-bit arm has a few calls of its own (set_tls); they say nothing about how new a profile is."""


class Check(NamedTuple):
    """All conditions true: `answer`."""

    conditions: tuple[spec.SeccompArg, ...]
    answer: int


class Decision(NamedTuple):
    """What becomes of one call: the first check that holds, else `otherwise`."""

    checks: tuple[Check, ...]
    otherwise: int


def compile_profile(profile: spec.Seccomp, machine: str) -> bytes:
    """The program as an array of struct sock_filter. Raises UsageError for a profile that makes no sense."""
    default = answer(profile.default_action, profile.default_errno_ret)
    if profile.default_action == "SCMP_ACT_NOTIFY":
        raise UsageError("SCMP_ACT_NOTIFY cannot be used as default action")
    tables = seccomp_arch.numbers()
    trees: dict[str, list[Instruction]] = {}
    for name in seccomp_arch.wanted(profile.architectures, machine):
        decided = decisions(profile, default, tables[seccomp_arch.ARCHES[name].column], name)
        trees[name] = search(segments(decided, default, _beyond(profile, default)))
    program = _by_architecture(trees)
    if len(program) > MAX_INSTRUCTIONS:
        raise UsageError(f"the seccomp profile is too long: {len(program)} instructions, at most {MAX_INSTRUCTIONS}")
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def answer(action: str, data: int | None) -> int:
    """The filter's return value for an action; `data` is the errno, or what the tracer gets."""
    if action not in ACTIONS:
        raise UsageError(f"invalid seccomp action {action!r}", hint=f"one of {', '.join(ACTIONS)}")
    if action not in WITH_DATA:
        return ACTIONS[action]
    value = EPERM if data is None else data
    if not 0 <= value <= 0xFFFF:
        raise UsageError(f"invalid seccomp errnoRet {value}")
    return ACTIONS[action] | value


def _beyond(profile: spec.Seccomp, default: int) -> int:
    """The answer to calls newer than the profile: ENOSYS, unless the profile lets unknown calls pass anyway."""
    return default if profile.default_action in PERMISSIVE else ERRNO | ENOSYS


# From rules to one decision a number.


def decisions(profile: spec.Seccomp, default: int, numbers: dict[str, int], arch: str) -> dict[int, Decision]:
    """The calls that the profile names, by number. Names this architecture doesn't have are skipped.

    As in libseccomp, a rule without conditions outweighs those with, and rules that only repeat the default are none.
    """
    decided: dict[int, Decision] = {}
    for rule in profile.syscalls:
        value = answer(rule.action, rule.errno_ret)
        for name in rule.names:
            if name == "write" and rule.action == "SCMP_ACT_NOTIFY":
                raise UsageError("SCMP_ACT_NOTIFY cannot be used for the write syscall")
            if name in numbers:
                _decide(decided, numbers[name], alternatives(rule.args), value, default)
            if arch == "SCMP_ARCH_X86":
                _decide_multiplexed(decided, numbers, name, rule, value, default)
    return decided


def _decide(
    decided: dict[int, Decision], number: int, ways: list[tuple[spec.SeccompArg, ...]], value: int, default: int
) -> None:
    old = decided.setdefault(number, Decision((), default))
    unconditional = not old.checks and old.otherwise != default
    if value == default or unconditional:
        return
    checks = tuple(Check(way, value) for way in ways if way)
    decided[number] = Decision((*old.checks, *checks), default) if checks else Decision((), value)


def _decide_multiplexed(
    decided: dict[int, Decision], numbers: dict[str, int], name: str, rule: spec.SeccompRule, value: int, default: int
) -> None:
    """i386: the rule for `socket` holds for socketcall(SYS_SOCKET), too.

    There the arguments lie behind a pointer, so conditions can't be checked: what is denied under a condition is denied
    as a whole, and what is allowed under one is not allowed this way.
    """
    other = seccomp_arch.multiplexed(name)
    if other is None or (rule.args and rule.action in PERMISSIVE):
        return
    call, first = other
    condition = spec.SeccompArg(index=0, value=first, op="SCMP_CMP_EQ")
    _decide(decided, numbers[call], [(condition,)], value, default)


def alternatives(args: list[spec.SeccompArg]) -> list[tuple[spec.SeccompArg, ...]]:
    """Conditions are joined by *and*; where one argument is named twice, all of them by *or* (runc's old rule)."""
    for arg in args:
        if arg.op not in CONDITIONS or not 0 <= arg.index <= 5:
            raise UsageError(f"invalid seccomp condition: argument {arg.index}, operator {arg.op!r}")
    if len({arg.index for arg in args}) < len(args):
        return [(arg,) for arg in args]
    return [tuple(args)]


def segments(decided: dict[int, Decision], default: int, beyond: int) -> list[tuple[int, Decision]]:
    """All numbers from 0 on as [first number, decision], equal neighbours joined."""
    last = max((number for number in decided if number < PRIVATE_NUMBERS), default=-1)
    runs: list[tuple[int, Decision]] = []
    following = 0
    for number in [*sorted(decided), None]:
        if number is None or number > following:  # a gap: numbers that the profile doesn't name
            if following <= last:
                runs.append((following, Decision((), default)))
            if number is None or number > last + 1:
                runs.append((max(following, last + 1), Decision((), beyond)))
        if number is not None:
            runs.append((number, decided[number]))
            following = number + 1
    return [run for place, run in enumerate(runs) if place == 0 or run[1] != runs[place - 1][1]]


# From decisions to instructions. Every piece of code ends in a return, so pieces can be put one behind the other.


def _by_architecture(trees: dict[str, list[Instruction]]) -> list[Instruction]:
    code = [(RET, 0, 0, KILL_THREAD)]
    for name, tree in reversed(trees.items()):
        audit = seccomp_arch.ARCHES[name].audit
        if name == "SCMP_ARCH_X32":
            continue  # the same audit number: part of x86_64
        if name == "SCMP_ARCH_X86_64":
            x32 = trees.get("SCMP_ARCH_X32", [(RET, 0, 0, KILL_THREAD)])
            without_bit = [(AND, 0, 0, seccomp_arch.X32_BIT - 1), *x32]
            tree = branch(JGE, seccomp_arch.X32_BIT, without_bit, tree)
        code = branch(JEQ, audit, [(LD, 0, 0, NUMBER), *tree], code)
    return [(LD, 0, 0, ARCHITECTURE), *code]


def branch(test: int, constant: int, then: list[Instruction], otherwise: list[Instruction]) -> list[Instruction]:
    """`if A test constant: then, else: otherwise`; over more than 255 instructions by way of a long jump."""
    if len(then) <= 0xFF:
        return [(test, 0, len(then), constant), *then, *otherwise]
    return [(test, 1, 0, constant), (JA, 0, 0, len(then)), *then, *otherwise]


def search(runs: list[tuple[int, Decision]]) -> list[Instruction]:
    """Binary search for the run that the number in the accumulator is in."""
    if len(runs) == 1:
        return leaf(runs[0][1])
    middle = len(runs) // 2
    return branch(JGE, runs[middle][0], search(runs[middle:]), search(runs[:middle]))


def leaf(decision: Decision) -> list[Instruction]:
    code: list[Instruction] = []
    for check in decision.checks:
        code += _check(check)
    return [*code, (RET, 0, 0, decision.otherwise)]


def _check(check: Check) -> list[Instruction]:
    """All conditions in a row, then the return; a condition that fails jumps behind the return."""
    lines = [line for condition in check.conditions for line in compare(condition)]
    end = len(lines) + 1
    code: list[Instruction] = []
    block_end = 0
    for place, (operation, constant, yes, no) in enumerate(lines):
        if place == block_end:  # conditions differ in length; the load of the high word begins each
            block_end = place + next(
                (n for n in range(1, len(lines) - place) if lines[place + n][2] == "begin"), len(lines) - place
            )
        ways = {"": place + 1, "begin": place + 1, "match": block_end, "fail": end}
        code.append((operation, ways[yes] - place - 1, ways[no] - place - 1, constant))
    return [*code, (RET, 0, 0, check.answer)]


# One line of a condition: (operation, constant, where to go if true, where if false); "" is the next line.
Line = tuple[int, int, str, str]

CONDITIONS: dict[str, list[tuple[int, str, str, str]]] = {
    # The high word decides, unless it is equal: then the low word does.
    "SCMP_CMP_EQ": [(JEQ, "high", "", "fail"), (LD, "low", "", ""), (JEQ, "low", "", "fail")],
    "SCMP_CMP_NE": [(JEQ, "high", "", "match"), (LD, "low", "", ""), (JEQ, "low", "fail", "")],
    "SCMP_CMP_GT": [
        (JGT, "high", "match", ""),
        (JEQ, "high", "", "fail"),
        (LD, "low", "", ""),
        (JGT, "low", "", "fail"),
    ],
    "SCMP_CMP_GE": [
        (JGT, "high", "match", ""),
        (JEQ, "high", "", "fail"),
        (LD, "low", "", ""),
        (JGE, "low", "", "fail"),
    ],
    "SCMP_CMP_LT": [
        (JGT, "high", "fail", ""),
        (JEQ, "high", "", "match"),
        (LD, "low", "", ""),
        (JGE, "low", "fail", ""),
    ],
    "SCMP_CMP_LE": [
        (JGT, "high", "fail", ""),
        (JEQ, "high", "", "match"),
        (LD, "low", "", ""),
        (JGT, "low", "fail", ""),
    ],
    # value is the mask, valueTwo what must be left under it.
    "SCMP_CMP_MASKED_EQ": [
        (AND, "high mask", "", ""),
        (JEQ, "high", "", "fail"),
        (LD, "low", "", ""),
        (AND, "low mask", "", ""),
        (JEQ, "low", "", "fail"),
    ],
}


def compare(condition: spec.SeccompArg) -> list[Line]:
    """BPF knows 32 bits, arguments have 64: the high word is at the offset + 4 on a little-endian machine."""
    offset = ARGUMENTS + 8 * condition.index
    masked = condition.op == "SCMP_CMP_MASKED_EQ"
    datum = condition.value_two if masked else condition.value
    words = {"high": datum >> 32, "low": datum & 0xFFFFFFFF}
    words |= {"high mask": condition.value >> 32, "low mask": condition.value & 0xFFFFFFFF}
    lines: list[Line] = [(LD, offset + 4, "begin", "")]
    for operation, word, yes, no in CONDITIONS[condition.op]:
        lines.append((operation, offset if operation == LD else words[word], yes, no))
    return lines


def demo() -> None:
    """A profile of one rule, compiled; seccomp_listing shows such a program as text."""
    import os

    profile = spec.Seccomp("SCMP_ACT_ERRNO", syscalls=[spec.SeccompRule(["read", "write"], "SCMP_ACT_ALLOW")])
    program = compile_profile(profile, os.uname().machine)
    print(f"{len(program) // 8} instructions of 8 bytes: {program[:16].hex(' ', 8)} ...")


if __name__ == "__main__":
    demo()
