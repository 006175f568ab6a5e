"""As which we were called. Behind a link named `crun` minidock-oci keeps crun's ways where crun and runc differ.

Nearly everything is the same in both, and runc's way is ours. Four matters have to be decided one way or the other:

                                          runc                          crun
    exec without --no-new-privs           as the container's process    off
    where createContainer hooks stand     in the root file system       in the bundle
    --help begins with                    NAME:                         Usage: crun [OPTION...] …
    arguments in that line                <container-id>                CONTAINER
"""

from __future__ import annotations

import os

OURS = "minidock-oci"
CRUN = "crun"
ARGUMENTS = {"exec": "CONTAINER cmd", "features": "", "list": "", "spec": "", "kill": "CONTAINER [SIGNAL]"}


def name() -> str:
    """The name of the link, as scripts/minidock-oci passes it on."""
    return os.environ.get("MINIDOCK_OCI_NAME") or OURS


def is_crun() -> bool:
    return name() == CRUN


def usage(command: str) -> str:
    """crun's first line of help."""
    return f"Usage: {CRUN} [OPTION...] {command} {ARGUMENTS.get(command, 'CONTAINER')}".rstrip()
