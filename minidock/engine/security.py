"""--security-opt, --cap-add, --privileged: the rights that a container is left with."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from minidock import spec
from minidock.errors import UsageError
from minidock.kernel import capabilities
from minidock.model.host import HostConfig


class Security(msgspec.Struct, frozen=True):
    """The parsed options. `profile` is "" for the default, "unconfined", or the text of a profile, as in HostConfig."""

    add: list[str]
    drop: list[str]
    privileged: bool
    no_new_privileges: bool
    profile: str
    unmasked: bool = False
    """systempaths=unconfined: nothing of /proc and /sys is hidden."""

    def capabilities(self, uid: int) -> spec.Capabilities:
        """Five sets; a user who isn't root starts with nothing but the bounding set, as in Docker."""
        return capabilities.resolve(self.add, self.drop, self.privileged, uid=uid)

    def seccomp(self, caps: spec.Capabilities | None, cache: Path | None) -> spec.Seccomp | None:
        """The filter for these capabilities; None with seccomp=unconfined, or --privileged and no other profile."""
        from minidock.kernel import seccomp

        bounding = caps.bounding if caps else []
        return seccomp.for_container(self.profile, bounding, privileged=self.privileged, cache=cache)


def parse(host: HostConfig) -> Security:
    """Raises UsageError, in Docker's words, for an option that isn't one; Unsupported labels are refused by name."""
    no_new_privileges, unmasked, profile = False, False, ""
    for option in host.security_opt:
        name, equals, value = option.partition("=") if "=" in option else option.partition(":")
        if name == "no-new-privileges":
            no_new_privileges = value in ("", "true")
        elif name == "seccomp" and equals:
            profile = _profile(value)
        elif name == "apparmor" and value == "unconfined":
            continue
        elif (name, value) == ("systempaths", "unconfined"):
            unmasked = True
        elif name in ("apparmor", "label", "systempaths"):
            if (name, value) == ("label", "disable"):
                continue
            raise UsageError(f"--security-opt {option} can't be honoured: this build has no {name} support")
        else:
            place = 2 if "=" in option or ":" in option else 1  # where Docker's code complains; scripts know the words
            raise UsageError(f'invalid --security-opt {place}: "{option}"')
    return Security(host.cap_add, host.cap_drop, host.privileged, no_new_privileges, profile, unmasked)


def _profile(value: str) -> str:
    """Docker's client sends a profile's text in the option; a path is read here for those who call the engine."""
    if value in ("default", "builtin"):
        return ""
    if value == "unconfined" or value.lstrip().startswith("{"):
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"opening seccomp profile ({value}) failed: {os.strerror(error.errno or 0)}") from error
