"""BPF: a small program that the kernel checks, compiles and calls at a place where it decides something.

An instruction has 8 bytes: an opcode, two register numbers, a jump distance, a constant. Here is an assembler with
names for the few that a device filter needs, and the bpf(2) commands that load a program and hang it on a cgroup.
Man page: bpf(2); the kernel's Documentation/bpf/standardization/instruction-set.rst.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Sequence

import msgspec

from minidock.errors import SystemCallFailed
from minidock.kernel import syscalls

# linux/bpf.h: enum bpf_cmd, bpf_prog_type, bpf_attach_type, flags
PROG_LOAD, PROG_ATTACH, PROG_DETACH, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD, PROG_QUERY = 5, 8, 9, 13, 15, 16
NAME_AT = 64
"""Where struct bpf_prog_info has its 16 bytes of name."""
PROG_TYPE_CGROUP_DEVICE = 15
CGROUP_DEVICE = 6
F_ALLOW_MULTI, F_REPLACE = 2, 4

R0, R1, R2, R3, R4, R5 = range(6)
"""R0 holds the result at the end, R1 the pointer to the context at the start."""


class Instruction(msgspec.Struct, frozen=True):
    """linux/bpf.h, struct bpf_insn; `text` is how people read it."""

    opcode: int
    destination: int = 0
    source: int = 0
    offset: int = 0
    constant: int = 0
    text: str = ""

    def bytes(self) -> bytes:
        return struct.pack("=BBhi", self.opcode, self.destination | self.source << 4, self.offset, self.constant)


# linux/bpf_common.h and linux/bpf.h: class | operation | where the operand comes from (K: constant, X: register)


def load_word(destination: int, source: int, offset: int) -> Instruction:
    """destination = *(u32 *)(source + offset): BPF_LDX | BPF_MEM | BPF_W."""
    return Instruction(0x61, destination, source, offset, 0, f"r{destination} = *(u32 *)(r{source} + {offset})")


def move(destination: int, constant: int) -> Instruction:
    """destination = constant: BPF_ALU64 | BPF_MOV | BPF_K."""
    return Instruction(0xB7, destination, 0, 0, constant, f"r{destination} = {constant}")


def copy(destination: int, source: int) -> Instruction:
    """destination = source: BPF_ALU64 | BPF_MOV | BPF_X."""
    return Instruction(0xBF, destination, source, 0, 0, f"r{destination} = r{source}")


def keep_bits(destination: int, constant: int) -> Instruction:
    """destination &= constant: BPF_ALU64 | BPF_AND | BPF_K."""
    return Instruction(0x57, destination, 0, 0, constant, f"r{destination} &= {constant:#x}")


def shift_right(destination: int, constant: int) -> Instruction:
    """destination >>= constant: BPF_ALU64 | BPF_RSH | BPF_K."""
    return Instruction(0x77, destination, 0, 0, constant, f"r{destination} >>= {constant}")


def jump_if_not(register: int, constant: int, distance: int) -> Instruction:
    """if register != constant, skip `distance` instructions: BPF_JMP | BPF_JNE | BPF_K."""
    return Instruction(0x55, register, 0, distance, constant, f"if r{register} != {constant} skip {distance}")


def jump_if(register: int, constant: int, distance: int) -> Instruction:
    """if register == constant, skip `distance` instructions: BPF_JMP | BPF_JEQ | BPF_K."""
    return Instruction(0x15, register, 0, distance, constant, f"if r{register} == {constant} skip {distance}")


def leave() -> Instruction:
    """Return R0: BPF_JMP | BPF_EXIT."""
    return Instruction(0x95, text="return r0")


def listing(program: Sequence[Instruction]) -> str:
    """The program for people, one numbered line an instruction."""
    return "\n".join(f"{number:3}: {instruction.text}" for number, instruction in enumerate(program))


def load(program: Sequence[Instruction], name: str) -> int:
    """BPF_PROG_LOAD of a cgroup device program; returns its descriptor. The kernel verifies it first.

    What the verifier has to say about a program that it refuses is the error's hint.
    """
    code = syscalls.ffi.from_buffer(b"".join(instruction.bytes() for instruction in program))
    license_name = syscalls.ffi.from_buffer(b"GPL\0")
    log = syscalls.ffi.new("char[]", 1 << 16)

    def attempt(log_level: int) -> int:
        # union bpf_attr for BPF_PROG_LOAD: type, count, instructions, license, log level, size and buffer, version,
        # flags, name. Zeros where we have nothing to say; the kernel takes any length, and reads zeros beyond it.
        return _bpf(
            PROG_LOAD,
            struct.pack(
                "=IIQQIIQII16s",
                PROG_TYPE_CGROUP_DEVICE,
                len(program),
                _address(code),
                _address(license_name),
                log_level,
                len(log) if log_level else 0,
                _address(log) if log_level else 0,
                0,
                0,
                name.encode()[:15],
            ),
        )

    try:
        return _with_locked_memory(lambda: attempt(0))
    except SystemCallFailed as error:
        if error.number not in (errno.EINVAL, errno.EACCES):
            raise
        # Only a refused program is worth the log: again, and this time listen.
        try:
            return attempt(1)
        except SystemCallFailed as again:
            words = syscalls.ffi.string(log).decode(errors="replace").strip()
            raise syscalls.failed("bpf", ("BPF_PROG_LOAD", name), number=again.number, hint=words) from error


def _with_locked_memory(attempt: Callable[[], int]) -> int:
    """Before Linux 5.11 a program's pages count as locked memory, and the usual limit of 64 KiB is soon full: EPERM."""
    try:
        return attempt()
    except SystemCallFailed as error:
        if error.number != errno.EPERM:
            raise
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        if soft == resource.RLIM_INFINITY:
            raise
    # Only for the moment: the container must not inherit a higher limit than its user has.
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        return attempt()
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))


def attach(cgroup_fd: int, program_fd: int, *, replace_fd: int = -1) -> None:
    """BPF_PROG_ATTACH to a cgroup: with others there all of them must allow. It goes when the cgroup goes.

    `replace_fd` is a program there whose place this one takes, without a moment between (Linux 5.6).
    """
    flags = F_ALLOW_MULTI | (F_REPLACE if replace_fd >= 0 else 0)
    attributes = (cgroup_fd, program_fd, CGROUP_DEVICE, flags, max(replace_fd, 0))
    hint = "EINVAL: the kernel needs CONFIG_CGROUP_BPF, and the directory must be one of a cgroup2 mount"
    _bpf(PROG_ATTACH, struct.pack("=IIIII", *attributes), hint)


def detach(cgroup_fd: int, program_fd: int) -> None:
    """BPF_PROG_DETACH of one device program."""
    _bpf(PROG_DETACH, struct.pack("=IIIII", cgroup_fd, program_fd, CGROUP_DEVICE, 0, 0))


def attached(cgroup_fd: int) -> list[int]:
    """BPF_PROG_QUERY: ids of the device programs of this cgroup itself, in the order of attaching."""
    room = 64  # BPF_CGROUP_MAX_PROGS
    ids = syscalls.ffi.new("unsigned int[]", room)
    attributes = bytearray(struct.pack("=IIIIQI4x", cgroup_fd, CGROUP_DEVICE, 0, 0, _address(ids), room))
    _bpf(PROG_QUERY, attributes)
    count: int = struct.unpack_from("=I", attributes, 24)[0]
    return list(ids[0:count])


def open_id(program_id: int) -> int:
    """BPF_PROG_GET_FD_BY_ID."""
    return _bpf(PROG_GET_FD_BY_ID, struct.pack("=III", program_id, 0, 0))


def name(program_fd: int) -> str:
    """BPF_OBJ_GET_INFO_BY_FD: the name that a program was loaded with."""
    info = syscalls.ffi.new("char[]", NAME_AT + 16)
    _bpf(OBJ_GET_INFO_BY_FD, bytearray(struct.pack("=IIQ", program_fd, len(info), _address(info))))
    return bytes(syscalls.ffi.buffer(info))[NAME_AT:].partition(b"\0")[0].decode(errors="replace")


def _bpf(command: int, attributes: bytes | bytearray, hint: str = "") -> int:
    """bpf(2) with `union bpf_attr` as packed bytes; a bytearray takes what the kernel writes back."""
    buffer = syscalls.ffi.from_buffer(attributes)
    try:
        return syscalls.bpf(command, buffer, len(attributes))
    except SystemCallFailed as error:
        if hint and error.number == errno.EINVAL:
            error.hint = hint
        raise


def _address(buffer: object) -> int:
    return int(syscalls.ffi.cast("uintptr_t", buffer))


def demo() -> None:
    """Write a program that denies every device, let the kernel check it, and one that has no end, which it refuses."""
    import os

    for program in ([move(R0, 0), leave()], [move(R0, 0)]):
        print(listing(program))
        try:
            os.close(load(program, "demo"))
            print("the kernel takes it")
        except SystemCallFailed as error:
            print(f"the kernel refuses it: {error.hint.splitlines()[0]}")


if __name__ == "__main__":
    demo()
