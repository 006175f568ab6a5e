"""What a RUN has and no layer, history or key ever sees: secrets, and the agent of --ssh."""

from __future__ import annotations

import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support.builds import Build, build, everything_kept, shell
from tests.support.instance import Minidock
from tests.support.needs import require_tool

__all__ = ["build"]


def test_secrets_never_reach_a_layer(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cr3t-in-a-file")
    told = build(
        """FROM busybox
RUN --mount=type=secret,id=token sha256sum < /run/secrets/token > /hash && stat -c %a /run/secrets/token > /mode
RUN --mount=type=secret,id=token,target=/etc/deep/t,mode=0444,uid=5 stat -c '%a %u' /etc/deep/t > /other
RUN --mount=type=secret,id=word,env=WORD echo -n "$WORD" | sha256sum >> /hash
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent
RUN ls /run/secrets /etc/deep 2>/dev/null | wc -l > /left
""",
        *("--secret", f"id=token,src={tmp_path / 'token'}", "--secret", "id=word,env=THE_WORD"),
        env={"THE_WORD": "s3cr3t-in-a-variable"},
    )
    assert shell(minidock, "cat /mode /other /left") == "400\n444 5\n0\n"
    assert shell(minidock, "grep -c . /hash") == "2\n"
    kept = everything_kept(minidock)
    assert b"s3cr3t" not in kept and "s3cr3t" not in told.stderr
    assert "s3cr3t" not in minidock("image", "inspect", "out").stdout


def test_a_secret_that_must_be_there(build: Build) -> None:
    told = build("FROM busybox\nRUN --mount=type=secret,id=nine,required=true ls\n", check=False)
    assert told.returncode == 1 and "secret nine: not found" in told.stderr and "--secret id=nine" in told.stderr


def test_ssh_agent(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """A socket that leads to the caller's agent is there for one RUN, with the mode and owner of the mount."""
    path = str(tmp_path / "agent")
    compile_ask(tmp_path)
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(path)
        agent.listen()
        threading.Thread(target=answering, args=(agent,), daemon=True).start()
        build(
            """FROM busybox
COPY ask /ask
RUN --mount=type=ssh /ask "$SSH_AUTH_SOCK" > /said && stat -c '%a %u %g' "$SSH_AUTH_SOCK" > /looks
USER 1000
RUN --mount=type=ssh,uid=1000,gid=5,mode=0640,target=/tmp/s \\
    /ask /tmp/s > /tmp/said && stat -c '%a %u %g' /tmp/s > /tmp/looks
RUN --mount=type=ssh ! /ask "$SSH_AUTH_SOCK"
RUN --mount=type=ssh,id=other,target=/run/my.sock test ! -e /run/my.sock
RUN echo "${SSH_AUTH_SOCK-unset}" > /tmp/after
""",
            *("--ssh", f"default={path}"),
        )
    assert shell(minidock, "cat /said /looks /tmp/said /tmp/looks") == "hello600 0 0\nhello640 1000 5\n"
    assert shell(minidock, "cat /tmp/after; find / -xdev -type s") == "unset\n"
    assert path.encode() not in everything_kept(minidock)


def answering(agent: socket.socket) -> None:
    """An agent that knows one word."""
    while True:
        try:
            client, _ = agent.accept()
        except OSError:
            return
        with client:
            if client.recv(100) == b"\0\0\0\1\x0b":
                client.sendall(b"hello")


def compile_ask(tmp_path: Path) -> None:
    (tmp_path / "ask.c").write_text(ASK)
    program = str(tmp_path / "context" / "ask")
    subprocess.run([require_tool("cc"), "-static", "-o", program, str(tmp_path / "ask.c")], check=True)


ASK = r"""
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char answer[4096];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(to.sun_path, argv[1], sizeof to.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) || write(fd, "\0\0\0\1\13", 5) != 5) return 1;
    return write(1, answer, read(fd, answer, sizeof answer)) < 5;
}
"""
"""Asks an agent for its identities (SSH_AGENTC_REQUEST_IDENTITIES), and prints what it says."""


def test_ssh_keys(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """Files of keys are held by an agent of the build's own; afterwards there is neither agent nor key."""
    require_tool("ssh-agent")
    for name in ("one", "two"):
        words = ("-t", "ed25519", "-C", f"key-{name}", "-f", str(tmp_path / name))
        subprocess.run(["ssh-keygen", "-q", "-N", "", *words], check=True)
    (tmp_path / "one").chmod(0o644)  # ssh-add by itself refuses such a file
    compile_ask(tmp_path)
    build(
        """FROM busybox
COPY ask /ask
RUN --mount=type=ssh,id=mine /ask "$SSH_AUTH_SOCK" | tr -c a-z- '\\n' | grep '^key-' > /held
""",
        *("--ssh", f"mine={tmp_path / 'one'},{tmp_path / 'two'}"),
    )
    assert shell(minidock, "cat /held") == "key-one\nkey-two\n"
    secret = (tmp_path / "one").read_bytes().splitlines()[2]
    assert secret not in everything_kept(minidock) and not list((minidock.layout.images / "tmp").iterdir())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("default=/nonexistent", "/nonexistent: no such file or directory"),
        ("x={0}/locked", "failed to add ssh key {0}/locked: "),
        ("x={0}/none", "failed to add ssh key {0}/none: "),
        ("x={0}/socket,{0}/none", "invalid ssh agent x: only a single socket is allowed, or files of keys"),
    ],
)
def test_no_ssh_key(build: Build, tmp_path: Path, given: str, said: str) -> None:
    require_tool("ssh-agent")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "locked")], check=True)
    (tmp_path / "none").write_text("no key\n")
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "socket"))
        told = build("FROM busybox\n", "--ssh", given.format(tmp_path), check=False)
    assert told.returncode in (1, 125) and said.format(tmp_path) in told.stderr and "Traceback" not in told.stderr
