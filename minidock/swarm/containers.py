"""A task → the container that it is: the body of POST /containers/create, as dockerd makes it of one.

What swarms add: labels com.docker.swarm.*, values with {{.Task.Slot}} and the like filled in, secrets and configs as
read-only mounts of files. Restarting is the swarm's business, so the container itself has no restart policy.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

from minidock.swarm import networks, templates
from minidock.swarm.addressing import plain
from minidock.swarm.board import ASIDE
from minidock.swarm.objects import Body

LABEL = "com.docker.swarm"
TASK_LABEL = f"{LABEL}.task.id"
SECRETS = "/run/secrets"


def name(task: Body) -> str:
    """`web.1.ID`, of a global service `web.NODE.ID`."""
    return f"{task[ASIDE]['Name']}.{task.get('Slot') or task['NodeID']}.{task['ID']}"


def labels(task: Body) -> dict[str, str]:
    return {
        f"{LABEL}.node.id": task["NodeID"],
        f"{LABEL}.service.id": task["ServiceID"],
        f"{LABEL}.service.name": task[ASIDE]["Name"],
        f"{LABEL}.task": "",
        TASK_LABEL: task["ID"],
        f"{LABEL}.task.name": name(task),
    }


def body(task: Body, hostname: str, files: dict[str, Path]) -> Body:
    """`files`: what lies where in the container, and where on this node. Raises UsageError for a template."""
    spec = templates.filled_spec(task["Spec"]["ContainerSpec"], templates.values(task, name(task), hostname))
    config: Body = {
        "Image": spec["Image"],
        "Labels": {**(spec.get("Labels") or {}), **labels(task)},
        "Env": spec.get("Env") or [],
        "Hostname": spec.get("Hostname", ""),
        "User": spec.get("User", ""),
        "WorkingDir": spec.get("Dir", ""),
        "Tty": bool(spec.get("TTY")),
        "OpenStdin": bool(spec.get("OpenStdin")),
        "StopSignal": spec.get("StopSignal", ""),
        "ExposedPorts": {key(port): {} for port in ports(task)},
        "HostConfig": host(task, spec, files),
        "NetworkingConfig": {"EndpointsConfig": endpoints(task)},
    }
    if spec.get("Command"):
        config["Entrypoint"] = spec["Command"]
    if spec.get("Args"):
        config["Cmd"] = spec["Args"]
    if spec.get("Healthcheck"):
        config["Healthcheck"] = spec["Healthcheck"]
    return config


def host(task: Body, spec: Body, files: dict[str, Path]) -> Body:
    dns = spec.get("DNSConfig") or {}
    found: Body = {
        "Mounts": [*mounts(spec.get("Mounts") or []), *file_mounts(files)],
        "Init": spec.get("Init"),
        "ReadonlyRootfs": bool(spec.get("ReadOnly")),
        "GroupAdd": spec.get("Groups") or [],
        "CapAdd": spec.get("CapabilityAdd") or [],
        "CapDrop": spec.get("CapabilityDrop") or [],
        "Sysctls": spec.get("Sysctls") or {},
        "Ulimits": spec.get("Ulimits") or [],
        "OomScoreAdj": spec.get("OomScoreAdj") or 0,
        "Dns": dns.get("Nameservers") or [],
        "DnsSearch": dns.get("Search") or [],
        "DnsOptions": dns.get("Options") or [],
        "ExtraHosts": extra_hosts(spec.get("Hosts") or []),
        "PortBindings": bindings(task),
        "NetworkMode": next((each["Name"] for each in networks.of_task(task)), "default"),
        **resources(task["Spec"].get("Resources") or {}),
    }
    driver = task["Spec"].get("LogDriver")
    if driver:
        found["LogConfig"] = {"Type": driver.get("Name", ""), "Config": driver.get("Options") or {}}
    if (spec.get("Privileges") or {}).get("NoNewPrivileges"):
        found["SecurityOpt"] = ["no-new-privileges"]
    return found


def resources(given: Body) -> Body:
    """Limits are the kernel's; of what is reserved it knows the memory only, the rest is the scheduler's."""
    limits, reserved = given.get("Limits") or {}, given.get("Reservations") or {}
    found = {
        "NanoCpus": limits.get("NanoCPUs"),
        "Memory": limits.get("MemoryBytes"),
        "PidsLimit": limits.get("Pids"),
        "MemoryReservation": reserved.get("MemoryBytes"),
    }
    return {name: value for name, value in found.items() if value}


def mounts(given: list[Body]) -> list[Body]:
    """A volume is made with the labels of its mount when there is none of the name."""
    return [{name: value for name, value in mount.items() if value not in (None, "")} for mount in given]


def file_mounts(files: dict[str, Path]) -> list[Body]:
    return [
        {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": True}
        for target, source in sorted(files.items())
    ]


def target(kind: str, name: str) -> str:
    """Where a secret or config lies: a relative name is below /run/secrets, or below / for a config."""
    return posixpath.normpath(posixpath.join(SECRETS if kind == "Secret" else "/", name))


def extra_hosts(lines: list[str]) -> list[str]:
    """`10.0.0.1 a b`, as in hosts(5) → `a:10.0.0.1`, `b:10.0.0.1`."""
    return [
        f"{name}:{address}" for address, *names in (line.split() for line in lines if line.split()) for name in names
    ]


def endpoints(task: Body) -> dict[str, Body]:
    """On each network of the swarm the address that the managers gave it. Names are theirs to say, too (landscape.py);
    a task of a swarm that didn't yet do so is known by the name of its service."""
    return {
        each["Name"]: {"IPAMConfig": {"IPv4Address": plain(each["Address"])}}
        if each.get("Address")
        else {"Aliases": each["Aliases"]}
        for each in networks.of_task(task)
        if each.get("ID")
    }


# Ports


def ports(task: Body) -> list[Body]:
    """With the numbers that the allocator gave."""
    found: list[Body] = task[ASIDE].get("Ports") or []
    return found


def key(port: Body) -> str:
    return f"{port['TargetPort']}/{port.get('Protocol') or 'tcp'}"


def bindings(task: Body) -> dict[str, list[Body]]:
    """Those of mode `host`; the others are the node's, which passes connections on (ingress.py)."""
    found: dict[str, list[Body]] = {}
    for port in ports(task):
        if port.get("PublishMode") == "host":
            number = str(port.get("PublishedPort") or "")
            found.setdefault(key(port), []).append({"HostPort": number})
    return found


def published(facts: Body) -> list[Body]:
    """What of a running container's ports the host has: API `PortStatus.Ports`."""
    found = []
    for name, bound in sorted(((facts.get("NetworkSettings") or {}).get("Ports") or {}).items()):
        number, _, protocol = name.partition("/")
        for host_port in sorted({int(each["HostPort"]) for each in bound or []}):
            found.append(
                {
                    "Protocol": protocol,
                    "TargetPort": int(number),
                    "PublishedPort": host_port,
                    "PublishMode": "host",
                }
            )
    return found


def address(facts: Body, task: Body) -> str:
    """Where the node reaches the container; nothing when it has no address of its own."""
    for each in networks.of_task(task):
        if each.get("Ingress") and each.get("Address"):
            return plain(each["Address"])
    found: dict[str, Any] = (facts.get("NetworkSettings") or {}).get("Networks") or {}
    return next((str(each["IPAddress"]) for each in found.values() if each.get("IPAddress")), "")
