"""Docker's limits and devices, as OCI's: how much of the machine a container may use, and which of its devices."""

from __future__ import annotations

import os

from minidock import spec
from minidock.errors import UsageError
from minidock.kernel import device_filter
from minidock.kernel import devices as kernel_devices
from minidock.model.host import HostConfig, ThrottleDevice


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
        realtime_period=host.cpu_realtime_period or None,
        realtime_runtime=host.cpu_realtime_runtime or None,
    )
    io = _block_io(host)
    return spec.Resources(
        devices=device_rules(host),
        memory=memory if limited or host.oom_kill_disable else None,
        cpu=cpu if cpu != spec.Cpu() else None,
        pids=spec.Pids(limit=host.pids_limit) if host.pids_limit else None,
        block_io=io if io != spec.BlockIo() else None,
    )


def _block_io(host: HostConfig) -> spec.BlockIo:
    """Weights and ceilings, by device number: what the kernel knows devices by."""

    def ceilings(asked: list[ThrottleDevice]) -> list[spec.ThrottleDevice]:
        return [spec.ThrottleDevice(*_numbers(device.path), device.rate) for device in asked]

    weights = [spec.WeightDevice(*_numbers(device.path), device.weight) for device in host.blkio_weight_device]
    return spec.BlockIo(
        weight=host.blkio_weight or None,
        weight_device=weights,
        throttle_read_bps_device=ceilings(host.blkio_device_read_bps),
        throttle_write_bps_device=ceilings(host.blkio_device_write_bps),
        throttle_read_iops_device=ceilings(host.blkio_device_read_iops),
        throttle_write_iops_device=ceilings(host.blkio_device_write_iops),
    )


def _numbers(path: str) -> tuple[int, int]:
    """Major and minor of a device file. Raises UsageError, in Docker's words."""
    try:
        device = os.stat(path).st_rdev
    except OSError as error:
        raise UsageError(f"stat {path}: {os.strerror(error.errno or 0).lower()}") from error
    return os.major(device), os.minor(device)


def device_rules(host: HostConfig) -> list[spec.DeviceRule]:
    """Nothing, then Docker's list, then what was asked for; --privileged allows all."""
    if host.privileged:
        return [spec.DeviceRule(allow=True)]
    rules = [spec.DeviceRule(allow=False), *device_filter.DEFAULT_DEVICE_RULES]
    for mapping in host.devices:
        for device in nodes(mapping.path_on_host, mapping.path_in_container or mapping.path_on_host):
            access = mapping.cgroup_permissions or "rwm"
            rules.append(spec.DeviceRule(True, device.type, device.major, device.minor, access))
    return rules + [_rule(line) for line in host.device_cgroup_rules]


def _rule(line: str) -> spec.DeviceRule:
    """`c 1:3 mr`, with * for any number."""
    kind, numbers, access = line.split()
    major, minor = (None if number == "*" else int(number) for number in numbers.split(":"))
    return spec.DeviceRule(True, kind, major, minor, access)


def devices(host: HostConfig) -> list[spec.Device]:
    if host.privileged:
        return _all_devices()
    return [
        node
        for mapping in host.devices
        for node in nodes(mapping.path_on_host, mapping.path_in_container or mapping.path_on_host)
    ]


def nodes(source: str, destination: str) -> list[spec.Device]:
    """A device of the host, or all below a directory of them. Raises UsageError, in Docker's words."""
    import stat

    try:
        facts = os.stat(source)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise UsageError(
            f'error gathering device information while adding custom device "{source}": {reason}'
        ) from error
    if stat.S_ISDIR(facts.st_mode):
        below = _below(source, destination)
        if below:
            return below
    if not (stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode)):
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


def _below(source: str, destination: str) -> list[spec.Device]:
    """The devices in a directory and below it; links, sockets and other files are left out."""
    import stat

    found = []
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                found += _below(entry.path, f"{destination}/{entry.name}")
            elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                found += nodes(entry.path, f"{destination}/{entry.name}")
    return found


def _is_device(path: str) -> bool:
    import stat

    mode = os.stat(path).st_mode
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISDIR(mode)


SKIPPED = ("pts", "shm", "fd", "mqueue", "console", "lxc", "lxd-fuse", ".udev", *kernel_devices.SYMLINKS)


def _all_devices() -> list[spec.Device]:
    """--privileged: every node of the host's /dev, except what each container has of its own."""
    rows = []
    own = {device.path for device in kernel_devices.DEFAULT}
    for name in sorted(os.listdir("/dev")):
        path = f"/dev/{name}"
        if name in SKIPPED or path in own or path in kernel_devices.SYMLINKS or os.path.islink(path):
            continue
        if _is_device(path):
            rows += nodes(path, path)
    return rows
