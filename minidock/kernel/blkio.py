"""The io controller (blkio on version 1): how fast a container may read and write block devices.

Throttling sets a ceiling for each device, in bytes or operations a second; a weight says who goes first when the device
is busy. Throttles see direct I/O and, on version 2 only, also what the page cache writes back later. The weights need
the BFQ scheduler on the device, or (version 2) io.cost. Man page: cgroups(7).

    config.json              version 1                              version 2
    throttleReadBpsDevice    blkio.throttle.read_bps_device         io.max  rbps=
    throttleWriteBpsDevice   blkio.throttle.write_bps_device        io.max  wbps=
    throttleReadIOPSDevice   blkio.throttle.read_iops_device        io.max  riops=
    throttleWriteIOPSDevice  blkio.throttle.write_iops_device       io.max  wiops=
    weight, weightDevice     blkio.bfq.weight, blkio.weight         io.bfq.weight, io.weight
"""

from __future__ import annotations

from minidock.errors import Unsupported, UsageError
from minidock.kernel.cgroup_files import Cgroup, WriteCgroupFile, WriteFirstOf, read_text
from minidock.spec import BlockIo, Resources, ThrottleDevice
from minidock.steps import Step

NO_SCHEDULER = "the device must be scheduled by bfq: echo bfq > /sys/block/NAME/queue/scheduler"
NO_DEVICE = "ENODEV: the numbers must name a whole block device of this host, not a partition"


def limits(cgroup: Cgroup, io: BlockIo | None) -> list[Step]:
    """The writes for throttles and weights."""
    if io is None or not (io.weight or io.leaf_weight or io.weight_device or any(_throttles(io))):
        return []
    if io.leaf_weight or any(device.leaf_weight for device in io.weight_device):
        raise Unsupported("can't set a leaf weight: it went with the CFQ scheduler (Linux 5.0)", hint="use weight")
    version = 1 if cgroup.version("blkio") == 1 else 2
    directory = cgroup.need("blkio" if version == 1 else "io", "limit block device speed")
    return [*_weights(directory, version, io), *_ceilings(directory, version, io)]


def _throttles(io: BlockIo) -> tuple[list[ThrottleDevice], ...]:
    """In the order of KEYS."""
    return (
        io.throttle_read_bps_device,
        io.throttle_write_bps_device,
        io.throttle_read_iops_device,
        io.throttle_write_iops_device,
    )


KEYS = (
    ("rbps", "read_bps", "reading", "bytes/s"),
    ("wbps", "write_bps", "writing", "bytes/s"),
    ("riops", "read_iops", "reading", "operations/s"),
    ("wiops", "write_iops", "writing", "operations/s"),
)
"""io.max's key, v1's file, and the words."""


def _ceilings(directory: str, version: int, io: BlockIo) -> list[Step]:
    """A rate of 0 takes the ceiling away: `max` on version 2."""
    steps: list[Step] = []
    for (key, name, verb, unit), devices in zip(KEYS, _throttles(io), strict=True):
        for device in devices:
            number = f"{device.major}:{device.minor}"
            what = f"limit {verb} on device {number} to {device.rate} {unit}"
            if version == 1:
                file, value = f"blkio.throttle.{name}_device", f"{number} {device.rate}"
            else:
                file, value = "io.max", f"{number} {key}={device.rate or 'max'}"
            steps.append(WriteCgroupFile(what, f"{directory}/{file}", value, hint=NO_DEVICE))
    return steps


def _weights(directory: str, version: int, io: BlockIo) -> list[Step]:
    steps: list[Step] = []
    if io.weight:
        choices = _choices(directory, version, "", io.weight)
        steps.append(WriteFirstOf(f"set the block I/O weight to {io.weight}", choices))
    for device in io.weight_device:
        if device.weight:
            number = f"{device.major}:{device.minor}"
            choices = _choices(directory, version, number, device.weight)
            what = f"set the I/O weight on device {number} to {device.weight}"
            steps.append(WriteFirstOf(what, choices, hint=NO_SCHEDULER))
    return steps


def _choices(directory: str, version: int, number: str, weight: int) -> list[tuple[str, str]]:
    """BFQ's file, which takes Docker's 10..1000 as it is, then the other; with a device the number goes in front."""
    if not 10 <= weight <= 1000:
        raise UsageError("Range of blkio weight is from 10 to 1000")
    prefix = f"{number} " if number else ""
    if version == 1:
        suffix = "_device" if number else ""
        return [(f"{directory}/blkio{kind}.weight{suffix}", f"{prefix}{weight}") for kind in (".bfq", "")]
    return [
        (f"{directory}/io.bfq.weight", f"{prefix}{weight}"),
        (f"{directory}/io.weight", f"{prefix or 'default '}{io_weight(weight)}"),
    ]


def io_weight(weight: int) -> int:
    """io.weight, 1..10000, for Docker's 10..1000: the two ranges laid over each other."""
    return 1 + (weight - 10) * 9_999 // 990


def read(cgroup: Cgroup) -> dict[str, dict[str, int]]:
    """By device "major:minor": `rbytes`, `wbytes`, `rios`, `wios`."""
    if cgroup.version("blkio") == 1:
        return _read_v1(cgroup.need("blkio", "read block I/O"))
    if cgroup.version("io") == 0:
        return {}
    counts: dict[str, dict[str, int]] = {}
    for line in (read_text(f"{cgroup.need('io', 'read block I/O')}/io.stat") or "").splitlines():
        number, *pairs = line.split()
        values = {key: int(value) for key, _, value in (pair.partition("=") for pair in pairs) if value.isdigit()}
        counts[number] = {key: values.get(key, 0) for key in ("rbytes", "wbytes", "rios", "wios")}
    return counts


def _read_v1(directory: str) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for file, unit in (("io_service_bytes", "bytes"), ("io_serviced", "ios")):
        for line in (read_text(f"{directory}/blkio.throttle.{file}") or "").splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in ("Read", "Write"):
                row = counts.setdefault(words[0], {"rbytes": 0, "wbytes": 0, "rios": 0, "wios": 0})
                row[words[1][0].lower() + unit] = int(words[2])
    return counts


def demo() -> None:
    """Throttle the disk under /var/tmp to 1 MiB/s, write 1 MiB past the page cache, and take the time."""
    import os
    import time

    from minidock.kernel.cgroup_demo import inside

    file = f"/var/tmp/minidock-demo-{os.getpid()}"
    device = os.stat("/var/tmp").st_dev
    major, minor = os.major(device), os.minor(device)
    if major == 0 or not os.path.exists(f"/sys/dev/block/{major}:{minor}") or _is_partition(major, minor):
        print("the file system of /var/tmp isn't on a whole block device: nothing to throttle")
        return

    def work() -> None:
        begun = time.monotonic()
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_SYNC, 0o600)
        for _ in range(16):
            os.write(fd, bytes(1 << 16))
        print(f"1 MiB took {time.monotonic() - begun:.2f} s", flush=True)

    throttle = ThrottleDevice(major=major, minor=minor, rate=1 << 20)
    wanted = Resources(block_io=BlockIo(throttle_write_bps_device=[throttle]))
    try:
        inside(wanted, work, show=lambda cgroup: print(read(cgroup)))
    finally:
        os.unlink(file)


def _is_partition(major: int, minor: int) -> bool:
    import os

    return os.path.exists(f"/sys/dev/block/{major}:{minor}/partition")


if __name__ == "__main__":
    demo()
