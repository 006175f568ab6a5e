"""A seccomp program as text: what `bpf_dbg` is for socket filters, for the programs that seccomp_bpf writes.

    sudo .venv/bin/python -m minidock.kernel.seccomp_listing PID      the filter that a process has
    .venv/bin/python -m minidock.kernel.seccomp_listing               a small one, compiled on the spot

The kernel gives a filter back to a tracer with CAP_SYS_ADMIN: ptrace(2), PTRACE_SECCOMP_GET_FILTER.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

from minidock import spec
from minidock.errors import SystemCallFailed
from minidock.kernel import seccomp_arch, seccomp_bpf

PTRACE_ATTACH = 16  # linux/ptrace.h
PTRACE_DETACH = 17
PTRACE_SECCOMP_GET_FILTER = 0x420C
WALL = 0x40000000  # __WALL, linux/wait.h: wait for threads and clones, too

FIELDS = {0: "number", 4: "architecture"} | {
    16 + 8 * index + 4 * half: f"argument {index} {'high' if half else 'low'}" for index in range(6) for half in (0, 1)
}
TESTS = {seccomp_bpf.JEQ: "==", seccomp_bpf.JGT: ">", seccomp_bpf.JGE: ">=", 0x45: "&"}
ACTIONS = {value: name.removeprefix("SCMP_ACT_").lower() for name, value in seccomp_bpf.ACTIONS.items()}
AUDIT = {arch.audit: arch.column for arch in reversed(seccomp_arch.ARCHES.values())}


def listing(program: bytes) -> list[str]:
    """One line an instruction, with its place; jumps name the place they go to."""
    lines = []
    field = ""
    for place, (code, yes, no, constant) in enumerate(struct.iter_unpack("=HBBI", program)):
        if code == seccomp_bpf.LD:
            field = FIELDS.get(constant, f"data[{constant}]")
            text = f"A = {field}"
        elif code in TESTS:
            shown = AUDIT.get(constant, hex(constant)) if field == "architecture" else str(constant)
            text = f"if A {TESTS[code]} {shown}: {place + 1 + yes} else {place + 1 + no}"
        elif code == seccomp_bpf.JA:
            text = f"go to {place + 1 + constant}"
        elif code == seccomp_bpf.AND:
            text = f"A &= {constant:#x}"
        elif code == seccomp_bpf.RET:
            data = f" {constant & 0xFFFF}" if constant & 0xFFFF else ""
            text = f"return {ACTIONS.get(constant & 0xFFFF0000, hex(constant))}{data}"
        else:
            text = f"{code:#x} {yes} {no} {constant:#x}"
        lines.append(f"{place:4} {text}")
    return lines


def read(pid: int) -> bytes:
    """The newest filter of a process, which is stopped for a moment. Raises SystemCallFailed.

    EINVAL: it has none. EACCES: we lack CAP_SYS_ADMIN, or are under a filter ourselves.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long

    def ptrace(name: str, request: int, data: object = None) -> int:
        result: int = libc.ptrace(request, pid, None, data)
        if result < 0:
            raise SystemCallFailed(f"ptrace({name}, {pid})", ctypes.get_errno())
        return result

    ptrace("PTRACE_ATTACH", PTRACE_ATTACH)
    try:
        os.waitpid(pid, WALL)
        length = ptrace("PTRACE_SECCOMP_GET_FILTER", PTRACE_SECCOMP_GET_FILTER)
        program = ctypes.create_string_buffer(8 * length)
        ptrace("PTRACE_SECCOMP_GET_FILTER", PTRACE_SECCOMP_GET_FILTER, program)
        return program.raw
    finally:
        ptrace("PTRACE_DETACH", PTRACE_DETACH)


def demo() -> None:
    """The filter of the process named on the command line, or a profile of two rules, compiled."""
    if len(sys.argv) > 1:
        program = read(int(sys.argv[1]))
    else:
        rules = [
            spec.SeccompRule(["read", "write", "exit_group"], "SCMP_ACT_ALLOW"),
            spec.SeccompRule(["socket"], "SCMP_ACT_ALLOW", args=[spec.SeccompArg(0, 2)]),
        ]
        program = seccomp_bpf.compile_profile(spec.Seccomp("SCMP_ACT_ERRNO", syscalls=rules), os.uname().machine)
    print("\n".join(listing(program)))


if __name__ == "__main__":
    demo()
