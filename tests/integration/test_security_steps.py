"""Each security step in a process of its own, judged by what the kernel says of that process afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from minidock import spec
from minidock.errors import MinidockError, SystemCallFailed
from minidock.kernel import (
    capabilities,
    credentials,
    fds,
    keyring,
    masks,
    mounts,
    namespaces,
    no_new_privs,
    rlimits,
    seccomp,
    seccomp_listing,
    syscalls,
)
from minidock.steps import Live, Step
from tests.support.needs import require_root, require_tool

STATUS = "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)"


@pytest.fixture(autouse=True)
def _root() -> None:
    require_root()


def in_child(
    steps: Sequence[Step], probe: Callable[[], Any] = dict, *, flags: int = 0, command: Sequence[str] = ()
) -> Any:
    """Fork (clone3 with `flags`), apply the steps, then return what `probe` returns or what `command` prints.

    A step or probe that fails raises here, with the child's words.
    """
    readable, writable = os.pipe()
    pid = syscalls.clone3(flags)
    if pid == 0:
        try:
            for step in steps:
                step.apply(Live())
            if command:
                os.dup2(writable, 1)
                os.execvp(command[0], list(command))
            os.write(writable, json.dumps({"ok": probe()}).encode())
        except BaseException as error:  # noqa: BLE001 - it must not return into pytest's stack
            os.write(writable, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        os._exit(0)
    os.close(writable)
    with open(readable, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    if command:
        return said
    answer = json.loads(said)
    if "error" in answer:
        raise MinidockError(answer["error"])
    return answer["ok"]


def fails(action: Callable[[], Any]) -> str:
    """The errno's text of what the kernel refuses; "" when it did it."""
    try:
        action()
    except (OSError, SystemCallFailed) as error:
        return os.strerror(error.errno or 0) if isinstance(error, OSError) else os.strerror(error.number)
    return ""


def test_a_program_gets_the_sets_that_docker_gives() -> None:
    sets = capabilities.resolve([], [], False)
    steps = [capabilities.DropBoundingSet(sets.bounding), capabilities.set_capabilities(sets)]
    said = in_child(steps, command=["grep", "Cap", "/proc/self/status"])
    assert said.split()[1::2] == ["0" * 16, "00000000a80425fb", "00000000a80425fb", "00000000a80425fb", "0" * 16]


def test_another_user_has_nothing_but_a_ceiling() -> None:
    sets = capabilities.resolve([], [], False, uid=1000)
    steps = [
        capabilities.DropBoundingSet(sets.bounding),
        capabilities.KeepCaps(),
        credentials.SetUser(1000, 1000, [1000]),
        capabilities.set_capabilities(sets),
    ]
    said = in_child(steps, command=["grep", "Cap", "/proc/self/status"])
    assert said.split()[1::2] == ["0" * 16, "0" * 16, "0" * 16, "00000000a80425fb", "0" * 16]


def test_ambient_capabilities_survive_the_change_of_user_and_exec() -> None:
    one = ["CAP_NET_RAW"]
    steps = [
        capabilities.DropBoundingSet(one),
        capabilities.KeepCaps(),
        credentials.SetUser(1000, 1000, []),
        capabilities.SetCapabilities(one, one, one, one),
    ]
    said = in_child(steps, command=["grep", "Cap", "/proc/self/status"])
    assert set(said.split()[1::2]) == {"0000000000002000"}


def test_a_dropped_capability_does_not_come_back_with_a_setuid_program() -> None:
    with tempfile.TemporaryDirectory() as directory:  # not tmp_path: user 1000 can't reach that
        os.chmod(directory, 0o755)
        setuid = shutil.copy(require_tool("grep"), directory)
        os.chmod(setuid, 0o4755)
        command = [setuid, "-E", "^(Uid|CapEff)", "/proc/self/status"]
        steps: list[Step] = [capabilities.DropBoundingSet(["CAP_CHOWN"]), credentials.SetUser(1000, 1000, [])]
        root_again = in_child(steps, command=command).split()
        never = in_child([no_new_privs.SetNoNewPrivs(), *steps], command=command).split()
    assert root_again == ["Uid:", "1000", "0", "0", "0", "CapEff:", "0000000000000001"]
    assert never == ["Uid:", "1000", "1000", "1000", "1000", "CapEff:", "0000000000000000"]


def test_what_we_lack_can_not_be_given_and_is_named() -> None:
    steps = [
        capabilities.SetCapabilities(["CAP_KILL"], ["CAP_KILL"]),
        capabilities.SetCapabilities(["CAP_CHOWN"], ["CAP_CHOWN"]),
    ]

    def probe() -> str:
        try:
            steps[1].apply(Live())
        except SystemCallFailed as error:
            return error.hint
        return "no error"

    assert in_child(steps[:1], probe) == "minidock itself lacks CAP_CHOWN"


@pytest.mark.parametrize(("uid", "ambient"), [(0, []), (1000, []), (1000, ["CAP_NET_RAW"]), (0, ["CAP_CHOWN"])])
def test_the_setpriv_line_makes_the_same_process(uid: int, ambient: list[str]) -> None:
    """What --as-shell writes, run by util-linux, and what the steps do: one answer from the kernel."""
    sets = capabilities.resolve([], [], False, uid=uid)
    active = sets.effective or ambient
    steps: list[Any] = [
        capabilities.DropBoundingSet(sets.bounding),
        capabilities.KeepCaps(),
        credentials.SetUser(uid, uid, [uid, 44]),
        capabilities.SetCapabilities(active, active, ambient, ambient),
        no_new_privs.SetNoNewPrivs(),
    ]
    command = ["grep", "-E", STATUS, "/proc/self/status"]
    line = [require_tool("setpriv"), *(option for step in steps for option in step.setpriv()), *command]
    by_hand = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert in_child(steps, command=command) == by_hand


def test_a_user_can_not_go_back() -> None:
    steps = [credentials.SetUser(1000, 1001, [1001, 44], 0o027)]

    def probe() -> Any:
        refused = fails(lambda: os.setuid(0)), fails(lambda: os.setgid(0)), fails(lambda: os.setgroups([]))
        return credentials.read("self"), refused, os.umask(0)

    ids, refused, umask = in_child(steps, probe)
    assert ids == {"uid": [1000] * 4, "gid": [1001] * 4, "groups": [44, 1001]}
    assert set(refused) == {"Operation not permitted"}
    assert umask == 0o027


def test_no_new_privs_is_set() -> None:
    assert in_child([no_new_privs.SetNoNewPrivs()], lambda: no_new_privs.read("self")) is True
    assert no_new_privs.read("self") is False


def test_a_limit_is_lowered_and_stops_us() -> None:
    def probe() -> Any:
        with contextlib.ExitStack() as stack:
            refused = fails(lambda: [stack.enter_context(open("/dev/null")) for _ in range(64)])
        return rlimits.read("self")["RLIMIT_NOFILE"], refused

    assert in_child([rlimits.SetRlimit("RLIMIT_NOFILE", 32, 48)], probe) == [[32, 48], "Too many open files"]


def test_a_limit_that_can_not_be_raised_says_why() -> None:
    lower = rlimits.SetRlimit("RLIMIT_NOFILE", 32, 48)
    no_right = capabilities.SetCapabilities()
    with pytest.raises(MinidockError, match=r"prlimit\(0, RLIMIT_NOFILE, 99, 99\): EPERM"):
        in_child([lower, no_right, rlimits.SetRlimit("RLIMIT_NOFILE", 99, 99)])
    with pytest.raises(MinidockError, match="EINVAL"):
        in_child([rlimits.SetRlimit("RLIMIT_NOFILE", 9, 3)])
    with pytest.raises(MinidockError, match="RLIMIT_FOO"):
        in_child([rlimits.SetRlimit("RLIMIT_FOO", 9, 9)])


def test_unlimited_stays_unlimited() -> None:
    step = rlimits.SetRlimit("RLIMIT_CORE", rlimits.INFINITY, rlimits.INFINITY)
    assert in_child([step], lambda: rlimits.read("self")["RLIMIT_CORE"]) == [-1, -1]


def test_no_descriptor_leaks_into_the_program() -> None:
    with socket.socket() as leak:
        leak.set_inheritable(True)
        command = ["sh", "-c", "ls /proc/$$/fd"]
        assert str(leak.fileno()) in in_child([], command=command).split()
        assert in_child([fds.CloseLeaked()], command=command).split() == ["0", "1", "2"]


def test_the_session_keyring_is_new() -> None:
    if not os.path.exists("/proc/keys"):
        pytest.skip("needs a kernel with CONFIG_KEYS")
    rings = in_child([keyring.JoinSessionKeyring("minidock-test-ring")], lambda: keyring.read("self"))
    assert any("minidock-test-ring" in ring for ring in rings)


# Masks, in a mount namespace of the child's own


def hidden(*steps: Step, probe: Callable[[], Any]) -> Any:
    return in_child([mounts.IsolateMounts(), *steps], probe, flags=namespaces.flags(["mount"]))


def test_masked_files_and_directories_are_empty_and_stay_so() -> None:
    def probe() -> Any:
        refused = fails(lambda: os.mkdir("/sys/firmware/x")), fails(lambda: os.open("/sys/firmware/x", os.O_CREAT))
        return open("/proc/timer_list").read(), os.listdir("/sys/firmware"), refused, masks.read("self")["masked"]

    text, listing, refused, masked = hidden(
        masks.MaskPath("/proc/timer_list"), masks.MaskPath("/sys/firmware"), probe=probe
    )
    assert (text, listing) == ("", [])
    assert set(refused) == {"Read-only file system"}
    assert masked == ["/proc/timer_list", "/sys/firmware"]


def test_the_mounts_look_like_dockers() -> None:
    def probe() -> Any:
        return [(row["options"], row["type"], row["superblock"]) for row in mounts.read(os.getpid())[-2:]]

    assert hidden(masks.MaskPath("/sys/firmware"), masks.ReadonlyPath("/proc/sys"), probe=probe) == [
        ["ro,relatime", "tmpfs", "ro"],
        [readonly_options("/proc"), "proc", "rw"],
    ]


def readonly_options(path: str) -> str:
    """The options of the host's own mount, made read-only: all the other flags must stay."""
    row = next(row for row in mounts.read(os.getpid()) if row["destination"] == path)
    return "ro," + row["options"].partition(",")[2]


def test_readonly_paths_refuse_writes_and_leave_the_rest() -> None:
    def probe() -> Any:
        return fails(lambda: os.open("/proc/sys/kernel/hostname", os.O_WRONLY)), fails(
            lambda: os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        )

    assert hidden(masks.ReadonlyPath("/proc/sys"), probe=probe) == ["Read-only file system", ""]


def test_what_this_kernel_does_not_have_needs_no_mask() -> None:
    step = masks.MaskPath("/proc/no-such-thing"), masks.ReadonlyPath("/proc/no-such-thing/either")
    assert hidden(*step, probe=lambda: len(mounts.read(os.getpid()))) == hidden(
        probe=lambda: len(mounts.read(os.getpid()))
    )


@pytest.mark.parametrize("kind", [masks.MaskPath, masks.ReadonlyPath])
def test_a_planted_symlink_in_place_of_proc_is_refused(
    tmp_path: Path, kind: type[masks.MaskPath | masks.ReadonlyPath]
) -> None:
    """The image has /proc -> /elsewhere: its masks would cover nothing that matters."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "timer_list").touch()
    (tmp_path / "proc").symlink_to("elsewhere")

    def probe() -> str:
        os.chroot(tmp_path)
        try:
            kind("/proc/timer_list").apply(Live())
        except MinidockError as error:
            return error.message
        return "covered"

    assert hidden(probe=probe) == "won't cover /proc/timer_list: Too many levels of symbolic links"


@pytest.mark.parametrize("planted", ["file", "symlink"])
def test_a_false_dev_null_covers_nothing(tmp_path: Path, planted: str) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "secret").write_text("secret")
    (tmp_path / "dev").mkdir()
    if planted == "file":
        (tmp_path / "dev" / "null").write_text("mine")
    else:
        (tmp_path / "dev" / "null").symlink_to("../proc/secret")

    def probe() -> str:
        os.chroot(tmp_path)
        try:
            masks.MaskPath("/proc/secret").apply(Live())
        except (MinidockError, OSError) as error:
            return type(error).__name__
        return "covered"

    assert hidden(probe=probe) in ("MinidockError", "OSError")


# Seccomp, for real


def filtered(*extra: str) -> seccomp.LoadFilter:
    """Docker's default profile for a container with its capabilities and these."""
    profile = seccomp.for_container("", [*capabilities.DEFAULT, *extra])
    assert profile is not None
    return seccomp.load_filter(profile)


def raw(number: int, *args: int) -> str:
    """syscall(2) by number; the errno's text, "" when it worked."""
    library = ctypes.CDLL(None, use_errno=True)
    result = library.syscall(ctypes.c_long(number), *(ctypes.c_ulong(arg) for arg in args))
    return os.strerror(ctypes.get_errno()) if result == -1 else ""


def test_the_default_profile_denies_and_allows() -> None:
    def probe() -> dict[str, str]:
        return {
            "mount": fails(lambda: syscalls.mount("none", "/mnt", "tmpfs", 0)),
            "unshare user": fails(lambda: syscalls.unshare(0x10000000)),
            "keyring": fails(lambda: syscalls.join_session_keyring(None)),
            "clone3": raw(435, 0, 0),
            "AF_ALG": fails(lambda: socket.socket(38, socket.SOCK_SEQPACKET)),
            "AF_VSOCK": fails(lambda: socket.socket(40, socket.SOCK_STREAM)),
            "personality": fails(lambda: syscalls.personality(0x40000)),
            "newer than all": raw(599),
            "AF_INET": fails(lambda: socket.socket().close()),
            "write": fails(lambda: os.write(1, b"")),
            "ask personality": fails(lambda: syscalls.personality(0xFFFFFFFF)),
            "mode": str(seccomp.read("self")),
        }

    no, missing = "Operation not permitted", "Function not implemented"
    assert in_child([filtered()], probe) == {
        "mount": no,
        "unshare user": no,
        "keyring": no,
        "clone3": missing,
        "AF_ALG": no,
        "AF_VSOCK": no,
        "personality": no,
        "newer than all": missing,
        "AF_INET": "",
        "write": "",
        "ask personality": "",
        "mode": "{'mode': 2, 'filters': 1}",
    }


def test_the_later_steps_and_exec_pass_the_default_filter() -> None:
    """Without no_new_privs the filter is loaded first; user, capabilities and exec then run under it."""
    sets = capabilities.resolve([], [], False, uid=1000)
    steps = [
        fds.CloseLeaked(),
        filtered(),
        rlimits.SetRlimit("RLIMIT_CORE", 0, 0),
        capabilities.DropBoundingSet(sets.bounding),
        capabilities.KeepCaps(),
        credentials.SetUser(1000, 1000, [1000]),
        capabilities.set_capabilities(sets),
    ]
    assert in_child(steps, command=["sh", "-c", "id -u; grep Seccomp: /proc/self/status"]).split() == [
        "1000",
        "Seccomp:",
        "2",
    ]


def test_without_privilege_a_filter_needs_no_new_privs() -> None:
    user: list[Step] = [credentials.SetUser(1000, 1000, [])]
    step = filtered()
    with pytest.raises(MinidockError, match="EACCES"):
        in_child([*user, step])
    assert in_child([*user, no_new_privs.SetNoNewPrivs(), step], lambda: seccomp.read("self")["mode"]) == 2


def test_the_kernel_gives_back_the_filter_that_was_loaded() -> None:
    step = filtered()
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        step.apply(Live())
        os.write(tell, b"1")
        signal.pause()
    os.read(ready, 1)
    try:
        assert seccomp_listing.read(pid) == step.program
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(tell)


@pytest.mark.parametrize("action", ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL", "SCMP_ACT_TRAP"])
def test_actions_that_kill(action: str) -> None:
    rule = spec.SeccompRule(["getppid"], action)
    step = seccomp.load_filter(spec.Seccomp("SCMP_ACT_ALLOW", syscalls=[rule]))
    pid = os.fork()
    if pid == 0:
        step.apply(Live())
        os.getppid()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGSYS


INT_80 = """
/* Call as i386 does, from a 64-bit program: the errno becomes the exit status. */
int main(int argc, char **argv)
{
    long number = 0, result;
    for (char *digit = argv[1]; *digit; digit++)
        number = 10 * number + *digit - '0';
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(0), "c"(0), "d"(0)
                     : "memory", "r8", "r9", "r10", "r11");
    return result < 0 ? (int)-result : 0; /* a pid would be no status */
}
"""


@pytest.mark.parametrize(("number", "expected"), [(20, 0), (21, errno.EPERM), (310, errno.EPERM), (435, errno.ENOSYS)])
def test_the_i386_way_in_is_filtered_too(tmp_path: Path, number: int, expected: int) -> None:
    """getpid, mount, unshare and clone3 by `int $0x80`, as root with all capabilities."""
    if os.uname().machine != "x86_64":
        pytest.skip("needs the feature x86_64")
    source, program = tmp_path / "int80.c", tmp_path / "int80"
    source.write_text(INT_80)
    subprocess.run([require_tool("cc"), "-static", "-o", program, source], check=True)
    pid = os.fork()
    if pid == 0:
        filtered().apply(Live())
        os.execv(program, [str(program), str(number)])
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == -signal.SIGSEGV:
        pytest.skip("needs the feature ia32-emulation")
    assert code == expected
