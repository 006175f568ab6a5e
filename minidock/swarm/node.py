"""What this machine is in a swarm: `<root>/swarm/node.json`, which a restarted daemon picks up.

One file, written whole (0600), so that a crash leaves the node as it was or as it was to be. `keys` are the node's
private key and, of a manager, the cluster's key; in an autolocked swarm they stand sealed in `locked` instead, and the
daemon that restarts knows who it is, but can neither prove it nor read the store until somebody unlocks it.

For as long as the node is up, <run>/swarm has certificate and key as files, since that is how etcd and TLS want them:
on a tmpfs, gone after a reboot.
"""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec

from minidock.errors import MinidockError
from minidock.files import remove_tree, write_atomic
from minidock.paths import Layout
from minidock.swarm import sealing

PORT, PEER_STEP = 2377, 3
"""Docker's port for managers; a manager's etcd is reached by the others three above it (2380, etcd's own)."""


class Keys(msgspec.Struct, frozen=True):
    node: str
    """Private key in PEM."""
    cluster: str = ""
    """Of managers: the key that seals the store, base64."""


class Node(msgspec.Struct, frozen=True):
    """Addresses are host:port; `listen` and `advertise` of workers, too: they may be promoted."""

    id: str
    cluster: str
    role: str
    listen: str
    advertise: str
    certificate: str
    root_ca: str
    managers: list[str]
    data_path_addr: str = ""
    keys: Keys | None = None
    locked: str = ""
    """`keys`, sealed with the unlock key."""

    @property
    def is_manager(self) -> bool:
        return self.role == "manager"

    @property
    def address(self) -> str:
        """Without the port."""
        return split(self.advertise)[0]

    @property
    def peer_url(self) -> str:
        """Where this manager's etcd is reached by the others."""
        host, port = split(self.advertise)
        return f"https://{joined(host, port + PEER_STEP)}"

    @property
    def cluster_key(self) -> bytes:
        assert self.keys is not None
        return base64.b64decode(self.keys.cluster)


def split(address: str) -> tuple[str, int]:
    """`[::1]:2377` → ("::1", 2377)."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def directory(layout: Layout) -> Path:
    return layout.root / "swarm"


def running(layout: Layout) -> Path:
    """What lasts as long as the machine is up: TLS files, the socket of etcd."""
    return layout.run / "swarm"


def load(layout: Layout) -> Node | None:
    """Raises MinidockError for a file that can't be read."""
    try:
        return msgspec.json.decode((directory(layout) / "node.json").read_bytes(), type=Node)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise MinidockError(f"the swarm's node.json can't be read: {error}") from error


def save(layout: Layout, node: Node, unlock: bytes | None) -> None:
    """`unlock` seals the keys, where the swarm is autolocked and the node a manager."""
    assert node.keys is not None
    if unlock is not None and node.is_manager:
        locked = sealing.seal(unlock, msgspec.json.encode(node.keys))
        node = msgspec.structs.replace(node, keys=None, locked=locked)
    place = directory(layout)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(node), indent=2) + b"\n"
    write_atomic(place / "node.json", data, mode=0o600)


def unlocked(node: Node, unlock: bytes) -> Node:
    """Raises WrongKey."""
    keys = msgspec.json.decode(sealing.opened(unlock, node.locked), type=Keys)
    return msgspec.structs.replace(node, keys=keys, locked="")


def unpack(layout: Layout, node: Node) -> None:
    """Certificate and key as the files that TLS wants."""
    assert node.keys is not None
    place = running(layout)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in (("ca.crt", node.root_ca), ("node.crt", node.certificate), ("node.key", node.keys.node)):
        write_atomic(place / name, text.encode(), mode=0o600, durable=False)


def forget(layout: Layout) -> None:
    """The node is in no swarm any more. node.json goes first: what else is there means nothing without it."""
    (directory(layout) / "node.json").unlink(missing_ok=True)
    remove_tree(directory(layout))
    remove_tree(running(layout))
