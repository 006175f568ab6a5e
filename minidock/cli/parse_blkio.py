"""Values of --blkio-weight and --device-read-bps and their like: `/dev/sda:300`, `/dev/sda:1mb`, `/dev/sda:100`.

Whether the path is a device is the engine's business: its numbers are looked up on the host that runs the container.
"""

from __future__ import annotations

from ..errors import UsageError
from ..model.host import BlkioWeightDevice, ThrottleDevice
from .flags import go_uint
from .units import size


def weight(raw: str) -> int:
    """--blkio-weight: 16 bits; whether it is in the range, checks.py says, as Docker's server does."""
    return go_uint(raw, 16)


def device_weight(raw: str) -> BlkioWeightDevice:
    path, number = _split(raw)
    try:
        found = go_uint(number, 16, base=10)
    except UsageError:
        found = -1
    if found != 0 and not 10 <= found <= 1000:
        raise UsageError(f"invalid weight for device: {raw}")
    return BlkioWeightDevice(path, found)


def byte_rate(raw: str) -> ThrottleDevice:
    path, number = _split(raw)
    try:
        return ThrottleDevice(path, size(number))
    except UsageError:
        raise UsageError(
            f"invalid rate for device: {raw}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def operation_rate(raw: str) -> ThrottleDevice:
    path, number = _split(raw)
    try:
        return ThrottleDevice(path, go_uint(number, 64, base=10))
    except UsageError:
        raise UsageError(
            f"invalid rate for device: {raw}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        ) from None


def _split(raw: str) -> tuple[str, str]:
    path, colon, number = raw.partition(":")
    if not colon or not path:
        raise UsageError(f"bad format: {raw}")
    if not path.startswith("/dev/"):
        raise UsageError(f"bad format for device path: {raw}")
    return path, number
