"""UTS: the container's own host name.

The smallest namespace: two strings, the host name and the NIS domain name, that uname(2) returns. A new one starts as
a copy of the caller's; what we set in it nobody outside sees. Man page: uts_namespaces(7).
"""

from __future__ import annotations

import os
import shlex
from typing import ClassVar

from minidock.kernel import syscalls
from minidock.steps import Live, Step


class SetHostname(Step, frozen=True):
    """At most 64 bytes (HOST_NAME_MAX), else EINVAL. Needs CAP_SYS_ADMIN, so it comes before capabilities go."""

    name: str
    man: ClassVar[str] = "sethostname(2)"

    def describe(self) -> str:
        return f"set the host name to {self.name}"

    def shell(self) -> str:
        return f"hostname -- {shlex.quote(self.name)}"

    def apply(self, live: Live) -> None:
        syscalls.sethostname(self.name)


class SetDomainname(Step, frozen=True):
    """The NIS domain, which `--domainname` sets beside the name in /etc/hosts, as Docker does."""

    name: str
    man: ClassVar[str] = "setdomainname(2)"

    def describe(self) -> str:
        return f"set the domain name to {self.name}"

    def shell(self) -> str:
        return f"domainname -- {shlex.quote(self.name)}"

    def apply(self, live: Live) -> None:
        syscalls.setdomainname(self.name)


def read(pid: int) -> dict[str, str | int]:
    """The UTS namespace of a process. Its strings can only be read from inside; see `nsenter --uts`."""
    return {"inode": os.stat(f"/proc/{pid}/ns/uts").st_ino}


def demo() -> None:
    """Change the host name in a new namespace, and show that the old one keeps its own."""
    from minidock.kernel import namespaces

    before = os.uname().nodename
    pid = syscalls.clone3(namespaces.flags(["uts"]))
    if pid == 0:
        SetHostname("inside").apply(Live())
        print(f"in the new namespace: {os.uname().nodename}", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    after = os.uname().nodename
    print(f"outside it is still:  {after} ({'unchanged' if after == before else 'changed'})")


if __name__ == "__main__":
    demo()
