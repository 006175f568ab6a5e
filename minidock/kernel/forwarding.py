"""Forwarding: what makes a host a router. Without it the kernel drops packets that are not for itself.

The switches are files below /proc/sys/net. They belong to a network namespace, and each interface has its own.

man: tcp(7), ip(7) "/proc interfaces", https://docs.kernel.org/networking/ip-sysctl.html
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from minidock.files import claim
from minidock.steps import Live, Step

IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
CONF6 = Path("/proc/sys/net/ipv6/conf")
FORWARDING6 = CONF6 / "all" / "forwarding"


class EnableForwarding(Step, frozen=True):
    """Let the host pass packets on. `remember` is the file that keeps the value found, for `network.teardown`."""

    remember: str
    man: ClassVar[str] = "ip(7)"

    def describe(self) -> str:
        return "let the host pass packets on between its interfaces (net.ipv4.ip_forward)"

    def shell(self) -> str:
        return f"echo 1 > {IP_FORWARD}"

    def apply(self, live: Live) -> None:
        found = IP_FORWARD.read_text().strip()
        if found == "1":
            return
        Path(self.remember).parent.mkdir(parents=True, exist_ok=True)
        claim(Path(self.remember), found.encode())
        IP_FORWARD.write_text("1")


class EnableForwarding6(Step, frozen=True):
    """The same for IPv6. A router listens to no other router's advertisements unless it is told to (accept_ra 2):
    else a host that has its own address and way out by them would lose both. `remember` as above."""

    remember: str
    man: ClassVar[str] = "ip(7)"

    def describe(self) -> str:
        return "let the host pass IPv6 packets on, and go on listening to its own router"

    def shell(self) -> str:
        listen = f"for i in {CONF6}/*/accept_ra; do [ $(cat $i) != 1 ] || echo 2 > $i; done"
        return f"[ $(cat {FORWARDING6}) = 1 ] || {{ {listen}; echo 1 > {FORWARDING6}; }}"

    def apply(self, live: Live) -> None:
        if not FORWARDING6.exists() or FORWARDING6.read_text().strip() == "1":
            return
        Path(self.remember).parent.mkdir(parents=True, exist_ok=True)
        claim(Path(self.remember), FORWARDING6.read_bytes())
        for path in CONF6.glob("*/accept_ra"):
            if path.read_text().strip() == "1":
                path.write_text("2")
        FORWARDING6.write_text("1")


class SetInterfaceSysctl(Step, frozen=True):
    """One switch of one interface; it goes when the interface goes. A kernel without IPv6 has no switches for it."""

    interface: str
    family: str
    key: str
    value: str
    why: str
    man: ClassVar[str] = "ip(7)"

    def path(self) -> str:
        return f"/proc/sys/net/{self.family}/conf/{self.interface}/{self.key}"

    def describe(self) -> str:
        return f"set {self.key} of {self.interface} to {self.value}: {self.why}"

    def shell(self) -> str:
        return f"[ ! -e {self.path()} ] || echo {self.value} > {self.path()}"

    def apply(self, live: Live) -> None:
        path = Path(self.path())
        try:
            if path.read_text().strip() != self.value:
                path.write_text(self.value)
        except FileNotFoundError:
            if self.family != "ipv6":
                raise


def read(pid: int) -> dict[str, str]:
    """The namespace-wide switches that decide about forwarding, of our own namespace: /proc/sys/net is the reader's."""
    return {"net.ipv4.ip_forward": IP_FORWARD.read_text().strip()}


def demo() -> None:
    """Whether this host is a router."""
    print(read(0))


if __name__ == "__main__":
    demo()
