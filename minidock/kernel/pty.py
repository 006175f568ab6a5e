"""Pseudo-terminals: what makes a container interactive.

A pty is two ends of one line: what is written to the master looks typed to whoever reads the slave, and in between
sits the line discipline, which echoes, edits, and turns ^C into SIGINT. The container gets the slave as its standard
streams and its controlling terminal; the shim keeps the master.

It must be opened inside, from the container's own devpts: else `tty` in there prints a name that doesn't exist in its
/dev/pts. So the child opens it and sends the master out, over a unix socket (SCM_RIGHTS): a descriptor keeps working
where its name means nothing. Man pages: pty(7), ioctl_tty(2), unix(7).
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from typing import ClassVar

from minidock.steps import Live, Step

TIOCSCTTY = 0x540E  # asm-generic/ioctls.h
TIOCSWINSZ = 0x5414
TIOCGPTPEER = 0x5441
TIOCSPTLCK = 0x40045431
TIOCGPTN = 0x80045430

STDIN, STDOUT, STDERR = 0, 1, 2


class OpenTerminal(Step, frozen=True):
    """Applied by the child, after pivot_root. Needs `live.fds["console"]`, the socket to the shim, and closes it.

    Afterwards 0, 1 and 2 are the terminal, and `os.ttyname(0)` is its name: what the runtime mounts on /dev/console.
    `uid` will own it, so that a user other than root can open it again by name (as /dev/stdout, for instance).
    """

    rows: int = 0
    columns: int = 0
    uid: int = 0
    man: ClassVar[str] = "pty(7)"

    def describe(self) -> str:
        size = f" of {self.rows} rows and {self.columns} columns" if self.rows and self.columns else ""
        return f"open a terminal{size} in the container's devpts and make it the controlling one"

    def shell(self) -> str:
        return "# the script keeps the terminal that it is run in; script(1) would open another one"

    def apply(self, live: Live) -> None:
        master, slave = open_pty()
        try:
            if self.rows and self.columns:
                resize(master, self.rows, self.columns)
            os.fchown(slave, self.uid, -1)  # before the capabilities go
            console = live.fds.pop("console")
            send_master(console, master)
            os.close(console)
        finally:
            os.close(master)
        become_terminal_of(slave)


def open_pty(ptmx: str = "/dev/pts/ptmx") -> tuple[int, int]:
    """Master and slave of a new pty in the devpts instance that `ptmx` belongs to. Raises OSError."""
    import fcntl

    master = os.open(ptmx, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))  # unlockpt(3)
        # By descriptor, not by name: nobody can have put something else at /dev/pts/N (ioctl_tty(2), since 4.13).
        slave: int = fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except BaseException:
        os.close(master)
        raise
    return master, slave


def number(master: int) -> int:
    """N of /dev/pts/N."""
    import fcntl

    found: int = struct.unpack("i", fcntl.ioctl(master, TIOCGPTN, bytes(4)))[0]
    return found


def resize(fd: int, rows: int, columns: int) -> None:
    """Set the window size; the kernel sends SIGWINCH to the foreground process group when it changes."""
    import fcntl

    fcntl.ioctl(fd, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def become_terminal_of(slave: int) -> None:
    """Make it the controlling terminal of the calling process, and its standard streams. `slave` is closed."""
    import fcntl

    # Only a session leader without a terminal may take one (else EPERM); leading already is as good.
    with contextlib.suppress(PermissionError):
        os.setsid()
    fcntl.ioctl(slave, TIOCSCTTY, 0)
    for fd in (STDIN, STDOUT, STDERR):
        os.dup2(slave, fd)
    if slave > STDERR:
        os.close(slave)


def send_master(console: int, master: int) -> None:
    """Send the descriptor over the unix socket `console`; the byte beside it is needed: SCM_RIGHTS rides on data."""
    import socket

    with socket.socket(fileno=os.dup(console)) as wire:
        socket.send_fds(wire, [b"\0"], [master])


def receive_master(console: int) -> int:
    """The other side of send_master(). Raises OSError (ECONNRESET) when the sender has gone without sending."""
    import socket

    with socket.socket(fileno=os.dup(console)) as wire:
        _, fds, _, _ = socket.recv_fds(wire, 64, 1)
    if not fds:
        raise OSError(errno.ECONNRESET, "no terminal was sent")
    os.set_inheritable(fds[0], False)
    return fds[0]


def read(pid: int) -> dict[str, str | int]:
    """The controlling terminal of a process: its device number (proc(5), tty_nr; 0 is none), and what 0 is."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        tty = int(file.read().rpartition(")")[2].split()[4])
    return {
        "major": tty >> 8 & 0xFFF,
        "minor": tty & 0xFF | tty >> 12 & 0xFFF00,
        "stdin": os.readlink(f"/proc/{pid}/fd/0"),
    }


def demo() -> None:
    """A child with a terminal of its own: what it says about it, and what typing ^C into the master does."""
    import signal
    import socket

    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        live = Live()
        live.fds["console"] = theirs.detach()
        OpenTerminal(24, 80).apply(live)
        os.execvp("sh", ["sh", "-c", "tty; stty size; exec sleep 10"])
    theirs.close()
    master = receive_master(ours.fileno())
    said = b""
    while said.count(b"\n") < 2:
        said += os.read(master, 100)
    print(f"the child in its terminal: {said.decode().split()}")
    os.write(master, b"\x03")
    status = os.waitpid(pid, 0)[1]
    print(f"after ^C on the master, it died of {signal.Signals(os.WTERMSIG(status)).name}")


if __name__ == "__main__":
    demo()
