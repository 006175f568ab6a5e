"""What a Dockerfile, which may be a stranger's, gets only when whoever builds says so: `build --allow NAME`.

network.host         RUN --network=host        (--network host says so, too)
security.insecure    RUN --security=insecure   all rights, as `run --privileged`
device[=NAME]        RUN --device=NAME         a CDI device of the host
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

import msgspec

from minidock.errors import MinidockError

from .grammar import Flag, Instruction, guess

NETWORK = "network.host"
INSECURE = "security.insecure"
DEVICE = "device"
NETWORKS = ("default", "none", "host")
SECURITY = ("sandbox", "insecure")


class Device(msgspec.Struct, frozen=True):
    """RUN --device: `name` is vendor.com/class=name, =* for all of the class, or the class alone for its first one."""

    name: str
    required: bool = False


def network(at: Instruction) -> str:
    """Whose network RUN has. Raises DockerfileError."""
    given = at.flag("network", NETWORKS[0])
    if given not in NETWORKS:
        flag, hint = at.values("network")[0], f"expected {', '.join(NETWORKS[:-1])} or {NETWORKS[-1]}"
        raise at.error(f'unsupported network mode "{given}"', flag, hint=hint)
    return given


def security(at: Instruction) -> bool:
    """Whether RUN asks for all rights. Raises DockerfileError."""
    given = at.flag("security", "sandbox")
    if given not in SECURITY:
        flag = at.values("security")[0]
        raise at.error(f'security "{given}" is not valid', flag, hint=f"expected {' or '.join(SECURITY)}")
    return given == "insecure"


def devices(at: Instruction) -> list[Device]:
    """Raises DockerfileError."""
    return [_device(at, flag) for flag in at.values("device")]


def _device(at: Instruction, flag: Flag) -> Device:
    hint = "expected --device=VENDOR.COM/CLASS=NAME[,required]"
    name, required = "", False
    for field in next(csv.reader([flag.value]), []):
        key, equals, value = field.partition("=")
        if key.lower() == "required":
            if value.lower() not in ("", "true", "false", "1", "0"):
                raise at.error(f"invalid value for required: {value}", flag, hint="expected true or false")
            required = value.lower() in ("", "true", "1")
        elif key.lower() == "name" and not name:
            name = value
        elif not name and "/" in field:
            name = field
        elif not equals:
            raise at.error(f"invalid field '{field}' must be a key=value pair", flag, hint=hint)
        else:
            what = f"unexpected key '{key}' in '{field}'{guess(key.lower(), ('name', 'required'))}"
            raise at.error(what, flag, hint=hint)
    if "/" not in name.partition("=")[0]:
        raise at.error(f'invalid device "{name}"', flag, hint=hint)
    return Device(name, required)


def check(instructions: Iterator[Instruction], allowed: list[str]) -> None:
    """Raises DockerfileError in BuildKit's words that points at the first flag which isn't allowed."""
    for at in instructions:
        for flag in at.flags:
            wanted = _wanted(flag)
            if wanted and not any(each in allowed for each in wanted):
                hint = f"build --allow {wanted[0]} allows it"
                raise at.error(f"{wanted[0]} is not allowed", flag, hint=hint)


def _wanted(flag: Flag) -> list[str]:
    """The entitlements of which one is needed."""
    if flag.name == "network" and flag.value == "host":
        return [NETWORK]
    if flag.name == "security" and flag.value == "insecure":
        return [INSECURE]
    if flag.name == "device":
        name = next((field for field in flag.value.split(",") if "/" in field), "").removeprefix("name=")
        return [DEVICE, f"{DEVICE}={name}", f"{DEVICE}={name.partition('=')[0]}"]
    return []


def find_devices(asked: list[Device], offered: list[str]) -> list[str]:
    """The devices that are there, each once. Raises MinidockError for one that must be and isn't."""
    found: list[str] = []
    for device in asked:
        kind, _, name = device.name.partition("=")
        of_kind = [each for each in offered if each.startswith(f"{kind}=")]
        if not name:
            names = of_kind[:1]
        else:
            names = of_kind if name == "*" else [each for each in of_kind if each == device.name]
        if not names and device.required:
            hint = f"offered: {', '.join(offered) or 'none'}"
            raise MinidockError(f'required device "{device.name}" is not registered', hint=hint)
        found += [each for each in names if each not in found]
    return found
