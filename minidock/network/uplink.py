"""A way out without root: packets of a container carried by an ordinary process, slirp4netns(1).

A cable needs two ends, and the host's end belongs to the host's root. So one process opens a tap interface *inside*:
what the container sends there the process reads as bytes, and speaks for it: connect(2), send(2) and recv(2) on
sockets of its own, as any program of the user. What is published are sockets that it listens on. So there is neither
address nor interface of the container on the host, and containers don't see each other.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
from typing import ClassVar

from minidock.errors import MinidockError, PortInUse, Unsupported, UsageError
from minidock.kernel.link import LinkUp
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig
from minidock.model.network import EndpointSettings
from minidock.network import ports
from minidock.network.addresses import Published
from minidock.network.reserve import reserve_ports
from minidock.network.store import network_id
from minidock.paths import Layout
from minidock.steps import Live, Step

PROGRAM = "slirp4netns"
ADDRESS, GATEWAY, NAME_SERVER, PREFIX = "10.0.2.100", "10.0.2.2", "10.0.2.3", 24
"""slirp4netns's own: the same in every container, for none sees another's."""
TUN = "/dev/net/tun"
LIFELINE = "lifeline"
"""The name in Live.fds of a pipe's end for reading, whose other end the container's shim has and never uses: with the
shim that one is closed, and slirp4netns, which watches it, ends."""
OPTIONS = ["--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp"]
"""Without the third, 10.0.2.2 would lead to what listens on the host's 127.0.0.1 only."""


class ConnectBySlirp(Step, frozen=True):
    """Applied on the host, before the container does anything. It ends with the container's shim: see LIFELINE."""

    directory: str
    """For its socket, by which it is asked to listen, and for what it has to say: the container's run directory."""
    published: list[Published] = []
    man: ClassVar[str] = "slirp4netns(1)"

    def describe(self) -> str:
        where = ", ".join(f"{port.host_ip}:{port.host_port} to port {port.port}" for port in self.published)
        return "carry the container's packets by slirp4netns" + (f", and {where}" if where else "")

    def shell(self) -> str:
        if self.published:
            raise Unsupported(
                "a script can't publish ports without root: slirp4netns takes them on a socket, as JSON",
                hint="leave -p out, or use --network host",
            )
        there = "nsenter --net=/proc/$PID/ns/net ip -o link show up dev eth0"
        return "\n".join(
            [
                'mkfifo "$RUN/lifeline" && exec 4<> "$RUN/lifeline" # at our end it is closed, and slirp4netns ends',
                f'{PROGRAM} {shlex.join(OPTIONS)} --exit-fd=5 "$PID" eth0 5< "$RUN/lifeline" 4>&- >/dev/null 2>&1 &',
                f'until [ -n "$({there} 2>/dev/null)" ]; do sleep 0.05; done',
            ]
        )

    def apply(self, live: Live) -> None:
        lifeline = live.fds.pop(LIFELINE)
        ready, told = os.pipe()
        words = [*OPTIONS, f"--exit-fd={lifeline}", f"--ready-fd={told}", f"--api-socket={self._socket}"]
        with open(f"{self.directory}/slirp4netns.log", "wb") as log, os.fdopen(ready, "rb") as waiting:
            try:
                subprocess.Popen(
                    [_program(), *words, str(live.pid), "eth0"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lifeline, told),
                    start_new_session=True,  # the terminal's Ctrl-C is the container's
                )
            finally:
                os.close(lifeline)
                os.close(told)
            if waiting.read(1) != b"1":
                raise MinidockError(f"{PROGRAM} failed: {self._last_words()}")
        for port in self.published:
            self._publish(port)

    @property
    def _socket(self) -> str:
        return f"{self.directory}/slirp4netns.sock"

    def _last_words(self) -> str:
        with open(f"{self.directory}/slirp4netns.log", encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip() and not line.startswith("WARNING")]
        return lines[0] if lines else "it said nothing"

    def _publish(self, port: Published) -> None:
        arguments = {
            "proto": port.protocol,
            "host_addr": port.host_ip,
            "host_port": port.host_port,
            "guest_addr": port.address,
            "guest_port": port.port,
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as api:
            api.connect(self._socket)
            api.sendall(json.dumps({"execute": "add_hostfwd", "arguments": arguments}).encode())
            api.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: api.recv(4096), b""))
        if b'"error"' in answer:  # it was free a moment ago: see _check
            raise PortInUse(f"{port.host_ip}:{port.host_port}", "")


def plan(
    layout: Layout, container_id: str, config: ContainerConfig, host: HostConfig, names: set[str], *, dry_run: bool
) -> tuple[ConnectBySlirp, list[Published]]:
    """The step, and what is published where. Raises Unsupported, UsageError, PortInUse."""
    if others := names - {"", "default", "bridge"}:
        raise Unsupported(
            f"without root there is no network {min(others)}: bridges and the cables to them belong to the host's root",
            hint="the default network, none and host are there",
        )
    if not dry_run:
        _program()
        if not os.access(TUN, os.R_OK | os.W_OK):
            raise Unsupported(
                f"without root, and without the right to open {TUN}, there is no way out of a container's own network",
                hint=f"root types chmod 666 {TUN}, as udev does: it gives no rights to the host's network",
            )
    published = ports.choose(
        layout, ports.wanted(config, host), ADDRESS, [], dry_run=dry_run, default_ip="0.0.0.0"  # noqa: S104
    )  # fmt: skip
    for port in published:
        if ":" in port.host_ip or port.protocol == "sctp":
            raise UsageError(
                f"without root no {port.protocol} port can be published on {port.host_ip}: {PROGRAM} can't"
            )
    if not dry_run:
        _check(published)
    return ConnectBySlirp(str(layout.container_run(container_id)), published), published


def shown(layout: Layout) -> EndpointSettings:
    """As `inspect` shows it."""
    return EndpointSettings(
        network_id=network_id(layout, "bridge"), gateway=GATEWAY, ip_address=ADDRESS, ip_prefix_len=PREFIX
    )


def inside() -> list[Step]:
    """What the container does itself: slirp4netns has brought eth0 up."""
    return [LinkUp("lo")]


def _check(published: list[Published]) -> None:
    """Raises PortInUse, with the name of who has it: slirp4netns would only say that it failed."""
    try:
        held = reserve_ports([(port.protocol, port.host_ip, port.host_port) for port in published])
    except MinidockError as error:
        if isinstance(error.__cause__, PermissionError):
            hint = "ports below net.ipv4.ip_unprivileged_port_start (sysctl) are root's"
            raise MinidockError(error.message, hint=hint) from error
        raise
    for one in held:
        one.close()


def _program() -> str:
    found = shutil.which(PROGRAM, path="/usr/local/bin:/usr/bin:/bin")
    if found is None:
        raise Unsupported(
            f"without root, and without {PROGRAM}, there is no way out of a container's own network",
            hint=f"apt-get install {PROGRAM}, or --network none, or --network host",
        )
    return found
