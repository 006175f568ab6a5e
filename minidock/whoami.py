"""Who we are: the machine's root, or an ordinary user, who may be root in a user namespace of his own.

geteuid(2) says 0 to both kinds of root. The map of our user namespace tells them apart: only the first one there is,
the machine's, maps every user to itself.
"""

from __future__ import annotations

import os

VARIABLE = "MINIDOCK_USER"
"""Set by us when we enter an ordinary user's namespace (engine.rootless): his number outside. It is believed only
inside a user namespace, so that it makes nobody of the machine's root."""
EVERYBODY = "0 0 4294967295"


def in_user_namespace() -> bool:
    """Whether the machine's root made us less than himself: proc_pid_uid_map(5)."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() != EVERYBODY.split()


def ordinary_user() -> int | None:
    """The number of the user whom we act for; None for root, who may be a whole container's root."""
    if os.geteuid() != 0:
        return os.geteuid()
    told = os.environ.get(VARIABLE, "")
    return int(told) if told.isdecimal() and in_user_namespace() else None
