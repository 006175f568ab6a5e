"""swarm init, join, join-token, leave, update, ca, unlock and unlock-key."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError
from . import swarm_api
from .commands import Complaint, Entry, Noun, verb
from .flags import Flag, Parse, boolean, go_int, go_uint, many, refused, text, value
from .swarm_lock import tell_key
from .units import duration

Body = dict[str, Any]
LISTEN = "0.0.0.0:2377"

swarm = Noun(
    "swarm",
    "Manage Swarm",
    {
        "ca": Entry("swarm:ca", "Display and rotate the root CA"),
        "init": Entry("swarm:init", "Initialize a swarm"),
        "join": Entry("swarm:join", "Join a swarm as a node and/or manager"),
        "join-token": Entry("swarm:join_token", "Manage join tokens"),
        "leave": Entry("swarm:leave", "Leave the swarm"),
        "unlock": Entry("swarm_lock:unlock", "Unlock swarm"),
        "unlock-key": Entry("swarm_lock:unlock_key", "Manage the unlock key"),
        "update": Entry("swarm:update", "Update the swarm"),
    },
    usage="COMMAND",
)


def _uint(bits: int) -> Parse:
    return lambda raw: go_uint(raw, bits)


def _period(name: str, help: str) -> Flag:
    return value(name, "", f"{help} (ns|us|ms|s|m|h)", "duration", duration)


def _whole(name: str, help: str, *, bits: int = 64, default: int | None = None) -> Flag:
    return value(name, "", help, "uint" if bits == 64 else f"uint{bits}", _uint(bits), default=default)


EXPIRY = _period("cert-expiry", "Validity period for node certificates, 2160h at first")
EXTERNAL = refused("external-ca", kind="external-ca", why="can't be honoured: the swarm signs its certificates itself")
SETTINGS = [
    EXPIRY,
    value(
        "dispatcher-heartbeat", "", "Dispatcher heartbeat period (ns|us|ms|s|m|h) (default 5s)", "duration", duration
    ),
    value("max-snapshots", "", "Number of additional Raft snapshots to retain", "uint", _uint(64)),
    value("snapshot-interval", "", "Number of log entries between Raft snapshots (default 10000)", "uint", _uint(64)),
    value("task-history-limit", "", "Task history retention limit (default 5)", "int", go_int),
    EXTERNAL,
]
PLACES = [
    text("listen-addr", "", 'Listen address (format: "<ip>[:port]")', kind="node-addr", default=LISTEN),
    text("advertise-addr", "", 'Advertised address (format: "<ip>[:port]")'),
    text("data-path-addr", "", 'Address to use for data path traffic (format: "<ip>")'),
    text("availability", "", 'Availability of the node ("active", "pause", "drain")', default="active"),
]


def _with(spec: Body, given: Body) -> Body:
    """The swarm's settings, with those of the command line."""
    for flag, part, name in (
        ("cert_expiry", "CAConfig", "NodeCertExpiry"),
        ("dispatcher_heartbeat", "Dispatcher", "HeartbeatPeriod"),
        ("max_snapshots", "Raft", "KeepOldSnapshots"),
        ("snapshot_interval", "Raft", "SnapshotInterval"),
        ("task_history_limit", "Orchestration", "TaskHistoryRetentionLimit"),
        ("autolock", "EncryptionConfig", "AutoLockManagers"),
    ):
        if given.get(flag) is not None:
            spec[part] = {**(spec.get(part) or {}), name: given[flag]}
    return spec


@verb(
    "init",
    "Initialize a swarm",
    "[OPTIONS]",
    flags=[
        *PLACES,
        *SETTINGS,
        boolean("autolock", "", "Enable manager autolocking (requiring an unlock key to start a stopped manager)"),
        value(
            "data-path-port",
            "",
            "Port number to use for data path traffic (1024 - 49151)",
            "uint32",
            _uint(32),
            default=0,
        ),
        many("default-addr-pool", "", "default address pool in CIDR format", kind="ipNetSlice"),
        value(
            "default-addr-pool-mask-length",
            "",
            "default address pool subnet mask length",
            "uint32",
            _uint(32),
            default=24,
        ),
        boolean("force-new-cluster", "", "Force create a new cluster from current state"),
    ],
    examples="""
        minidock swarm init
        minidock swarm init --advertise-addr 192.168.1.10 --autolock
    """,
)
def init(**given: Any) -> None:  # noqa: ANN401 - a flag each
    api = swarm_api.api()
    body = {
        "ListenAddr": given["listen_addr"],
        "AdvertiseAddr": given["advertise_addr"],
        "DataPathAddr": given["data_path_addr"],
        "DataPathPort": given["data_path_port"],
        "DefaultAddrPool": given["default_addr_pool"],
        "SubnetSize": given["default_addr_pool_mask_length"],
        "ForceNewCluster": given["force_new_cluster"],
        "AutoLockManagers": given["autolock"],
        "Availability": given["availability"],
        "Spec": _with({}, {**given, "autolock": given["autolock"] or None}),
    }
    node = api.json("POST", "/swarm/init", None, body)
    print(f"Swarm initialized: current node ({node}) is now a manager.\n")
    _tell_token("worker")
    print("To add a manager to this swarm, run 'minidock swarm join-token manager' and follow the instructions.")
    if given["autolock"]:
        print()
        tell_key(api.json("GET", "/swarm/unlockkey")["UnlockKey"])


def _tell_token(role: str) -> None:
    address = swarm_api.get("/info")["Swarm"]
    manager = next(one["Addr"] for one in address["RemoteManagers"] if one["NodeID"] == address["NodeID"])
    token = swarm_api.get("/swarm")["JoinTokens"][role.capitalize()]
    print(f"To add a {role} to this swarm, run the following command:\n")
    print(f"    minidock swarm join --token {token} {manager}\n")


@verb(
    "join",
    "Join a swarm as a node and/or manager",
    "[OPTIONS] HOST:PORT",
    flags=[*PLACES, text("token", "", "Token for entry into the swarm")],
    least=1,
    most=1,
    examples="minidock swarm join --token SWMTKN-1-… 192.168.1.10:2377",
)
def join(
    arguments: list[str], listen_addr: str, advertise_addr: str, data_path_addr: str, availability: str, token: str
) -> None:
    body = {
        "JoinToken": token,
        "ListenAddr": listen_addr,
        "AdvertiseAddr": advertise_addr,
        "DataPathAddr": data_path_addr,
        "RemoteAddrs": arguments,
        "Availability": availability,
    }
    swarm_api.api().json("POST", "/swarm/join", None, body)
    role = "manager" if swarm_api.get("/info")["Swarm"]["ControlAvailable"] else "worker"
    print(f"This node joined a swarm as a {role}.")


@verb(
    "join-token",
    "Manage join tokens",
    "[OPTIONS] (worker|manager)",
    flags=[boolean("quiet", "q", "Only display token"), boolean("rotate", "", "Rotate join token")],
    least=1,
    most=1,
    examples="minidock swarm join-token --rotate worker",
)
def join_token(arguments: list[str], quiet: bool, rotate: bool) -> None:
    (role,) = arguments
    if role not in ("worker", "manager"):
        raise Complaint(f"unknown role {role}", 1)
    if rotate:
        changed({}, **{f"rotate{role.capitalize()}Token": True})
        if not quiet:
            print(f"Successfully rotated {role} join token.\n")
    if quiet:
        print(swarm_api.get("/swarm")["JoinTokens"][role.capitalize()])
    else:
        _tell_token(role)


def changed(given: Body, **query: bool) -> Body:
    """→ the settings as they are now."""
    api = swarm_api.api()
    found = api.json("GET", "/swarm")
    spec = _with(found["Spec"], given)
    api.json("POST", "/swarm/update", {"version": found["Version"]["Index"], **query}, spec)
    return spec


@verb(
    "leave",
    "Leave the swarm",
    "[OPTIONS]",
    flags=[boolean("force", "f", "Force this node to leave the swarm, ignoring warnings")],
    examples="minidock swarm leave --force",
)
def leave(force: bool) -> None:
    swarm_api.api().json("POST", "/swarm/leave", {"force": force})
    print("Node left the swarm.")


@verb(
    "update",
    "Update the swarm",
    "[OPTIONS]",
    flags=[boolean("autolock", "", "Change manager autolocking setting (true|false)", default=None), *SETTINGS],
    examples="minidock swarm update --autolock --task-history-limit 2",
)
def update(**given: Any) -> None:  # noqa: ANN401 - a flag each
    if all(each is None for each in given.values()):
        raise UsageError("nothing to update: give a setting")
    was = swarm_api.get("/swarm")["Spec"]["EncryptionConfig"]["AutoLockManagers"]
    spec = changed(given)
    print("Swarm updated.")
    if spec["EncryptionConfig"]["AutoLockManagers"] and not was:
        tell_key(swarm_api.get("/swarm/unlockkey")["UnlockKey"])


@verb(
    "ca",
    "Display and rotate the root CA",
    "[OPTIONS]",
    flags=[
        boolean("rotate", "", "Rotate the swarm CA: a new certificate and key are generated"),
        EXPIRY,
        boolean("detach", "d", "Exit immediately instead of waiting for the root rotation to converge"),
        boolean("quiet", "q", "Suppress progress output"),
        EXTERNAL,
        refused("ca-cert", kind="pem-file", why="can't be honoured: minidock's swarm makes its own root certificate"),
        refused("ca-key", kind="pem-file", why="can't be honoured: minidock's swarm makes its own root certificate"),
    ],
    examples="minidock swarm ca",
)
def ca(rotate: bool, cert_expiry: int | None, detach: bool, quiet: bool) -> None:
    for flag, given in (("cert-expiry", cert_expiry is not None), ("detach", detach), ("quiet", quiet)):
        if given and not rotate:
            raise Complaint(f"`--{flag}` flag requires the `--rotate` flag to update the CA", 1)
    if rotate:
        found = swarm_api.get("/swarm")["Spec"].get("CAConfig") or {}
        api = swarm_api.api()
        swarm = api.json("GET", "/swarm")
        spec = _with(swarm["Spec"], {"cert_expiry": cert_expiry})
        spec["CAConfig"]["ForceRotate"] = int(found.get("ForceRotate") or 0) + 1
        api.json("POST", "/swarm/update", {"version": swarm["Version"]["Index"]}, spec)
    print(swarm_api.get("/swarm")["TLSInfo"]["TrustRoot"], end="")
