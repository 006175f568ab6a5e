"""minidock's client drives minidock's daemon and real dockerd: one script, the same output."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests.conftest import Minidock, require_root, require_tool
from tests.support.api import serving
from tests.support.dockerd import Docker
from tests.support.instance import COMMAND, SLOWNESS

Run = subprocess.CompletedProcess[str]


class Remote:
    """`minidock -H URL`, with nothing of ours in the environment."""

    def __init__(self, url: str, config: Path) -> None:
        self.url = url
        self.environment = {**os.environ, "DOCKER_CONFIG": str(config)}

    def __call__(self, *words: str, input: str = "", timeout: float = 60) -> Run:
        return subprocess.run(
            self.command(*words),
            input=input,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=timeout * SLOWNESS,
        )

    def command(self, *words: str) -> list[str]:
        return [*COMMAND, "-H", self.url, *words]

    def terminal(self, *words: str) -> pexpect.spawn[str]:
        program, *rest = self.command(*words)
        return pexpect.spawn(
            program, rest, env=self.environment, encoding="utf-8", timeout=20 * SLOWNESS, dimensions=(33, 99)
        )

    def until(self, look: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20 * SLOWNESS
        while not look():
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def loaded(docker: Docker, busybox_image: Path) -> Docker:
    docker("load", "-i", str(busybox_image), check=True)
    return docker


@pytest.fixture(params=["minidock", "dockerd"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    require_root()
    require_tool("dockerd")
    if request.param == "dockerd":
        docker: Docker = request.getfixturevalue("loaded")
        yield Remote(f"unix://{docker.socket}", tmp_path)
        left = docker("ps", "-aq").stdout.split()
        if left:
            docker("rm", "-f", *left)
        return
    box: Minidock = request.getfixturevalue("minidock")
    box("load", "-i", str(request.getfixturevalue("busybox_image")), check=True)
    with serving(box) as daemon:
        yield Remote(daemon.url, tmp_path)


# One script, both daemons


def test_streams_and_exit_codes_come_through(remote: Remote) -> None:
    result = remote("run", "-i", "--rm", "busybox", "sh", "-c", "cat; echo error >&2; exit 7", input="through\n")
    assert (result.stdout, result.stderr, result.returncode) == ("through\n", "error\n", 7)
    assert remote("ps", "-aq").stdout == ""


def test_more_than_any_buffer_holds_comes_through_both_ways(remote: Remote) -> None:
    text = "x" * 78 + "\n"
    result = remote("run", "-i", "--rm", "busybox", "cat", input=text * 50_000)
    assert result.stdout == text * 50_000


@pytest.mark.parametrize(("command", "code"), [("nosuch", 127), ("/etc", 126)])
def test_a_command_that_cannot_be_started_has_docker_s_code(remote: Remote, command: str, code: int) -> None:
    result = remote("run", "--rm", "busybox", command)
    assert result.returncode == code and result.stderr.startswith("minidock: Error response from daemon: ")
    remote.until(lambda: remote("ps", "-aq").stdout == "")


def test_a_name_in_use_and_a_missing_container_are_told_in_docker_s_words(remote: Remote) -> None:
    made = remote("create", "--name", "one", "busybox").stdout.strip()
    taken = remote("run", "--name", "one", "busybox")
    assert taken.returncode == 125
    assert f'The container name "/one" is already in use by container "{made}"' in taken.stderr
    gone = remote("start", "gone")
    assert (gone.returncode, gone.stderr.splitlines()[0]) == (1, "Error response from daemon: No such container: gone")
    assert remote("rm", "one").stdout == "one\n"


def test_a_detached_container_is_listed_followed_waited_for_and_removed(remote: Remote) -> None:
    identity = remote("run", "-d", "--name", "one", "busybox", "sh", "-c", "echo out; echo err >&2; sleep 1; exit 3")
    assert re.fullmatch(r"[0-9a-f]{64}\n", identity.stdout)
    followed = remote("logs", "-f", "one")
    assert (followed.stdout, followed.stderr) == ("out\n", "err\n")
    assert remote("wait", "one").stdout == "3\n"
    assert remote("ps", "-a", "--format", "{{.Names}} {{.Image}} {{.Command}}").stdout.startswith("one busybox ")
    assert remote("logs", "--tail", "1", "one").returncode == 0
    assert remote("inspect", "-f", "{{.State.ExitCode}}", "one").stdout == "3\n"
    restarted = remote("start", "-a", "one")
    assert (restarted.stdout, restarted.returncode) == ("out\n", 3)
    assert remote("rm", "one").stdout == "one\n"


def test_exec_has_streams_and_a_code_of_its_own(remote: Remote) -> None:
    remote("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    result = remote(
        "exec", "-i", "-e", "A=b", "-w", "/tmp", "one", "sh", "-c", "cat; pwd; echo $A; exit 5", input="x\n"
    )
    assert (result.stdout, result.returncode) == ("x\n/tmp\nb\n", 5)
    assert remote("exec", "-d", "one", "touch", "/made").returncode == 0
    remote.until(lambda: remote("exec", "one", "test", "-e", "/made").returncode == 0)
    stopped = remote("kill", "one")
    assert stopped.stdout == "one\n"
    remote.until(lambda: remote("exec", "one", "true").returncode == 1)
    assert "is not running" in remote("exec", "one", "true").stderr


def test_a_signal_reaches_the_container(remote: Remote) -> None:
    script = "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
    with subprocess.Popen(
        remote.command("run", "--rm", "busybox", "sh", "-c", script), stdout=subprocess.PIPE, env=remote.environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"got\n"
        assert process.wait(20 * SLOWNESS) == 9


def test_a_terminal_is_raw_has_our_size_and_is_left_by_its_keys(remote: Remote) -> None:
    shell = remote.terminal("run", "-it", "--name", "one", "busybox", "sh")
    shell.expect("# ")
    shell.sendline("stty size; echo do''ne")
    shell.expect("33 99")
    shell.expect("done")
    shell.setwinsize(44, 111)
    shell.sendline("while [ \"$(stty size)\" != '44 111' ]; do sleep 0.1; done; echo res''ized")
    shell.expect("resized")
    shell.send("\x10\x11")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 0
    assert remote("inspect", "-f", "{{.State.Running}}", "one").stdout == "true\n"
    again = remote.terminal("attach", "--detach-keys", "ctrl-x,x", "one")
    again.sendline("echo ba''ck")
    again.expect("back")
    again.send("\x18x")
    again.expect("read escape sequence")
    again.expect(pexpect.EOF)
    again.close()
    assert again.exitstatus == 1
    last = remote.terminal("attach", "one")
    last.sendline("exit 6")
    last.expect(pexpect.EOF)
    last.close()
    assert last.exitstatus == 6


def test_exec_on_a_terminal(remote: Remote) -> None:
    remote("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    shell = remote.terminal("exec", "-it", "one", "sh")
    shell.expect("# ")
    shell.sendline("stty size; exit 4")
    shell.expect("33 99")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 4


def test_images_are_tagged_listed_and_untagged(remote: Remote) -> None:
    assert remote("tag", "busybox", "team/other:1").returncode == 0
    assert "team/other:1" in remote("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    assert remote("image", "inspect", "-f", "{{.Os}}", "team/other:1").stdout == "linux\n"
    assert remote("rmi", "team/other:1").stdout == "Untagged: team/other:1\n"
    missing = remote("run", "--pull", "never", "nosuch")
    assert missing.returncode == 125 and "No such image: nosuch:latest" in missing.stderr


def test_events_tell_what_happened(remote: Remote) -> None:
    began = str(time.time() - 1)
    remote("run", "--rm", "--name", "told-of", "busybox", "true")
    form = ["--filter", "container=told-of", "--filter", "type=container", "--format", "{{.Action}}"]
    told = remote("events", "--since", began, "--until", str(time.time() + 1), *form).stdout.split()
    assert [action for action in told if action in ("create", "start", "die", "destroy")] == [
        "create",
        "start",
        "die",
        "destroy",
    ]


def test_version_tells_of_both_sides(remote: Remote) -> None:
    result = remote("version")
    assert result.returncode == 0 and result.stdout.count("API version:") == 2
    assert "no daemon" not in result.stdout
    assert remote("info", "-f", "{{.OSType}}").stdout == "linux\n"


def test_what_only_the_host_can_do_is_refused_by_name(remote: Remote) -> None:
    for words in (["run", "--dry-run", "busybox"], ["run", "--as-shell", "busybox"], ["inspect", "--kernel", "x"]):
        result = remote(*words)
        assert "only on the host itself, without a daemon" in result.stderr and result.returncode != 0


# Ways to a daemon


def test_a_context_made_here_is_docker_s_and_docker_s_is_ours(loaded: Docker, tmp_path: Path) -> None:
    config = tmp_path / "config"
    environment = {**os.environ, "DOCKER_CONFIG": str(config)}

    def both(*words: str) -> list[str]:
        commands = ([loaded.client], COMMAND)
        return [
            subprocess.run([*each, *words], capture_output=True, text=True, env=environment).stdout for each in commands
        ]

    host = f"host=unix://{loaded.socket}"
    made = subprocess.run(
        [*COMMAND, "context", "create", "real", "--docker", host, "--description", "a daemon"], env=environment
    )
    assert made.returncode == 0
    subprocess.run([loaded.client, "context", "create", "other", "--from", "real"], env=environment, check=True)
    subprocess.run([loaded.client, "context", "use", "other"], env=environment, check=True)
    assert both("context", "show") == ["other\n"] * 2
    theirs, ours = both("context", "inspect", "real", "other")
    assert theirs == ours
    theirs, ours = both("context", "ls", "--format", "{{.Name}} {{.Description}} {{.Current}}")
    assert theirs.splitlines()[1:] == ours.splitlines()[1:]
    theirs, ours = both("version", "--format", "{{.Server.Version}}")
    assert theirs == ours != ""
    assert both("-c", "real", "info", "-f", "{{.ID}}")[0] == both("info", "-f", "{{.ID}}")[1]
    subprocess.run([*COMMAND, "context", "export", "real", str(tmp_path / "x")], env=environment, check=True)
    subprocess.run([loaded.client, "context", "import", "third", str(tmp_path / "x")], env=environment, check=True)
    assert "a daemon" in both("context", "inspect", "third")[1]


SSH = """#!/bin/sh
# What ssh does: run the last argument by a shell, with the streams it was given.
echo "$@" >>{log}
for last; do :; done
exec sh -c "$last"
"""


def test_ssh_carries_the_api(loaded: Docker, tmp_path: Path) -> None:
    """Over there is here: a fake ssh runs the command, `minidock system dial-stdio` finds the socket by its path."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "ssh").write_text(SSH.format(log=tmp_path / "log"))
    (tools / "minidock").write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    remote = Remote(f"ssh://me@lab:22{loaded.socket}", tmp_path / "config")
    remote.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    result = remote("run", "-i", "--rm", "busybox", "sh", "-c", "cat; exit 5", input="through\n")
    assert (result.stdout, result.returncode) == ("through\n", 5), result.stderr
    assert (tmp_path / "log").read_text().startswith("-o ConnectTimeout=30 -T -l me -p 22 -- lab ")


def test_nobody_there_is_told_as_docker_tells_it(tmp_path: Path) -> None:
    remote = Remote(f"unix://{tmp_path}/nope", tmp_path)
    sentence = f"Cannot connect to the Docker daemon at unix://{tmp_path}/nope. Is the docker daemon running?\n"
    listed = remote("ps")
    assert (listed.returncode, listed.stderr) == (1, sentence)
    both = remote("version")
    assert both.stdout.startswith("Client:\n") and (both.returncode, both.stderr) == (1, sentence)
    ran = remote("run", "busybox")
    assert (ran.returncode, ran.stderr.splitlines()[0]) == (125, f"minidock: {sentence}".strip())


# Compared with what Docker's client says of the same daemon


@pytest.fixture
def real(loaded: Docker, tmp_path: Path) -> Iterator[Remote]:
    yield Remote(f"unix://{loaded.socket}", tmp_path / "config")
    left = loaded("ps", "-aq").stdout.split()
    if left:
        loaded("rm", "-f", *left)


def test_files_are_copied_by_docker_s_rules(real: Remote, loaded: Docker, tmp_path: Path) -> None:
    real("create", "--name", "one", "busybox", "sh")
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "file").write_text("text")
    (tree / "below" / "link").symlink_to("../file")
    for source, target in (("tree", "/in"), ("tree", "/tmp"), ("tree/.", "/tmp"), ("tree/file", "/other")):
        done = real("cp", f"{tmp_path}/{source}", f"one:{target}")
        assert (done.returncode, done.stderr) == (0, "")
    copied = {"/in": "a", "/tmp/.": "b", "/other": "c", "/tmp/tree/below": "d", "/bin/.": "e"}
    for source, target in copied.items():
        for name, client in (("ours", real), ("theirs", loaded)):
            (tmp_path / name).mkdir(exist_ok=True)
            done = client("cp", f"one:{source}", f"{tmp_path}/{name}/{target}")
            assert done.returncode == 0, done.stderr
    compared = subprocess.run(
        ["diff", "-r", "--no-dereference", tmp_path / "ours", tmp_path / "theirs"], capture_output=True
    )
    assert compared.stdout == b"" and (tmp_path / "ours/a/below/link").is_symlink()
    assert os.listdir(tmp_path / "ours/b") and (tmp_path / "ours/c").read_text() == "text"
    for words in (["cp", "one:/nope", "x"], ["cp", "nope:/x", "y"], ["cp", f"{tmp_path}/tree", "one:/other"]):
        ours, theirs = real(*words), loaded(*words)
        assert ours.returncode == theirs.returncode == 1
        said = theirs.stderr.splitlines()[-1]  # before it there may be lines of its log, about a pipe
        assert ours.stderr.strip().removeprefix("Error: ") == said.removeprefix("Error: ")
    assert "A /in/below" in real("diff", "one").stdout.splitlines()


def test_a_container_becomes_an_image_and_a_tar(real: Remote, loaded: Docker, tmp_path: Path) -> None:
    real("run", "--name", "one", "busybox", "touch", "/made")
    image = real("commit", "-m", "words", "-c", "ENV A=b", "one", "made:1").stdout.strip()
    assert real("history", "--format", "{{.Comment}}", "made:1").stdout.splitlines()[0] == "words"
    assert real("image", "inspect", "-f", "{{.Id}}", "made:1").stdout.split()[0] == image
    assert real("export", "-o", str(tmp_path / "x.tar"), "one").returncode == 0
    imported = real("import", str(tmp_path / "x.tar"), "flat:1")
    assert imported.stdout.startswith("sha256:") and loaded("image", "inspect", "flat:1").returncode == 0
    assert real("system", "df").stdout.splitlines()[1].startswith("Images")
    loaded("rmi", "flat:1", "made:1")


def test_what_takes_room_is_pruned(remote: Remote) -> None:
    remote("system", "prune", "-f")  # what earlier tests left with this daemon
    remote("run", "--name", "one", "busybox", "true")
    assert "Deleted Containers:" in remote("container", "prune", "-f").stdout
    assert remote("system", "prune", "-f").stdout.splitlines()[-1] == "Total reclaimed space: 0B"
    assert remote("ps", "-aq").stdout == ""


def test_limits_rest_and_figures(remote: Remote) -> None:
    remote("run", "-d", "--name", "one", "-p", "8080", "busybox", "sleep", "1000")
    assert remote("update", "--memory", "64m", "--memory-swap", "64m", "one").stdout == "one\n"
    row = remote("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "one").stdout.split()
    assert row[0] == "one" and row[3] == "64MiB" and row[4] == "1"
    assert remote("pause", "one").stdout == "one\n"
    assert remote("inspect", "-f", "{{.State.Paused}}", "one").stdout == "true\n"
    assert remote("unpause", "one").stdout == "one\n"
    assert remote("rename", "one", "two").returncode == 0
    assert "sleep 1000" in remote("top", "two").stdout
    assert remote("port", "two", "8080").stdout.startswith("0.0.0.0:")
    assert remote("restart", "-t", "0", "two").stdout == "two\n"


def test_images_travel(real: Remote, loaded: Docker, tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    assert real("save", "-o", str(archive), "busybox").returncode == 0
    assert real("load", "-i", str(archive)).stdout == "Loaded image: busybox:latest\n"
    broken = tmp_path / "broken"
    broken.write_bytes(b"no archive" * 1000)
    ours, theirs = real("load", "-i", str(broken)), loaded("load", "-i", str(broken))
    assert (ours.returncode, ours.stderr) == (theirs.returncode, theirs.stderr)


def test_a_pull_that_fails_is_told_as_docker_tells_it(real: Remote, loaded: Docker) -> None:
    ours, theirs = real("pull", "127.0.0.1:1/x"), loaded("pull", "127.0.0.1:1/x")
    assert ours.returncode == theirs.returncode == 1
    assert ours.stderr == theirs.stderr
