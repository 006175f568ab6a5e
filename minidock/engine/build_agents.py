"""build --ssh: sockets of ssh agents, for as long as the build lasts.

`--ssh default` and `--ssh NAME=SOCKET` name an agent that runs already. `--ssh NAME=KEY[,KEY…]` names files: an
ssh-agent of the build's own is given those keys, and ends with it. A RUN sees a socket, and never a key.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from minidock.errors import MinidockError
from minidock.kernel import syscalls

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PATIENCE = 10.0
"""Seconds for an agent to listen."""
SOCKET = "agent"


@contextlib.contextmanager
def agents(asked: Mapping[str, list[str]], place: Path) -> Iterator[dict[str, str]]:
    """Id → socket. Raises MinidockError for a key that can't be had, or more than one socket under a name."""
    with contextlib.ExitStack() as running:
        yield {name: _socket(running, name, paths, place / f"ssh-{n}") for n, (name, paths) in enumerate(asked.items())}


def _socket(running: contextlib.ExitStack, name: str, paths: list[str], place: Path) -> str:
    sockets = [path for path in paths if stat.S_ISSOCK(os.stat(path).st_mode)]
    if not sockets:
        return running.enter_context(_agent(name, paths, place))
    if len(paths) > 1:
        raise MinidockError(f"invalid ssh agent {name}: only a single socket is allowed, or files of keys")
    return sockets[0]


@contextlib.contextmanager
def _agent(name: str, keys: list[str], place: Path) -> Iterator[str]:
    place.mkdir(mode=0o700)
    # A relative name: an address of a socket has at most 107 bytes, however deep the build's directory lies.
    command = ["ssh-agent", "-D", "-a", SOCKET]
    try:
        agent = subprocess.Popen(
            command,
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
    except FileNotFoundError:
        hint = "Debian has it in openssh-client; an agent that runs already needs nothing: --ssh NAME=SOCKET"
        raise MinidockError(f"--ssh {name}={','.join(keys)} needs the program ssh-agent", hint=hint) from None
    try:
        _await(place / SOCKET, agent)
        for key in keys:
            _add(key, place)
        yield str(place / SOCKET)
    finally:
        agent.terminate()
        agent.wait()


def _end_with_parent() -> None:
    """Between fork and exec: whoever kills the build leaves no agent with keys behind."""
    syscalls.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _await(socket: Path, agent: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not socket.exists():
        if agent.poll() is not None or time.monotonic() > deadline:
            raise MinidockError("ssh-agent doesn't listen")
        time.sleep(0.01)


def _add(key: str, place: Path) -> None:
    """Through standard input: whose the file is, is no matter of ssh-add's here. Nobody is asked for a passphrase."""
    environment = {**os.environ, "SSH_AUTH_SOCK": SOCKET, "SSH_ASKPASS_REQUIRE": "never"}
    try:
        with open(key, "rb") as file:
            done = subprocess.run(
                ["ssh-add", "-q", "-"],
                cwd=place,
                stdin=file,
                capture_output=True,
                text=True,
                env=environment,
                start_new_session=True,  # without a terminal there is no prompt
                check=False,
            )
    except OSError as error:
        raise MinidockError(f"failed to read ssh key {key}: {(error.strerror or '').lower()}") from None
    if done.returncode != 0:
        hint = "a key with a passphrase has to be added to an agent: --ssh NAME=SOCKET"
        raise MinidockError(f"failed to add ssh key {key}: {' '.join(done.stderr.split())}", hint=hint)
