"""Real clients drive minidock through its API: the docker command, and docker-py."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import docker
import pexpect
import pytest

from tests.support.api import Daemon

# The docker command


def test_output_input_and_exit_code_come_through(daemon: Daemon) -> None:
    result = daemon.docker("run", "-i", "--rm", "busybox", "sh", "-c", "cat; echo error >&2; exit 7", input="through\n")
    assert (result.stdout, result.stderr, result.returncode) == ("through\n", "error\n", 7)
    assert daemon.docker("ps", "-aq").stdout == ""


def test_what_a_short_command_says_is_never_lost(daemon: Daemon) -> None:
    """Its client has nothing to send, and says so as soon as it has the answer's head."""
    for _ in range(10):
        assert daemon.docker("run", "--rm", "busybox", "echo", "hi").stdout == "hi\n"


def test_a_command_that_is_not_there_is_127_and_leaves_nothing(daemon: Daemon) -> None:
    result = daemon.docker("run", "--rm", "busybox", "nosuch")
    assert result.returncode == 127 and 'exec: "nosuch": executable file not found in $PATH' in result.stderr
    assert daemon.docker("ps", "-aq").stdout == ""


def test_a_detached_container_is_listed_logged_waited_for_and_removed(daemon: Daemon) -> None:
    assert daemon.docker("run", "-d", "--name", "one", "busybox", "sh", "-c", "echo out; exit 3").returncode == 0
    assert daemon.docker("wait", "one").stdout == "3\n"
    assert daemon.docker("logs", "one").stdout == "out\n"
    assert daemon.docker("ps", "-a", "--format", "{{.Names}} {{.Status}}").stdout.startswith("one Exited (3)")
    assert daemon.docker("rm", "one").stdout == "one\n"
    assert daemon.docker("rm", "one").stderr == "Error response from daemon: No such container: one\n"


def test_exec_has_streams_and_a_code_of_its_own(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    result = daemon.docker("exec", "-i", "one", "sh", "-c", "cat; echo error >&2; exit 5", input="x")
    assert (result.stdout, result.stderr, result.returncode) == ("x", "error\n", 5)
    assert daemon.docker("exec", "one", "nosuch").returncode == 127
    assert daemon.docker("exec", "-d", "one", "touch", "/made").returncode == 0
    deadline = time.monotonic() + 10
    while daemon.docker("exec", "one", "test", "-e", "/made").returncode and time.monotonic() < deadline:
        time.sleep(0.05)
    assert daemon.docker("exec", "one", "test", "-e", "/made").returncode == 0


def test_a_terminal_is_resized_detached_from_and_attached_to(daemon: Daemon) -> None:
    with pexpect.spawn("docker run -it --name one busybox sh", timeout=20, env=daemon.environment) as run:
        run.setwinsize(33, 99)
        run.expect("/ # ")
        run.sendline("until stty size | grep '33 99'; do sleep 0.1; done")
        run.expect("\n33 99")
        run.send("\x10\x11")
        run.expect(pexpect.EOF)
        run.wait()
        assert run.exitstatus == 0
    with pexpect.spawn("docker exec -it one sh", timeout=20, env=daemon.environment) as shell:
        shell.expect("/ # ")
        shell.send("\x10\x11")
        shell.expect(pexpect.EOF)
    with pexpect.spawn("docker attach one", timeout=20, env=daemon.environment) as attach:
        attach.sendline("exit $((2 + 2))")
        attach.expect(pexpect.EOF)
        attach.wait()
        assert attach.exitstatus == 4
    until = str(int(time.time()) + 1)
    told = daemon.docker("events", "--since", "0", "--until", until, "--format", "{{.Action}}").stdout.split("\n")
    wanted = ["create", "attach", "start", "attach", "die"]
    assert [action for action in told if action in wanted] == wanted and "resize" in told


def test_a_container_outlives_the_daemon_and_the_next_one_finds_it(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    assert daemon.process is not None
    daemon.process.kill()
    daemon.process.wait()
    daemon.start()
    assert daemon.docker("ps", "--format", "{{.Names}}").stdout == "one\n"
    assert daemon.docker("exec", "one", "echo", "still here").stdout == "still here\n"


def test_a_container_of_the_command_line_is_one_of_the_daemons_too(daemon: Daemon) -> None:
    daemon.box("run", "-d", "--name", "one", "busybox", "sleep", "1000", check=True)
    assert daemon.docker("ps", "--format", "{{.Names}}").stdout == "one\n"
    with subprocess.Popen(["docker", "wait", "one"], env=daemon.environment, stdout=subprocess.PIPE, text=True) as wait:
        assert daemon.docker("stop", "-t", "0", "one").stdout == "one\n"
        assert wait.communicate(timeout=20)[0] == "137\n"
    assert daemon.box("ps", "-a", "--format", "{{.Status}}").stdout.startswith("Exited (137)")


def test_a_spawner_that_is_killed_is_replaced(daemon: Daemon) -> None:
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    for pid in children:
        os.kill(int(pid), 9)
    assert daemon.docker("run", "--rm", "busybox", "echo", "on").stdout == "on\n"


def test_clients_that_vanish_leave_nothing_open(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    descriptors = Path(f"/proc/{daemon.pid}/fd")
    before = len(list(descriptors.iterdir()))
    for words in (("logs", "-f", "one"), ("events",), ("wait", "one")) * 5:
        client = subprocess.Popen(["docker", *words], env=daemon.environment, stdout=subprocess.DEVNULL)
        time.sleep(0.2)
        client.kill()
        client.wait()
    deadline = time.monotonic() + 10
    while len(list(descriptors.iterdir())) > before + 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(list(descriptors.iterdir())) <= before + 2


# docker-py


def test_output_never_comes_with_the_head_even_to_a_slow_client(listening: Daemon) -> None:
    """docker-py throws away what it reads together with it."""
    listening.docker("run", "--name", "one", "busybox", "echo", "hello")
    host, _, port = listening.also.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        raw.sendall(b"POST /containers/one/attach?logs=1&stdout=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.5)  # what isn't read within a second is sent to one that keeps what comes after the head
        assert raw.recv(65536).endswith(b"\r\n\r\n")
        assert raw.recv(65536)[8:] == b"hello\n"


def test_docker_py_runs_and_gets_the_output(client: docker.DockerClient) -> None:
    assert client.containers.run("busybox", ["echo", "hello"], remove=True) == b"hello\n"
    with pytest.raises(docker.errors.ContainerError) as caught:
        client.containers.run("busybox", ["sh", "-c", "exit 4"], remove=True)
    assert caught.value.exit_status == 4
    made = client.containers.create("busybox", runtime="runc")  # said outside of HostConfig
    assert made.attrs["HostConfig"]["Runtime"] == "runc"
    made.remove()
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nosuch")
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("nosuch")


def test_docker_py_execs_and_streams_logs(client: docker.DockerClient) -> None:
    script = "for n in 1 2 3; do echo line $n; done; sleep 1000"
    container = client.containers.run("busybox", ["sh", "-c", script], detach=True)
    code, output = container.exec_run(["sh", "-c", "echo inside; exit 9"])
    assert (code, output) == (9, b"inside\n")
    lines = container.logs(stream=True, follow=True)
    assert b"".join(next(lines) for _ in range(3)) == b"line 1\nline 2\nline 3\n"
    container.reload()
    assert container.status == "running"
    assert container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    container.stop(timeout=0)
    assert container.wait()["StatusCode"] == 137
    container.remove()


def test_a_client_that_leaves_by_its_keys_is_told_of(client: docker.DockerClient) -> None:
    """The docker command looks for the keys itself; of others they come through."""
    container = client.containers.run("busybox", "sh", detach=True, tty=True, stdin_open=True, name="left")
    heard = client.events(decode=True, filters={"container": "left", "event": ["detach", "exec_detach"]})
    execute = client.api.exec_create("left", "sh", tty=True, stdin=True)["Id"]
    for sock in (
        container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1}),
        client.api.exec_start(execute, tty=True, socket=True),
    ):
        sock._sock.sendall(b"\x10\x11")
        assert sock._sock.makefile("rb").read() is not None  # to its end: the daemon hangs up
        sock.close()
    assert [next(heard)["Action"] for _ in range(2)] == ["detach", "exec_detach"]
    heard.close()
    container.remove(force=True)


def test_docker_py_hears_events(client: docker.DockerClient) -> None:
    heard = client.events(decode=True, filters={"type": "container"})
    client.containers.run("busybox", ["true"], remove=True)
    actions = []
    for event in heard:
        actions.append(event["Action"])
        if event["Action"] == "destroy":
            break
    assert [action for action in actions if action != "attach"] == ["create", "start", "die", "destroy"]
