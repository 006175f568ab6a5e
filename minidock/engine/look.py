"""What the command beside a fact prints: the kernel's own file, or what a tool makes of the kernel's answer."""

from __future__ import annotations

import os
import shlex
import subprocess

MOST = 64 * 1024
"""Bytes that are shown."""
PATIENCE = 5.0
"""Seconds: each of them only reads."""
PACKAGES = {"bpftool": "bpftool", "nft": "nftables", "ip": "iproute2", "nsenter": "util-linux", "findmnt": "util-linux"}


def look(command: str) -> str:
    """Its output, errors too. Only for commands that our own facts name: they are run as they are, without a shell."""
    words = shlex.split(command)
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # where a user's shell doesn't look
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE,
            env=os.environ | {"LC_ALL": "C.UTF-8", "PATH": path},
        )  # fmt: skip
    except FileNotFoundError:
        return f"{words[0]} isn't installed here (Debian's package {PACKAGES.get(words[0], words[0])} has it)"
    except subprocess.TimeoutExpired:
        return f"{words[0]} said nothing for {PATIENCE:g} seconds"
    return done.stdout[:MOST].decode(errors="replace")
