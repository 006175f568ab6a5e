"""From a container's record to an OCI config.json: Docker's defaults, spelled out.

What Docker does to every container stands here as tables: which file systems it mounts and how, which paths it
hides, which rights it leaves. `minidock inspect` shows the record, `/run/minidock/containers/ID/config.json` this.
"""

from __future__ import annotations

import os
from pathlib import Path

from minidock import spec
from minidock.engine import volumes
from minidock.engine.create import environment
from minidock.engine.record import Record
from minidock.engine.security import Security
from minidock.errors import UsageError
from minidock.kernel import credentials, device_filter, devices, masks, rlimits, sysctl
from minidock.model import HostConfig
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
    user = find_user(layout, record)
    env = credentials.with_home(environment(config), user.home)
    namespaces = [
        spec.Namespace(type=kind, path=joined.get(kind, "")) for kind in NAMESPACES if joined.get(kind) != "host"
    ]
    for name in host.sysctls:
        sysctl.check(name, own_network=joined.get("network") != "host", own_ipc=joined.get("ipc") != "host")
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
    if host.init:
        process = with_init(process)
    own_uts = joined.get("uts") != "host"
    return spec.Spec(
        oci_version="1.2.0",
        root=spec.Root(path="rootfs", readonly=host.readonly_rootfs),
        process=process,
        hostname=config.hostname if own_uts else "",
        domainname=config.domainname if own_uts else "",
        mounts=[*_base_mounts(host, joined), *_ordered(layout, record), *_init(host)],
        annotations=host.annotations,
        linux=spec.Linux(
            namespaces=namespaces,
            sysctl={**(NETWORK_SYSCTLS if not joined.get("network") else {}), **host.sysctls},
            cgroups_path=f"{host.cgroup_parent or layout.cgroup_parent}/{record.id}",
            resources=resources(host),
            devices=_devices(host),
            seccomp=security.seccomp(process.capabilities, cache),
            masked_paths=_hidden(host.masked_paths, masks.MASKED, security),
            readonly_paths=_hidden(host.readonly_paths, masks.READONLY, security),
        ),
    )


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
    if joined.get("ipc") == "host":
        # A new mount of mqueue shows the queues of the namespace that we are in: the host's, mounted there or not.
        rows[5:] = [MQUEUE, _bind("/dev/shm", "/dev/shm")]
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


def _files(layout: Layout, record: Record) -> list[Mount]:
    """The three files that minidock writes for the container: as writable as its root."""
    directory = layout.container(record.id)
    taken = {point.destination for point in record.mounts}
    rows = []
    for name in ("resolv.conf", "hostname", "hosts"):
        if f"/etc/{name}" not in taken:
            words = ["rbind", "rprivate", *(["ro"] if record.host_config.readonly_rootfs else [])]
            rows.append(Mount(destination=f"/etc/{name}", type="bind", source=str(directory / name), options=words))
    return rows


def _ordered(layout: Layout, record: Record) -> list[Mount]:
    """The files and the user's mounts, parents before what lies below them, whoever asked for which."""
    rows = [*_files(layout, record), *volumes.oci_mounts(record)]
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


# limits and devices


def resources(host: HostConfig) -> spec.Resources:
    """Docker's limits as OCI's. Zero means "not asked for" in Docker's API."""
    quota, period = host.cpu_quota, host.cpu_period
    if host.nano_cpus:
        period, quota = 100_000, host.nano_cpus * 100_000 // 1_000_000_000
    limited = host.memory or host.memory_swap or host.memory_reservation or host.memory_swappiness not in (None, -1)
    memory = spec.Memory(
        limit=host.memory or None,
        swap=host.memory_swap or None,
        reservation=host.memory_reservation or None,
        swappiness=None if host.memory_swappiness in (None, -1) else host.memory_swappiness,
        disable_oom_killer=host.oom_kill_disable,
    )
    cpu = spec.Cpu(
        shares=host.cpu_shares or None,
        quota=quota or None,
        period=period or None,
        cpus=host.cpuset_cpus,
        mems=host.cpuset_mems,
    )
    return spec.Resources(
        devices=device_rules(host),
        memory=memory if limited or host.oom_kill_disable else None,
        cpu=cpu if cpu != spec.Cpu() else None,
        pids=spec.Pids(limit=host.pids_limit) if host.pids_limit else None,
    )


def device_rules(host: HostConfig) -> list[spec.DeviceRule]:
    """Nothing, then Docker's list, then what was asked for; --privileged allows all."""
    if host.privileged:
        return [spec.DeviceRule(allow=True)]
    rules = [spec.DeviceRule(allow=False), *device_filter.DEFAULT_DEVICE_RULES]
    for mapping in host.devices:
        for device in nodes(mapping.path_on_host, mapping.path_in_container):
            access = mapping.cgroup_permissions or "rwm"
            rules.append(spec.DeviceRule(True, device.type, device.major, device.minor, access))
    return rules + [_rule(line) for line in host.device_cgroup_rules]


def _rule(line: str) -> spec.DeviceRule:
    """`c 1:3 mr`, with * for any number."""
    kind, numbers, access = line.split()
    major, minor = (None if number == "*" else int(number) for number in numbers.split(":"))
    return spec.DeviceRule(True, kind, major, minor, access)


def _devices(host: HostConfig) -> list[spec.Device]:
    if host.privileged:
        return _all_devices()
    return [node for mapping in host.devices for node in nodes(mapping.path_on_host, mapping.path_in_container)]


def nodes(source: str, destination: str) -> list[spec.Device]:
    """A device of the host, or all below a directory of them. Raises UsageError, in Docker's words."""
    import stat

    try:
        facts = os.stat(source)
    except OSError as error:
        raise UsageError(
            f'error gathering device information while adding custom device "{source}": {error.strerror}'
        ) from error
    if stat.S_ISDIR(facts.st_mode):
        return [
            node
            for name in sorted(os.listdir(source))
            if os.path.lexists(f"{source}/{name}") and not os.path.islink(f"{source}/{name}")
            for node in (nodes(f"{source}/{name}", f"{destination}/{name}") if _is_device(f"{source}/{name}") else [])
        ]
    if not _is_device(source):
        raise UsageError(f'error gathering device information while adding custom device "{source}": not a device node')
    return [
        spec.Device(
            type="c" if stat.S_ISCHR(facts.st_mode) else "b",
            path=destination,
            major=os.major(facts.st_rdev),
            minor=os.minor(facts.st_rdev),
            file_mode=stat.S_IMODE(facts.st_mode),
            uid=facts.st_uid,
            gid=facts.st_gid,
        )
    ]


def _is_device(path: str) -> bool:
    import stat

    mode = os.stat(path).st_mode
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISDIR(mode)


SKIPPED = ("pts", "shm", "fd", "mqueue", "console", "lxc", "lxd-fuse", ".udev", *devices.SYMLINKS)


def _all_devices() -> list[spec.Device]:
    """--privileged: every node of the host's /dev, except what each container has of its own."""
    rows = []
    own = {device.path for device in devices.DEFAULT}
    for name in sorted(os.listdir("/dev")):
        path = f"/dev/{name}"
        if name in SKIPPED or path in own or path in devices.SYMLINKS or os.path.islink(path):
            continue
        if _is_device(path):
            rows += nodes(path, path)
    return rows
