"""Published ports: each an entry in a map of the instance's table (nat.py), which leads to its container."""

from __future__ import annotations

import socket
from typing import ClassVar

from minidock.errors import MinidockError
from minidock.kernel import conntrack, nft
from minidock.network.addresses import Published
from minidock.steps import Live, Step

ANY = ("0.0.0.0", "::")  # noqa: S104


class PublishPorts(Step, frozen=True):
    """Write the container's ports into the table's maps."""

    table: str
    ports: list[Published]
    man: ClassVar[str] = "nft(8)"

    def describe(self) -> str:
        shown = (f"{p.host_ip}:{p.host_port}/{p.protocol} to {p.address}:{p.port}" for p in self.ports)
        return f"publish {', '.join(shown)}"

    def shell(self) -> str:
        lines = [f"nft -f - <<'EOF'\n{elements('add', self.table, self.ports)}EOF"]
        udp = (port.host_port for port in self.ports if port.protocol == "udp")
        lines += [f"conntrack -D -p udp --orig-port-dst {number} >/dev/null 2>&1 || :" for number in udp]
        return "\n".join(lines)

    def undo_shell(self) -> str:
        entries = elements("delete", self.table, self.ports).splitlines()
        return "\n".join(f"nft '{entry}' || :" for entry in entries)

    def apply(self, live: Live) -> None:
        try:
            nft.run(elements("add", self.table, self.ports))
        except MinidockError:
            # An entry for the port is there, and leads elsewhere: left by a container that is gone, as the port's
            # socket and its claim are ours. Only then: one call of nft is the usual price.
            for port in filter(is_rewritten, self.ports):
                nft.attempt(f"delete element {_key(self.table, port)}")
            nft.run(elements("add", self.table, self.ports))
        for port in self.ports:
            if port.protocol == "udp":
                conntrack.forget(socket.IPPROTO_UDP, port=port.host_port)

    def undo(self, live: Live) -> None:
        """Take out what leads to us. An entry with our port and another's address is the next container's."""
        # Adding what is there changes nothing, adding to a port that leads elsewhere fails: so nothing is deleted then.
        if not nft.attempt(elements("add", self.table, self.ports) + elements("delete", self.table, self.ports)):
            for port in self.ports:
                nft.attempt(elements("add", self.table, [port]) + elements("delete", self.table, [port]))
        for port in self.ports:
            if port.protocol == "udp":
                conntrack.forget(socket.IPPROTO_UDP, answers=port.address, answer_port=port.port)


def elements(verb: str, table: str, ports: list[Published]) -> str:
    """The lines that add or delete them."""
    return "".join(f"{verb} element {_key(table, port, with_value=True)}\n" for port in ports if is_rewritten(port))


def is_rewritten(port: Published) -> bool:
    """Whether the table leads there: it can't from one family of addresses to the other, nor from ::1."""
    return (":" in port.host_ip) == (":" in port.address) and port.host_ip != "::1"


def _key(table: str, port: Published, *, with_value: bool = False) -> str:
    value = f" : {port.address} . {port.port}" if with_value else ""
    name = "published6" if ":" in port.host_ip else "published"
    if port.host_ip in ANY:
        return f"inet {table} {name} {{ {port.protocol} . {port.host_port}{value} }}"
    return f"inet {table} {name}_at {{ {port.host_ip} . {port.protocol} . {port.host_port}{value} }}"
