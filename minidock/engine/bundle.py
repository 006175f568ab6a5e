"""From a container's record to an OCI config.json: Docker's defaults, spelled out.

What Docker does to every container stands here as tables: which file systems it mounts and how, which paths it
hides, which rights it leaves. `minidock inspect` shows the record, `/run/minidock/containers/ID/config.json` this.
"""

from __future__ import annotations

import os
from pathlib import Path

from minidock import spec
from minidock.engine import limits, userns, volume_mounts
from minidock.engine.create import environment
from minidock.engine.record import Record
from minidock.engine.security import Security
from minidock.kernel import credentials, masks, rlimits, sysctl
from minidock.model.host import HostConfig
from minidock.paths import Layout
from minidock.spec import Mount

PROC = Mount(destination="/proc", type="proc", source="proc", options=["nosuid", "noexec", "nodev"])
DEV = Mount(
    destination="/dev", type="tmpfs", source="tmpfs", options=["nosuid", "strictatime", "mode=755", "size=65536k"]
)
PTS = Mount(
    destination="/dev/pts",
    type="devpts",
    source="devpts",
    options=["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
)
SYS = Mount(destination="/sys", type="sysfs", source="sysfs", options=["nosuid", "noexec", "nodev", "ro"])
CGROUP = Mount(
    destination="/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro", "nosuid", "noexec", "nodev"]
)
MQUEUE = Mount(destination="/dev/mqueue", type="mqueue", source="mqueue", options=["nosuid", "noexec", "nodev"])

# In a network namespace of its own, a container's users may ping, and listen below port 1024: Docker's since 20.10.
NETWORK_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}

NAMESPACES = ("mount", "network", "uts", "pid", "ipc", "cgroup")


def oci_spec(
    layout: Layout, record: Record, security: Security, joined: dict[str, str], cache: Path | None
) -> spec.Spec:
    """The bundle's config. `joined` gives, for a namespace to share, its /proc path; "host" for the host's own.
    `cache` is where compiled seccomp profiles are kept.

    Raises UsageError for a user that the image doesn't know, a sysctl that isn't the container's.
    """
    host, config = record.host_config, record.config
    user, maps = find_user(layout, record), userns.maps(record)
    kinds = [*NAMESPACES, *(["user"] if maps else [])]
    namespaces = [spec.Namespace(type=kind, path=joined.get(kind, "")) for kind in kinds if joined.get(kind) != "host"]
    for name in host.sysctls:
        sysctl.check(name, own_network=joined.get("network") != "host", own_ipc=joined.get("ipc") != "host")
    process = _process(layout, record, security, user)
    own_uts = joined.get("uts") != "host"
    return spec.Spec(
        oci_version="1.2.0",
        root=spec.Root(path="rootfs", readonly=host.readonly_rootfs),
        process=process,
        hostname=config.hostname if own_uts else "",
        domainname=config.domainname if own_uts else "",
        mounts=[*_base_mounts(host, joined), *_ordered(layout, record, (user.uid, user.gid)), *_init(host)],
        annotations=host.annotations,
        linux=spec.Linux(
            uid_mappings=maps.uids if maps else [],
            gid_mappings=maps.gids if maps else [],
            namespaces=namespaces,
            sysctl={**(_network_sysctls(maps) if not joined.get("network") else {}), **host.sysctls},
            cgroups_path=f"{host.cgroup_parent or layout.cgroup_parent}/{record.id}",
            resources=limits.resources(host),
            devices=limits.devices(host),
            seccomp=security.seccomp(process.capabilities, cache),
            masked_paths=_hidden(host.masked_paths, masks.MASKED, security),
            readonly_paths=_hidden(host.readonly_paths, masks.READONLY, security),
        ),
    )


def _process(layout: Layout, record: Record, security: Security, user: credentials.FoundUser) -> spec.Process:
    """The command, as whom it runs, and what it may do."""
    host, config = record.host_config, record.config
    env = credentials.with_home(environment(config), user.home)
    if host.links:
        from minidock.engine import links

        env += links.environment(layout, record)
    process = spec.Process(
        cwd=config.working_dir or "/",
        args=[record.path, *record.args],
        env=env,
        terminal=config.tty,
        console_size=spec.ConsoleSize(*host.console_size) if config.tty else None,
        user=spec.User(uid=user.uid, gid=user.gid, additional_gids=user.additional_gids),
        capabilities=security.capabilities(user.uid),
        rlimits=[
            spec.Rlimit(type=rlimits.type_of(limit.name), soft=limit.soft, hard=limit.hard) for limit in host.ulimits
        ],
        no_new_privileges=security.no_new_privileges,
        oom_score_adj=host.oom_score_adj,
    )
    return with_init(process) if host.init else process


def _network_sysctls(maps: userns.IdMaps | None) -> dict[str, str]:
    """Groups that the container's user namespace doesn't know can't be named in it."""
    if maps is None:
        return NETWORK_SYSCTLS
    last = max(line.container_id + line.size for line in maps.gids) - 1
    return {**NETWORK_SYSCTLS, "net.ipv4.ping_group_range": f"0 {last}"}


def _hidden(asked: list[str] | None, default: list[str], security: Security) -> list[str]:
    """Docker's paths, unless the API's caller named others, or the user wants none."""
    if security.unmasked:
        return []
    return default if asked is None else asked


def find_user(layout: Layout, record: Record) -> credentials.FoundUser:
    """`--user` looked up in the container's own passwd and group: its changes first, then the image's layers."""
    from minidock.image.lookup import lookup_file

    wanted = record.config.user
    directories = [layout.container(record.id) / "upper", *map(Path, record.layers)]
    directories = [path for path in directories if path.is_dir()]
    passwd = lookup_file(directories, "etc/passwd")
    group = lookup_file(directories, "etc/group")
    return credentials.find_user(passwd, group, wanted, record.host_config.group_add)


# mounts


def _base_mounts(host: HostConfig, joined: dict[str, str]) -> list[Mount]:
    shm = Mount(
        destination="/dev/shm",
        type="tmpfs",
        source="shm",
        options=["nosuid", "noexec", "nodev", "mode=1777", f"size={host.shm_size}"],
    )
    rows = [PROC, DEV, PTS, SYS, CGROUP, MQUEUE, shm]
    ipc = joined.get("ipc", "")
    if ipc == "host":
        # A new mount of mqueue shows the queues of the namespace that we are in: the host's, mounted there or not.
        rows[-1] = _bind("/dev/shm", "/dev/shm")
    elif ipc:
        rows[-1] = _bind(f"{ipc.removesuffix('/ns/ipc')}/root/dev/shm", "/dev/shm")
    elif host.ipc_mode == "none":
        rows.pop()
    if host.privileged:
        writable = [
            spec.Mount(mount.destination, mount.type, mount.source, [word for word in mount.options if word != "ro"])
            for mount in (SYS, CGROUP)
        ]
        rows[3:5] = writable
    taken = set(host.tmpfs) | {os.path.normpath(request.target) for request in host.mounts}
    taken |= {bind.split(":")[1] for bind in host.binds if ":" in bind}
    return [mount for mount in rows if mount.destination not in taken]


def _bind(source: str, destination: str) -> Mount:
    return Mount(destination=destination, type="bind", source=source, options=["rbind", "rprivate"])


def etc_files(layout: Layout, record: Record) -> list[Mount]:
    """The three files that minidock writes for the container: as writable as its root."""
    directory = layout.container(record.id)
    taken = {point.destination for point in record.mounts}
    rows = []
    for name in ("resolv.conf", "hostname", "hosts"):
        if f"/etc/{name}" not in taken:
            words = ["rbind", "rprivate", *(["ro"] if record.host_config.readonly_rootfs else [])]
            rows.append(Mount(destination=f"/etc/{name}", type="bind", source=str(directory / name), options=words))
    return rows


def _ordered(layout: Layout, record: Record, user: tuple[int, int]) -> list[Mount]:
    """The files and the user's mounts, parents before what lies below them, whoever asked for which."""
    rows = [*etc_files(layout, record), *volume_mounts.oci_mounts(record, user)]
    return sorted(rows, key=lambda mount: mount.destination.count("/"))


INIT = Path(__file__).resolve().parent.parent / "bin" / "minidock-init"


def _init(host: HostConfig) -> list[Mount]:
    if not host.init:
        return []
    return [Mount(destination="/sbin/minidock-init", type="bind", source=str(INIT), options=["bind", "ro"])]


def with_init(process: spec.Process) -> spec.Process:
    """--init: our own tiny PID 1 in front, which reaps and forwards signals."""
    import msgspec

    return msgspec.structs.replace(process, args=["/sbin/minidock-init", "--", *(process.args or [])])
