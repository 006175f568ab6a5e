"""A service has one address, and its tasks share the connections to it: rules in the namespace of whoever asks.

Docker has IPVS do it, which many kernels lack. nftables can do the same: a connection to the service's address gets
one of the tasks' instead, in turn, before it leaves (`dnat to numgen inc mod 2 map { 0 : …, 1 : … }`), and the kernel's
memory of connections rewrites the answers.

Why in each client's namespace, and not once at the bridge? A bridge passes frames, and IP rules of the host don't see
them. If the host took the service's address for its own, frames to it would come up to the host and be rewritten; but
the task that was chosen would answer the client straight over the bridge, from an address that the client has never
spoken to, unless the host put itself in between as the source: then no task would know who asks, and everything would
travel through one host. The client itself sees both directions.

Each client begins with another task, or the first of everybody's connections would all go to the same one.

man: nft(8) "NAT STATEMENTS", "NUMGEN EXPRESSION"
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from minidock import files
from minidock.kernel import conntrack, netns, nft
from minidock.network import overlay
from minidock.network.arithmetic import number
from minidock.network.endpoint import Endpoint
from minidock.paths import Layout
from minidock.steps import Live, Step

TABLE = "minidock_services"


class Given(msgspec.Struct, frozen=True):
    """The rules that a namespace has; another one, of a container that was started anew, has none of them."""

    namespace: int = 0
    services: dict[str, list[str]] = {}

    def tasks(self) -> set[str]:
        return {task for tasks in self.services.values() for task in tasks}


def _before(seen: Path) -> Given:
    try:
        return files.read_json(seen, Given)
    except FileNotFoundError:
        return Given()


class BalanceServices(Step, frozen=True):
    """In the container's network namespace: what is sent to a service goes to one of its tasks. Needs `live.pid`."""

    address: str
    """The container's own."""
    arrangements: list[str]
    """overlay.json of the swarm's networks that it is on."""
    seen: str
    """Where is noted what the kernel was given, so that the same isn't given again."""
    man: ClassVar[str] = "nft(8)"

    def describe(self) -> str:
        return f"share out the container's connections to services among their tasks (table {TABLE} in its namespace)"

    def services(self) -> dict[str, list[str]]:
        return {
            address: tasks for path in self.arrangements for address, tasks in overlay.read(Path(path)).services.items()
        }

    def rules(self) -> str:
        return rules(self.services(), number(self.address))

    def shell(self) -> str:
        return f"nsenter -t $PID -n nft -f - <<'EOF'\n{self.rules()}EOF"

    def apply(self, live: Live) -> None:
        services = self.services()
        before, now = _before(Path(self.seen)), Given(netns.identity(live.pid), services)
        if before == now:
            return
        with netns.entered(live.pid):
            nft.run(rules(services, number(self.address)))
            # A client that keeps sending datagrams would go on to a task that is gone: the rules are asked but once.
            for task in before.tasks() - now.tasks():
                conntrack.forget(socket.IPPROTO_UDP, answers=task)
        files.write_json(Path(self.seen), now, durable=False)


def of(layout: Layout, endpoints: list[Endpoint]) -> BalanceServices | None:
    """Of one container; None when it is on no network of a swarm."""
    swarms = [end for end in endpoints if overlay.is_of_swarm(end.network)]
    if not swarms:
        return None
    claim = swarms[0].claim
    paths = [str(overlay.path_of(layout, end.network)) for end in swarms]
    return BalanceServices(claim.address, paths, str(layout.container_run(claim.container) / "services.json"))


def rules(services: Mapping[str, list[str]], turn: int) -> str:
    """The whole table, in place of what there was, in one transaction; `turn` says with which task to begin."""
    shared = [_shared(address, tasks, turn) for address, tasks in services.items() if tasks]
    empty = [address for address, tasks in services.items() if not tasks]
    return (
        f"add table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n"
        f"\tchain output {{\n\t\ttype nat hook output priority -100; policy accept;\n{''.join(shared)}\t}}\n"
        f"\tchain refuse {{\n\t\ttype filter hook output priority 0; policy accept;\n{_refused(empty)}\t}}\n}}\n"
    )


def _shared(address: str, tasks: list[str], turn: int) -> str:
    first = turn % len(tasks)
    rotated = tasks[first:] + tasks[:first]
    if len(rotated) == 1:
        return f"\t\tip daddr {address} dnat to {rotated[0]}\n"
    numbered = ", ".join(f"{index} : {task}" for index, task in enumerate(rotated))
    return f"\t\tip daddr {address} dnat to numgen inc mod {len(rotated)} map {{ {numbered} }}\n"


def _refused(addresses: Iterable[str]) -> str:
    """Nobody has the address of a service without tasks: better a clear no than three seconds of asking for it."""
    return "".join(f"\t\tip daddr {address} reject\n" for address in addresses)
