"""Why things fail in containers: what the kernel meant by an error, how to see it, and what to do about it.

A table of causes, each known by words that stand in messages (ours, Docker's, a program's own) or by an exit code.
Those that are more particular come first.
"""

from __future__ import annotations

import re
import signal

import msgspec


class Cause(msgspec.Struct, frozen=True):
    """`words` is a regular expression; `codes` are exit codes, `topics` words of a question (`minidock explain DNS`),
    that say it alone. `{id}` in `look` is the container.
    """

    title: str
    words: str
    meaning: str
    man: str
    look: list[str]
    remedy: str
    codes: list[int] = []
    topics: list[str] = []


CAUSES = [
    Cause(
        "out of memory",
        r"killed by the kernel: |out of memory|oom.?kill|cannot allocate memory|\bENOMEM\b",
        "the cgroup was at its memory limit and nothing could be taken back, so the kernel sent SIGKILL to its fattest "
        "process; with ENOMEM it refused to promise more",
        "cgroups(7)",
        ["minidock inspect --format '{{{{.HostConfig.Memory}}}}' {id}", "dmesg | grep oom-kill"],
        "a larger --memory, or a program that needs less; minidock stats shows how close it gets",
        topics=["oom", "memory"],
    ),
    Cause(
        "a bus error: /dev/shm is full",
        r"bus error|out of shared memory|\bSIGBUS\b|shared memory.*no space left|/dev/shm.*no space left",
        "a page of a file that is mapped into memory could not be had; in /dev/shm that is how a full one shows, "
        "since writing to memory has no way to say ENOSPC (PyTorch's data loaders hand their batches over there; new "
        "ones ask for the room first, and do get ENOSPC)",
        "shm_overview(7)",
        ["minidock exec {id} df -h /dev/shm", "minidock inspect --format '{{{{.HostConfig.ShmSize}}}}' {id}"],
        "a larger --shm-size (1g), --ipc=host, or num_workers=0 in the program",
        [128 + signal.SIGBUS],
    ),
    Cause(
        "exec format error",
        r"exec format error|\bENOEXEC\b|invalid elf|wrong ELF class",
        "execve(2) read the first bytes of the file: neither an ELF program for this machine nor a script that begins "
        "with #! (another architecture, or a script without its first line)",
        "execve(2)",
        ["minidock cp {id}:FILE - | tar xO | head -c 64 | od -c", "uname -m"],
        "an image for this architecture (--platform), or #!/bin/sh as the script's very first line",
        topics=["architecture", "exec format"],
    ),
    Cause(
        "no such command, interpreter or loader",
        r"executable file not found in \$PATH|exec[: ].*no such file or directory|command not found|: not found$",
        "execve(2) said ENOENT: the file isn't there, or the interpreter that its #! line or ELF header names isn't "
        "(a carriage return at the end of that line is part of the name; glibc's programs need glibc's loader)",
        "execve(2)",
        [
            "minidock inspect --format '{{{{json .Config.Cmd}}}} {{{{json .Config.Entrypoint}}}}' {id}",
            "minidock diff {id}",
        ],
        "the full path of a command that the image has, Unix line ends, the right base image",
        [127],
        ["interpreter", "shebang", "loader", "#!"],
    ),
    Cause(
        "a port is taken",
        r"port is already allocated|address already in use|\bEADDRINUSE\b",
        "a socket is bound to one address and port of a network namespace only once: the host's for -p, the "
        "container's own for its program",
        "ip(7)",
        ["ss -ltnup", "minidock ps --format '{{{{.Names}}}} {{{{.Ports}}}}'"],
        "another host port with -p, or stop who holds it",
        topics=["port", "ports"],
    ),
    Cause(
        "a name could not be resolved",
        r"could not resolve|name or service not known|temporary failure in name resolution|no such host|bad address '",
        "the resolver asked the servers of the container's own /etc/resolv.conf and got no answer, or that there is no "
        "such name; other containers have names on networks that were made by hand only",
        "resolv.conf(5)",
        ["minidock exec {id} cat /etc/resolv.conf /etc/hosts", "minidock network inspect bridge"],
        "--dns SERVER, or a network of your own (minidock network create) for names of containers",
        topics=["dns", "names"],
    ),
    Cause(
        "a network could not be reached",
        r"network is unreachable|no route to host|connection refused|\bE(NETUNREACH|HOSTUNREACH|CONNREFUSED)\b",
        "unreachable: no route in the container's own table leads there; refused: the host is there and nobody listens "
        "on the port (127.0.0.1 inside is the container itself)",
        "ip-route(8)",
        ["minidock exec {id} ip route", "minidock inspect --kernel {id}"],
        "a network with a gateway (not none or --internal); in the program: listen on 0.0.0.0",
    ),
    Cause(
        "the disk is full",
        r"no space left on device|disk quota exceeded|\bE(NOSPC|DQUOT)\b",
        "the file system under the container's upper layer (or a tmpfs, /dev/shm, a volume) has no blocks or no inodes",
        "statfs(2)",
        ["df -h; df -i", "minidock system df"],
        "minidock system prune, a larger --shm-size or tmpfs size=, or a volume on another disk",
    ),
    Cause(
        "a file system is read-only",
        r"read-only file system|\bEROFS\b",
        "the mount has the read-only flag: --read-only makes the root so, :ro a volume, and parts of /proc and /sys "
        "are so for every container",
        "mount_setattr(2)",
        [
            "minidock exec {id} cat /proc/self/mountinfo",
            "minidock inspect --format '{{{{.HostConfig.ReadonlyRootfs}}}}' {id}",
        ],
        "--tmpfs /path or -v for what has to be written, without :ro",
    ),
    Cause(
        "a capability or the system call filter is in the way",
        r"operation not permitted|\bEPERM\b|bad system call|\bSIGSYS\b|are you root|must be (root|superuser)",
        "root in a container has 14 of the 41 capabilities, and a filter (seccomp) that answers EPERM to calls that "
        "containers rarely need: mount, clock_settime, bpf, new namespaces …",
        "capabilities(7), seccomp(2)",
        ["minidock exec {id} grep -E 'Cap|Seccomp|NoNewPrivs' /proc/1/status", "strace -f -p PID"],
        "find the call (strace) and --cap-add it; seccomp=unconfined (--security-opt) tells whether the filter did it",
        [128 + signal.SIGSYS],
        ["seccomp", "capability", "capabilities"],
    ),
    Cause(
        "permission denied",
        r"permission denied|\bEACCES\b",
        "the mode or owner of a file: the command has no x bit (or its mount is noexec), or the user of the container "
        "(-u, USER) may not pass a directory on the way; owners of bind mounts are the host's numbers",
        "path_resolution(7)",
        ["minidock exec {id} id", "minidock exec {id} ls -ln FILE"],
        "chmod +x in the image, -u UID, or chown on the host",
        [126],
    ),
    Cause(
        "too many processes or open files",
        r"resource temporarily unavailable|too many open files|\bE(AGAIN|MFILE|NFILE)\b",
        "fork(2) said EAGAIN at --pids-limit or RLIMIT_NPROC, or open(2) EMFILE at RLIMIT_NOFILE",
        "getrlimit(2)",
        ["minidock exec {id} sh -c 'ulimit -a'", "minidock stats --no-stream {id}"],
        "--pids-limit, --ulimit nofile=SOFT:HARD",
    ),
    Cause(
        "a file is missing",
        r"no such file or directory|\bENOENT\b",
        "a path was looked up in the container's own tree and is not there; the host's files are not in it",
        "path_resolution(7)",
        ["minidock diff {id}", "minidock export {id} | tar t | head"],
        "COPY it into the image, or -v it into the container",
    ),
    Cause(
        "the container could not be made",
        r"\bexit (?:code|status) 125\b",
        "125 is minidock's own code, not the program's: a flag can't be, or a step failed before the program began; "
        "the error names it",
        "errno(3)",
        ["minidock inspect --format '{{{{.State.Error}}}}' {id}", "minidock events --since 1h --until 0s"],
        "the same command with --explain shows the steps before the one that failed",
        codes=[125],
    ),
]


def of_topic(word: str) -> Cause | None:
    """The cause that somebody asks for by name."""
    return next((cause for cause in CAUSES if word.strip().lower() in cause.topics), None)


def of_text(text: str) -> Cause | None:
    """The most particular cause that the text names."""
    return next((cause for cause in CAUSES if re.search(cause.words, text, re.IGNORECASE | re.MULTILINE)), None)


def of_code(code: int) -> Cause | None:
    """What an exit code says by itself: 125 to 127 are the engine's and the shell's, 128+n a signal."""
    for cause in CAUSES:
        if code in cause.codes:
            return cause
    name = next((known.name for known in signal.Signals if known == code - 128), "")
    if not name:
        return None
    who = "the program's own mistake" if name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE") else "somebody"
    return Cause(
        f"ended by {name}",
        "",
        f"128 + {code - 128}: the process died of signal {code - 128}; whose it was: {who}"
        + (" (minidock stop and kill send it; the kernel does when memory is short)" if name == "SIGKILL" else ""),
        "signal(7)",
        ["minidock events --since 1h --until 0s --filter container={id}", "dmesg | tail"],
        "minidock logs for its last words",
    )
