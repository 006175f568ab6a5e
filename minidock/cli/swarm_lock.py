"""swarm unlock and unlock-key: the key without which a locked manager that was stopped can't go on."""

from __future__ import annotations

import os
import sys

from ..errors import MinidockError
from . import swarm_api
from .commands import Complaint, verb
from .flags import boolean


def tell_key(key: str) -> None:
    print("To unlock a swarm manager after it restarts, run the `minidock swarm unlock`")
    print(f"command and provide the following key:\n\n    {key}\n")
    print("Remember to store this key in a password manager, since without it you")
    print("will not be able to restart the manager.")


@verb("unlock", "Unlock swarm", examples="minidock swarm unlock")
def unlock() -> None:
    api = swarm_api.api()
    state = api.json("GET", "/info")["Swarm"]["LocalNodeState"]
    if state == "inactive":
        raise Complaint("Error: This node is not part of a swarm", 1)
    if state != "locked":
        raise Complaint("Error: swarm is not locked", 1)
    api.json("POST", "/swarm/unlock", None, {"UnlockKey": _typed_key()})


def _typed_key() -> str:
    if not os.isatty(0):
        return sys.stdin.readline().strip()
    import getpass

    return getpass.getpass("Enter unlock key: ").strip()


@verb(
    "unlock-key",
    "Manage the unlock key",
    "[OPTIONS]",
    flags=[boolean("quiet", "q", "Only display token"), boolean("rotate", "", "Rotate unlock key")],
    examples="minidock swarm unlock-key --rotate",
)
def unlock_key(quiet: bool, rotate: bool) -> None:
    if rotate:
        if not swarm_api.get("/swarm")["Spec"]["EncryptionConfig"]["AutoLockManagers"]:
            raise Complaint("cannot rotate because autolock is not turned on", 1)
        from .swarm import changed

        changed({}, rotateManagerUnlockKey=True)
        if not quiet:
            print("Successfully rotated manager unlock key.")
    try:
        key = swarm_api.get("/swarm/unlockkey")["UnlockKey"]
    except MinidockError as error:
        raise Complaint(f"could not fetch unlock key: {error.lead}{error.message}", 1) from None
    if not key:
        raise Complaint("no unlock key is set", 1)
    if quiet:
        print(key)
    else:
        tell_key(key)
