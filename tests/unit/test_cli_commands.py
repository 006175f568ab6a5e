"""Every command against an engine that only remembers what it was asked: output, exit codes, messages."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from minidock.cli import GLOBAL_FLAGS, TOP, app, context
from minidock.cli.commands import Noun, Verb
from minidock.cli.nouns import container, image, system
from minidock.cli.tables import align
from minidock.errors import (
    CommandNotExecutable,
    CommandNotFound,
    ContainerNotFound,
    ImageNotFound,
    MinidockError,
    NotFound,
    StepFailed,
)
from minidock.model.events import Actor, Event
from minidock.model.facts import KernelFact, KernelSection
from minidock.model.host import RestartPolicy
from minidock.model.lists import ContainerStats, ContainerSummary, ImageSummary, NetworkModeOnly, PortSummary
from minidock.model.requests import Created
from minidock.model.usage import ContainersPruned
from minidock.steps import SILENT, Step

ID = "0123456789ab" + "c" * 52


class Engine:
    """Remembers the calls; `answers` by method: a value, a function of the call, or an error to raise."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.answers: dict[str, Any] = {
            "create": Created(ID),
            "inspect": {"Id": ID, "Name": "/web", "Config": {"OpenStdin": True, "Cmd": None}},
        }

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            self.calls.append((name, arguments, keywords))
            answer = self.answers.get(name)
            if callable(answer) and not isinstance(answer, type):
                answer = answer(*arguments, **keywords)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call

    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]

    def call(self, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        [(_, arguments, keywords)] = [call for call in self.calls if call[0] == name]
        return arguments, keywords


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    found = Engine()
    monkeypatch.setattr(context, "engine", lambda: found)
    return found


def minidock(*words: str, input: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(words), input=input, catch_exceptions=False)


def gone(name: str, **_: Any) -> None:
    """What an engine answers that has no container `nope`."""
    if name == "nope":
        raise ContainerNotFound(name)


# run and create

HELP = "\n\nRun 'minidock run --help' for more information\n"


def test_run_creates_starts_and_passes_the_exit_code_on(engine: Engine) -> None:
    engine.answers["start_attached"] = 42
    result = minidock("run", "-i", "busybox", "sh", "-c", "exit 42", "--rm")
    assert (result.exit_code, result.output) == (42, "")
    assert engine.names() == ["ensure_image", "create", "start_attached"]
    assert engine.call("ensure_image")[0] == ("busybox",)
    assert engine.call("ensure_image")[1]["policy"] == "missing"
    [request] = engine.call("create")[0]
    assert request.config.cmd == ["sh", "-c", "exit 42", "--rm"]
    assert engine.call("start_attached") == (
        (ID,),
        {"stdin": True, "stdout": True, "stderr": True, "detach_keys": "", "sig_proxy": True, "narrator": SILENT},
    )


def test_run_in_the_background_prints_the_id(engine: Engine) -> None:
    result = minidock("run", "-d", "--pull", "never", "--platform", "linux/amd64", "busybox")
    assert (result.exit_code, result.stdout) == (0, f"{ID}\n")
    assert engine.call("ensure_image")[1]["policy"] == "never"
    assert engine.call("ensure_image")[1]["platform"] == "linux/amd64"
    assert engine.names()[-1] == "start"


def test_warnings_are_told_once(engine: Engine) -> None:
    sentence = "Published ports are discarded when using host network mode"
    engine.answers["create"] = Created(ID, [sentence, "other"])
    result = minidock("create", "--net", "host", "-p", "80:80", "busybox")
    assert result.stdout == f"{ID}\n"
    assert result.stderr == f"WARNING: {sentence}\nWARNING: other\n"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MinidockError("no"), 125, "minidock: no"),
        (MinidockError("no", hint="try"), 125, "minidock: no (try)"),
        (StepFailed("mount", "EPERM"), 125, "minidock: can't mount: EPERM"),
        (CommandNotFound("no such command"), 127, "minidock: no such command"),
        (CommandNotExecutable("not executable"), 126, "minidock: not executable"),
    ],
)
def test_what_run_cannot_do(engine: Engine, error: MinidockError, code: int, message: str) -> None:
    engine.answers["start_attached"] = error
    result = minidock("run", "busybox")
    assert (result.exit_code, result.stderr, result.stdout) == (code, message + HELP, "")
    assert "remove" not in engine.names()


def test_a_full_disk_is_told_with_what_to_do(engine: Engine) -> None:
    """`run` ends with 125, the others with 1; the system's own word, the place, and a way out."""
    engine.answers["start_attached"] = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    engine.answers["tag"] = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/y")
    way_out = "(minidock system df shows what takes the room, minidock system prune gives some back)"
    result = minidock("run", "busybox")
    assert (result.exit_code, result.stderr) == (125, f"minidock: no space left on device {way_out}{HELP}")
    result = minidock("tag", "a", "b")
    assert (result.exit_code, result.stderr) == (1, f"Error: /x/y: no space left on device {way_out}\n")


def test_build_prune_is_builder_prune(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine.answers["prune_build_cache"] = ([], 0)
    assert minidock("build", "prune", "-af").output == "Total reclaimed space: 0B\n"
    assert engine.names() == ["prune_build_cache"]
    (tmp_path / "prune").mkdir()  # a context that is called so is one
    assert minidock("build", "prune", "-af").exit_code == 125
    assert engine.names() == ["prune_build_cache"]


def test_a_container_that_never_started_is_removed_with_rm(engine: Engine) -> None:
    engine.answers["start"] = MinidockError("no")
    engine.answers["inspect"] = {"State": {"Status": "created"}}
    engine.answers["remove"] = ContainerNotFound(ID)  # somebody has been quicker
    result = minidock("run", "-d", "--rm", "busybox")
    assert (result.exit_code, result.stderr) == (125, "minidock: no" + HELP)
    assert engine.call("remove") == ((ID,), {"force": True, "volumes": True})


def test_a_container_that_runs_outlives_its_command(engine: Engine) -> None:
    engine.answers["start_attached"] = MinidockError("no")
    engine.answers["inspect"] = {"State": {"Status": "running"}}
    assert minidock("run", "--rm", "busybox").exit_code == 125
    assert "remove" not in engine.names()


@pytest.mark.parametrize("words", [["run", "busybox"], ["exec", "web", "sh"], ["logs", "web"]])
def test_nobody_reads_the_output(words: list[str]) -> None:
    """A whole process, because its stdout is what breaks: the last descriptor of a pipe without a reader."""
    script = f"""
import sys
from minidock.cli import app, context
from minidock.errors import MinidockError
class Engine:
    def __getattr__(self, name):
        def call(*arguments, **keywords):
            if name == "create":
                from minidock.model.requests import Created
                return Created("x")
            if name == "logs":
                return [(1, b"x" * 100000)]
            if name in ("start_attached", "exec"):
                raise MinidockError("write /dev/stdout: broken pipe") from BrokenPipeError()
        return call
context.engine = Engine
app.main({words!r})
"""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as out:
        done = subprocess.run([sys.executable, "-c", script], stdout=out, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")


def test_missing_image(engine: Engine) -> None:
    engine.answers["ensure_image"] = ImageNotFound("nope", hint="")
    result = minidock("run", "nope")
    assert (result.exit_code, result.stderr) == (125, "minidock: No such image: nope" + HELP)
    assert engine.names() == ["ensure_image"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "--foo"], 125, "unknown flag: --foo\n\nUsage:  minidock run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\n"
         "Run 'minidock run --help' for more information\n"),
        (["container", "run", "--kernel-memory", "1g", "x"], 125, "--kernel-memory can't be honoured: Linux has "
         "removed that limit (5.16); kernel memory counts in --memory\n\n"
         "Usage:  minidock container run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\n"
         "Run 'minidock container run --help' for more information\n"),
        (["run"], 1, "minidock: 'minidock run' requires at least 1 argument\n\n"
         "Usage:  minidock run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nSee 'minidock run --help' for more information\n"),
        (["run", "-m", "5m", "x"], 125, "minidock: Minimum memory limit allowed is 6MB\n\n"
         "Run 'minidock run --help' for more information\n"),
        (["run", "-d", "-a", "stdin", "x"], 1, "conflicting options: cannot specify both --attach and --detach\n"),
        (["run", "-it", "x"], 1, "the input device is not a TTY\n"),
        (["exec", "-it", "x", "sh"], 1, "the input device is not a TTY\n"),
        (["ps", "x"], 1, "minidock: 'minidock ps' accepts no arguments\n\nUsage:  minidock ps [OPTIONS]\n\n"
         "Run 'minidock ps --help' for more information\n"),
        (["tag", "a"], 1, "minidock: 'minidock tag' requires 2 arguments\n\n"
         "Usage:  minidock tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]\n\n"
         "Run 'minidock tag --help' for more information\n"),
        (["images", "a", "b"], 1, "minidock: 'minidock images' requires at most 1 argument\n\n"
         "Usage:  minidock images [OPTIONS] [REPOSITORY[:TAG]]\n\nRun 'minidock images --help' for more information\n"),
        (["ps", "-n", "x"], 125, 'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": '
         "invalid syntax\n\nUsage:  minidock ps [OPTIONS]\n\nRun 'minidock ps --help' for more information\n"),
        (["foo"], 1, "minidock: unknown command: minidock foo\n\nRun 'minidock --help' for more information\n"),
        (["container", "foo"], 1, "minidock: unknown command: minidock container foo\n\nUsage:  minidock container\n\n"
         "Run 'minidock container --help' for more information\n"),
        (["--foo", "ps"], 125, "unknown flag: --foo\n\nUsage:  minidock [OPTIONS] COMMAND\n\n"
         "Run 'minidock --help' for more information\n"),
        (["-l", "debug", "ps"], 125, "--log-level is not supported by this version of minidock\n\n"
         "Usage:  minidock [OPTIONS] COMMAND\n\nRun 'minidock --help' for more information\n"),
        (["inspect", "--type", "foo", "x"], 1, 'unknown type: "foo": must be one of "config", "container", "image", '
         '"network", "node", "plugin", "secret", "service", "task", "volume"\n'),
        (["logs", "--since", "foo", "x"], 1,
         'Error: invalid value for "since": failed to parse value as time or duration: "foo"\n'),
        (["kill", "-s", "foo", "x"], 1, "Error: Invalid signal: foo\n"),
        (["load", "-i", "/nope"], 1, "open /nope: no such file or directory\n"),
        (["import", "/nope"], 1, "open /nope: no such file or directory\n"),
        (["save", "-o", "/nope/x", "y"], 1,
         "failed to save image: invalid output path: stat /nope: no such file or directory\n"),
        (["start", "-a", "x", "y"], 1, "you cannot start and attach multiple containers at once\n"),
    ],
)  # fmt: skip
def test_bad_command_lines(engine: Engine, words: list[str], code: int, message: str) -> None:
    result = minidock(*words)
    assert result.stderr == message
    assert (result.exit_code, result.stdout) == (code, "")
    assert engine.calls == []


def test_the_id_file(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    assert minidock("run", "-d", "--cidfile", str(file), "busybox").exit_code == 0
    assert file.read_text() == ID
    result = minidock("run", "-d", "--cidfile", str(file), "busybox")
    assert result.exit_code == 125
    sentence = f"minidock: container ID file found, make sure the other container isn't running or delete {file}\n"
    assert result.stderr.startswith(sentence)


def test_no_id_file_is_left_when_nothing_was_created(engine: Engine, tmp_path: Path) -> None:
    engine.answers["create"] = MinidockError("no")
    assert minidock("create", "--cidfile", str(tmp_path / "cid"), "busybox").exit_code == 1
    assert list(tmp_path.iterdir()) == []


class Hello(Step, frozen=True):
    """As a greeting. Nobody has to answer."""

    man = "true(1)"

    def describe(self) -> str:
        return "say hello"

    def shell(self) -> str:
        return "echo hello\ntrue"

    def apply(self, live: object) -> None:
        return None


class Plan:
    def sections(self) -> list[tuple[str, list[Step]]]:
        return [("on the host, before", [Hello()]), ("nothing", []), ("in the container", [Hello()])]


def test_dry_run_lists_the_steps(engine: Engine) -> None:
    engine.answers["dry_run"] = Plan()
    result = minidock("run", "--dry-run", "busybox")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[:4] == ["on the host, before", "    1. say hello", "       echo hello", "       true"]
    assert lines[4].startswith("       true(1)   ")
    assert "test_cli_commands.py:" in lines[4]
    assert lines[6:8] == ["in the container", "    2. say hello"]
    assert not {"create", "start"} & set(engine.names())


def test_as_shell_prints_the_script(engine: Engine) -> None:
    engine.answers["as_shell"] = "#!/bin/sh\ntrue\n"
    result = minidock("run", "--as-shell", "busybox")
    assert (result.exit_code, result.stdout) == (0, "#!/bin/sh\ntrue\n")
    assert "create" not in engine.names()


def test_explain_tells_each_step_on_stderr(engine: Engine) -> None:
    def start_attached(name: str, *, narrator: Any, **_: Any) -> int:
        narrator.started(Hello())
        narrator.done(Hello(), 0.0015)
        narrator.started(Hello())
        narrator.failed(Hello(), MinidockError("no way"))
        narrator.undone(Hello())
        return 0

    engine.answers["start_attached"] = start_attached
    result = minidock("run", "--explain", "busybox")
    lines = result.stderr.splitlines()
    assert result.stdout == ""
    assert lines[0] == "[  1]    1.5 ms  say hello"
    assert lines[1] == "                 As a greeting"
    assert lines[2:4] == ["                 echo hello", "                 true"]
    assert lines[4].startswith("                 true(1)   ")
    assert lines[5].startswith("[  2]    failed  say hello")
    assert lines[-2:] == ["                 no way", "           undo  say hello"]
    assert "\x1b" not in result.stderr


# the life of a container


@pytest.mark.parametrize(
    ("words", "name", "keywords"),
    [
        (["stop", "-t", "3", "-s", "INT", "a"], "stop", {"timeout": 3, "signal": "INT"}),
        (["stop", "--time", "3", "a"], "stop", {"timeout": 3, "signal": ""}),
        (["stop", "a"], "stop", {"timeout": None, "signal": ""}),
        (["kill", "a"], "kill", {"signal": "KILL"}),
        (["kill", "-s", "9", "a"], "kill", {"signal": "9"}),
        (["rm", "-fv", "a"], "remove", {"force": True, "volumes": True, "link": False, "narrator": SILENT}),
        (["container", "remove", "a"], "remove", {"force": False, "volumes": False, "link": False, "narrator": SILENT}),
        (["start", "a"], "start", {}),
    ],
)
def test_verbs_on_containers(engine: Engine, words: list[str], name: str, keywords: dict[str, Any]) -> None:
    result = minidock(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "a\n", "")
    assert engine.call(name) == (("a",), keywords)


@pytest.mark.parametrize(("verb", "method"), [("stop", "stop"), ("kill", "kill"), ("rm", "remove")])
def test_what_works_is_done_and_the_rest_is_told(engine: Engine, verb: str, method: str) -> None:
    engine.answers[method] = gone
    result = minidock(verb, "a", "nope", "b")
    assert (result.exit_code, result.stdout) == (1, "a\nb\n")
    assert result.stderr == "Error: No such container: nope\n"


def test_rm_of_nothing_by_force_is_no_failure(engine: Engine) -> None:
    engine.answers["remove"] = gone
    result = minidock("rm", "-f", "nope", "a")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "a\n", "Error: No such container: nope\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--name", "x"], 1, "Error: Invalid container name (x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed\n"),
        (["-p", "x"], 125, "minidock: invalid containerPort: x\n\nRun 'minidock create --help' for more information\n"),
    ],
)
def test_create_tells_what_the_flags_and_what_the_engine_refuses(
    engine: Engine, words: list[str], code: int, message: str
) -> None:
    result = minidock("create", *words, "busybox")
    assert (result.exit_code, result.stderr) == (code, message)


def test_a_name_that_is_none(engine: Engine) -> None:
    engine.answers["tag"] = MinidockError("invalid reference format")
    result = minidock("tag", "a", "X Y")
    sentence = 'Error parsing reference: "X Y" is not a valid repository/tag: invalid reference format\n'
    assert (result.exit_code, result.stderr) == (1, sentence)


def test_start_counts_what_failed(engine: Engine) -> None:
    engine.answers["start"] = gone
    result = minidock("start", "nope", "a")
    assert (result.exit_code, result.stdout) == (1, "a\n")
    assert result.stderr == "Error: No such container: nope\nError: failed to start containers: nope\n"


def test_start_attached(engine: Engine) -> None:
    engine.answers["start_attached"] = 3
    assert minidock("start", "-ai", "--detach-keys", "ctrl-x", "web").exit_code == 3
    assert engine.call("start_attached") == (("web",), {"stdin": True, "detach_keys": "ctrl-x"})


def test_wait_prints_exit_codes(engine: Engine) -> None:
    engine.answers["wait"] = lambda name: {"a": 0, "b": 137}[name]
    result = minidock("wait", "a", "b")
    assert (result.exit_code, result.stdout) == (0, "0\n137\n")


def test_exec(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("A=1\n")
    engine.answers["exec"] = 7
    words = ["-i", "-e", "B=2", "--env-file", str(tmp_path / "env"), "-u", "1", "-w", "/", "--privileged"]
    assert minidock("exec", *words, "web", "ls", "-l").exit_code == 7
    (name, request), _ = engine.call("exec")
    assert name == "web"
    assert (request.cmd, request.env, request.user, request.working_dir) == (["ls", "-l"], ["A=1", "B=2"], "1", "/")
    assert (request.attach_stdin, request.tty, request.detach, request.privileged) == (True, False, False, True)


@pytest.mark.parametrize(
    ("error", "code"), [(CommandNotFound("x"), 127), (CommandNotExecutable("x"), 126), (MinidockError("x"), 1)]
)
def test_what_exec_cannot_do(engine: Engine, error: MinidockError, code: int) -> None:
    engine.answers["exec"] = error
    result = minidock("exec", "web", "x")
    assert (result.exit_code, result.stderr) == (code, "Error: x\n")


def test_logs_go_to_the_streams_they_came_from(engine: Engine) -> None:
    engine.answers["logs"] = [(1, b"out\n"), (2, b"err\n"), (1, b"\xff\n")]
    result = minidock("logs", "-ft", "-n", "5", "--since", "1700000000", "web")
    assert (result.stdout_bytes, result.stderr_bytes) == (b"out\n\xff\n", b"err\n")
    keywords = engine.call("logs")[1]
    assert keywords == {
        "follow": True,
        "tail": 5,
        "since": 1_700_000_000.0,
        "until": None,
        "timestamps": True,
        "details": False,
    }


@pytest.mark.parametrize("tail", ["all", "x", "-5"])
def test_all_lines_when_the_count_is_none(engine: Engine, tail: str) -> None:
    engine.answers["logs"] = []
    minidock("logs", "-n", tail, "web")
    assert engine.call("logs")[1]["tail"] is None


def test_cleanup_is_there_and_hidden(engine: Engine) -> None:
    assert minidock("container", "cleanup", ID).exit_code == 0
    assert engine.call("cleanup") == ((ID,), {})
    assert "cleanup" not in minidock("container", "--help").output


# inspect


def test_inspect_shows_containers_then_images(engine: Engine) -> None:
    def image_of(name: str) -> dict[str, Any]:
        if name == "nope":
            raise ImageNotFound(name)
        return {"Id": "sha256:1"}

    engine.answers["inspect"] = lambda name: (
        {"Id": ID} if name == "web" else (_ for _ in ()).throw(ContainerNotFound(name))
    )
    engine.answers["inspect_image"] = image_of
    engine.answers["inspect_network"] = lambda name: (_ for _ in ()).throw(NotFound(name))
    engine.answers["inspect_volume"] = lambda name: (_ for _ in ()).throw(NotFound(name))
    result = minidock("inspect", "web", "busybox", "nope")
    assert result.exit_code == 1
    assert result.stdout == f'[\n    {{\n        "Id": "{ID}"\n    }},\n    {{\n        "Id": "sha256:1"\n    }}\n]\n'
    assert result.stderr == "Error: No such object: nope\n"


def test_inspect_of_nothing_is_an_empty_list(engine: Engine) -> None:
    engine.answers["inspect"] = ContainerNotFound("nope")
    result = minidock("container", "inspect", "nope")
    assert (result.exit_code, result.stdout) == (1, "[]\n")
    assert result.stderr == "Error: No such container: nope\n"


def test_inspect_formats(engine: Engine) -> None:
    engine.answers["inspect"] |= {"HostConfig": {"PidsLimit": None}}
    assert (
        minidock("inspect", "-f", "{{.Name}} {{.Config.Cmd}} {{.HostConfig.PidsLimit}}", "web").stdout
        == "/web [] <nil>\n"
    )
    assert minidock("inspect", "-f", "json", "web").stdout.startswith('{"Id":"0123')
    unreadable = minidock("inspect", "-f", "{{", "web")
    assert (unreadable.exit_code, unreadable.stderr) == (64, "template parsing error: template: :1: unclosed action\n")
    unknown = minidock("inspect", "-f", "{{.Foo}}", "web")
    assert unknown.exit_code == 1
    assert unknown.stderr == (
        'template parsing error: template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"\n'
    )


def test_inspect_with_sizes(engine: Engine) -> None:
    engine.answers["containers"] = [summary(size_rw=5, size_root_fs=10)]
    result = minidock("inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "web")
    assert result.stdout == "5 10\n"
    assert engine.call("containers")[1] == {"all": True, "filters": {"id": [ID]}, "size": True}


# lists


def summary(**changes: Any) -> ContainerSummary:
    values: dict[str, Any] = {
        "id": ID,
        "names": ["/web"],
        "image": "busybox",
        "image_id": "sha256:" + "d" * 64,
        "command": "sh -c 'while true; do date; done'",
        "created": int(time.time()) - 130,
        "state": "running",
        "status": "Up 2 minutes",
    }
    return ContainerSummary(**(values | changes))


def test_ps_is_a_table(engine: Engine) -> None:
    ports = [PortSummary(80, "tcp", "0.0.0.0", 8080), PortSummary(443, "tcp")]
    engine.answers["containers"] = [summary(ports=ports), summary(names=["/x"], command="id")]
    lines = [line.split("  ") for line in minidock("ps").stdout.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    published = "443/tcp, 0.0.0.0:8080->80/tcp"
    assert cells == [
        ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"],
        ["0123456789ab", "busybox", '"sh -c \'while true; …"', "2 minutes ago", "Up 2 minutes", published, "web"],
        ["0123456789ab", "busybox", '"id"', "2 minutes ago", "Up 2 minutes", "x"],
    ]


def test_columns_are_as_wide_as_dockers() -> None:
    assert align([["A", "B", "C"], ["", "twelve chars", "x"]]) == [
        "A         B              C",
        "          twelve chars   x",
    ]
    assert align([["only"], ["a", "b"]]) == ["only", "a         b"]
    assert align([]) == []


def test_ps_of_nothing_has_a_header(engine: Engine) -> None:
    engine.answers["containers"] = []
    wanted = "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    assert minidock("container", "ls").stdout == wanted
    assert minidock("ps", "-q").stdout == ""


@pytest.mark.parametrize(
    ("words", "keywords"),
    [
        (["-a"], {"all": True, "last": 0, "filters": {}, "size": False}),
        (["-l"], {"all": False, "last": 1, "filters": {}, "size": False}),
        (["-n", "3"], {"all": False, "last": 3, "filters": {}, "size": False}),
        (["-n", "-3", "-s"], {"all": False, "last": 0, "filters": {}, "size": True}),
        (
            ["-f", "status=exited", "-f", "label=a=b", "--filter", "label=c", "-f", ""],
            {"all": False, "last": 0, "filters": {"status": ["exited"], "label": ["a=b", "c"]}, "size": False},
        ),
    ],
)
def test_what_ps_asks_for(engine: Engine, words: list[str], keywords: dict[str, Any]) -> None:
    engine.answers["containers"] = []
    assert minidock("ps", *words).exit_code == 0
    assert engine.call("containers")[1] == keywords


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ps", "-f", "foo=bar"], "Error: Invalid filter 'foo'\n"),
        (["ps", "-f", "status=foo"], "Error: Invalid filter 'status=foo'\n"),
        (["images", "-f", "foo=bar"], "Error: Invalid filter 'foo'\n"),
    ],
)
def test_filters_that_there_are_not(engine: Engine, words: list[str], message: str) -> None:
    result = minidock(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", message)
    assert engine.calls == []


def test_ps_filters_have_a_value(engine: Engine) -> None:
    result = minidock("ps", "-f", "foo")
    sentence = 'invalid argument "foo" for "-f, --filter" flag: bad format of filter (expected name=value)\n'
    assert (result.exit_code, result.stderr[: len(sentence)]) == (125, sentence)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["-q"], "0123456789ab\n"),
        (["-q", "--no-trunc"], f"{ID}\n"),
        (["--format", "{{.ID}} {{.Names}} {{.State}}"], "0123456789ab web running\n"),
        (["--format", "table {{.Names}}\\t{{.Size}}"], "NAMES     SIZE\nweb       1.5kB (virtual 2MB)\n"),
        (["--format", 'table {{.Names}}\\t{{.Label "tier"}}\\t{{upper .Image}}'],
         "NAMES     tier      IMAGE\nweb       front     BUSYBOX\n"),
        (["--format", "table {{.Networks}}"], "NETWORKS\nbridge\n"),
        (["--format", '{{.Label "nope"}}|{{.Labels}}|{{.Mounts}}|{{.LocalVolumes}}'], "|tier=front||0\n"),
        (["--format", "{{.Command}}", "--no-trunc"], "\"sh -c 'while true; do date; done'\"\n"),
        (["--format", "raw"], "container_id: 0123456789ab\n"),
        (["--format", "{{.RunningFor}}\\n"], "2 minutes ago\n\n"),
    ],
)  # fmt: skip
def test_ps_formats(engine: Engine, words: list[str], wanted: str) -> None:
    engine.answers["containers"] = [summary(labels={"tier": "front"}, size_rw=1500, size_root_fs=2_000_000)]
    result = minidock("ps", *words)
    assert result.exit_code == 0
    assert result.stdout.startswith(wanted) if "raw" in words else result.stdout == wanted


def test_ps_as_json_has_every_column(engine: Engine) -> None:
    import json

    engine.answers["containers"] = [summary()]
    row = json.loads(minidock("ps", "--format", "json").stdout)
    assert list(row) == [
        *("Command", "CreatedAt", "ID", "Image", "Labels", "LocalVolumes", "Mounts", "Names", "Networks"),
        *("Platform", "Ports", "RunningFor", "Size", "State", "Status"),
    ]
    assert row["Platform"] is None
    assert row["Image"] == "busybox"


def test_bad_formats_of_lists(engine: Engine) -> None:
    engine.answers["containers"] = [summary()]
    unreadable = minidock("ps", "--format", "{{.ID")
    assert (unreadable.exit_code, unreadable.stderr) == (1, "failed to parse template: template: :1: unclosed action\n")
    unknown = minidock("ps", "--format", "{{.Foo}}")
    assert unknown.stderr == (
        'failed to execute template: template: :1:2: executing "" at <.Foo>: '
        "can't evaluate field Foo in type *formatter.ContainerContext\n"
    )


@pytest.mark.parametrize(
    ("ports", "wanted"),
    [
        ([], ""),
        ([PortSummary(80, "tcp")], "80/tcp"),
        ([PortSummary(80, "tcp", "0.0.0.0", 8080), PortSummary(80, "tcp", "::", 8080)],
         "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([PortSummary(n, "tcp", "0.0.0.0", n) for n in (82, 80, 81)], "0.0.0.0:80-82->80-82/tcp"),
        ([PortSummary(n, "tcp", "", n + 1) for n in (80, 81)], "80-81/tcp"),
        ([PortSummary(80, "tcp"), PortSummary(81, "tcp"), PortSummary(53, "udp")], "53/udp, 80-81/tcp"),
        ([PortSummary(80, "tcp", "0.0.0.0", 9000), PortSummary(81, "tcp", "0.0.0.0", 9005)],
         "0.0.0.0:9000->80/tcp, 0.0.0.0:9005->81/tcp"),
    ],
)  # fmt: skip
def test_ports_are_grouped(ports: list[PortSummary], wanted: str) -> None:
    from minidock.cli.ps import ports as shown

    assert shown(ports) == wanted


def test_ps_shows_the_id_of_an_image_without_a_name(engine: Engine) -> None:
    row = summary(image="sha256:" + "d" * 64, host_config=NetworkModeOnly("container:abc"))
    engine.answers["containers"] = [row]
    assert minidock("ps", "--format", "{{.Image}} {{.Networks}}").stdout == "dddddddddddd container\n"


def images_of() -> list[ImageSummary]:
    now = int(time.time())
    one = ImageSummary(
        "sha256:" + "a" * 64, ["bb:1", "host:5000/bb:2"], ["bb@sha256:" + "e" * 64], now - 7200, 1_982_263
    )
    return [one, ImageSummary("sha256:" + "b" * 64, [], [], 0, 0)]


def test_images(engine: Engine) -> None:
    engine.answers["images"] = images_of()
    assert minidock("images").stdout.splitlines() == [
        "REPOSITORY     TAG       IMAGE ID       CREATED       SIZE",
        "bb             1         aaaaaaaaaaaa   2 hours ago   1.98MB",
        "host:5000/bb   2         aaaaaaaaaaaa   2 hours ago   1.98MB",
        "<none>         <none>    bbbbbbbbbbbb   N/A           0B",
    ]
    assert minidock("image", "ls", "-q").stdout == "aaaaaaaaaaaa\naaaaaaaaaaaa\nbbbbbbbbbbbb\n"
    assert minidock("images", "-q", "bb").stdout == "aaaaaaaaaaaa\nbbbbbbbbbbbb\n"  # of an image, the names asked for
    digests = minidock("images", "--digests", "--format", "{{.Digest}}").stdout.splitlines()
    assert digests == ["sha256:" + "e" * 64, "<none>", "<none>"]


def test_images_by_name(engine: Engine) -> None:
    engine.answers["images"] = []
    minidock("images", "-a", "-f", "dangling=true", "bb*")
    assert engine.call("images")[1] == {"all": True, "filters": {"dangling": ["true"], "reference": ["bb*"]}}


def test_rmi(engine: Engine) -> None:
    def remove(name: str, **_: Any) -> list[tuple[str, str]]:
        if name == "nope":
            raise ImageNotFound("nope:latest", hint="")
        return [("Untagged", name), ("Deleted", "sha256:1")]

    engine.answers["remove_image"] = remove
    result = minidock("rmi", "--no-prune", "a:1", "nope")
    assert (result.exit_code, result.stdout) == (1, "Untagged: a:1\nDeleted: sha256:1\n")
    assert result.stderr == "Error: No such image: nope:latest\n"
    assert engine.calls[0][2] == {"force": False, "prune": False}
    assert minidock("rmi", "-f", "nope").exit_code == 0  # it isn't there: what was wished for


def test_tag(engine: Engine) -> None:
    assert minidock("tag", "a", "b:1").exit_code == 0
    assert engine.call("tag") == (("a", "b:1"), {})


# archives


def test_load_from_a_file_and_from_stdin(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"tar")

    def load(source: Any, *, platform: str, say: Callable[[str], None]) -> list[str]:
        say("Loaded image: bb:1")
        return ["Loaded image: bb:1"]

    engine.answers["load"] = load
    result = minidock("load", "-i", str(tmp_path / "x.tar"), "--platform", "linux/arm64")
    assert (result.stdout, result.stderr) == ("Loaded image: bb:1\n", "")
    arguments, keywords = engine.call("load")
    assert arguments == (tmp_path / "x.tar",)
    assert keywords["platform"] == "linux/arm64"
    assert minidock("load", "-q", "-i", str(tmp_path / "x.tar")).stdout == "Loaded image: bb:1\n"


def test_save_appears_whole_or_not_at_all(engine: Engine, tmp_path: Path) -> None:
    def save(names: list[str], out: io.BufferedWriter) -> None:
        out.write(b"archive of " + ",".join(names).encode())
        if "nope" in names:
            raise ImageNotFound("nope")

    engine.answers["save"] = save
    file = tmp_path / "x.tar"
    assert minidock("save", "-o", str(file), "a", "b").exit_code == 0
    assert file.read_bytes() == b"archive of a,b"
    assert file.stat().st_mode & 0o777 == 0o600
    assert minidock("save", "-o", str(file), "nope").exit_code == 1
    assert file.read_bytes() == b"archive of a,b"
    assert os.listdir(tmp_path) == ["x.tar"]
    assert minidock("save", "a").stdout_bytes == b"archive of a"
    assert minidock("save", "-o", str(tmp_path), "a").stderr == "failed to save image: cannot write to a directory\n"


def test_import(engine: Engine, tmp_path: Path) -> None:
    taken = []

    def import_image(file: io.BufferedReader, **keywords: Any) -> str:
        taken.append(file.read())
        return "sha256:1"

    engine.answers["import_image"] = import_image
    (tmp_path / "x.tar").write_bytes(b"tar")
    result = minidock("import", "-c", "CMD x", "-m", "hi", str(tmp_path / "x.tar"), "bb:1")
    assert (result.exit_code, result.stdout, taken) == (0, "sha256:1\n", [b"tar"])
    assert engine.call("import_image")[1] == {
        "reference": "bb:1", "message": "hi", "changes": ["CMD x"], "platform": ""
    }  # fmt: skip
    minidock("import", "-", input=b"from stdin")
    assert taken[1] == b"from stdin"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://[", "invalid ipv6 url"),
        ("http://", "no host given"),
        ("http://a b/x", "url can't contain control characters. 'a b' (found at least ' ')"),
        ("http://x:port/", "nonnumeric port: 'port'"),
        ("http://127.0.0.1:1/\N{LATIN SMALL LETTER E WITH ACUTE}", "'ascii' codec can't encode"),
        (f"http://{'a' * 64}/", "encoding with 'idna' codec failed"),
        ("https://127.0.0.1:1/x", "connection refused"),
    ],
)
def test_an_import_from_no_address_is_one_line(engine: Engine, address: str, reason: str) -> None:
    result = minidock("import", address)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f'Error: Get "{address}": {reason}') and result.stderr.count("\n") == 1
    assert engine.calls == []


@pytest.mark.parametrize(
    ("answer", "begun"),
    [
        (b"SSH-2.0-x\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", True),
    ],
)
def test_an_import_from_what_speaks_no_http_is_one_line(engine: Engine, answer: bytes, begun: bool) -> None:
    from tests.support.odd_answers import answering

    engine.answers["import_image"] = lambda file, **_: file.read(10)
    with answering(answer) as address:
        result = minidock("import", address)
    assert (result.exit_code, result.stdout) == (1, f"Downloading from {address}\n" if begun else "")
    assert result.stderr.startswith(f'Error: Get "{address}": ') and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("place", "told"),
    [("file:///etc/passwd", 'unsupported protocol scheme "file"'), ("ftp://x/y", 'unsupported protocol scheme "ftp"')],
)
def test_an_import_is_led_to_no_other_protocol(engine: Engine, place: str, told: str) -> None:
    from tests.support.odd_answers import answering

    with answering(f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()) as address:
        result = minidock("import", address)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f'Error: Get "{address}": {told}\n'


# the system


def test_version(engine: Engine) -> None:
    engine.answers["version"] = {
        "Version": "1",
        "ApiVersion": "1.44",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": "6",
    }
    result = minidock("version")
    assert " API version:      1.44\n" in result.stdout
    assert minidock("version", "-f", "{{.Server.KernelVersion}}").stdout == "6\n"
    assert minidock("version", "-f", "{{.Foo}}").exit_code == 1
    assert minidock("--version").stdout.startswith("minidock version ")


def test_info(engine: Engine) -> None:
    engine.answers["info"] = {
        "Containers": 2, "ServerVersion": "1", "NCPU": 2, "MemTotal": 25_276_000_000, "Name": "box", "ID": "x",
        "DockerRootDir": "/r", "Plugins": {"Log": ["json-file"]}, "SecurityOptions": ["name=seccomp,profile=builtin"],
        "Warnings": ["no swap"],
    }  # fmt: skip
    result = minidock("info")
    assert " Containers: 2\n" in result.stdout
    assert " Total Memory: 23.54GiB\n" in result.stdout
    assert "  seccomp\n   Profile: builtin\n" in result.stdout
    assert result.stderr == "WARNING: no swap\n"
    assert minidock("system", "info", "--format", "json").stdout.startswith('{"Containers":2')


# the frame


def test_global_options_reach_the_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = []
    monkeypatch.setattr(context, "engine", lambda: seen.append(context.settings()) or Engine())
    minidock("--root", str(tmp_path), "tag", "a", "b")
    minidock("-D", "container", "rm", "a")
    assert [(found.root, found.debug) for found in seen] == [(str(tmp_path), False), ("", True)]


def test_a_traceback_only_for_those_who_ask(engine: Engine) -> None:
    engine.answers["tag"] = KeyError("oops")
    result = minidock("tag", "a", "b")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: a mistake in minidock itself: KeyError: 'oops'")
    assert "Traceback" not in result.stderr
    assert "Traceback" in minidock("-D", "tag", "a", "b").stderr


def test_ctrl_c(engine: Engine) -> None:
    engine.answers["tag"] = KeyboardInterrupt()
    result = minidock("tag", "a", "b")
    assert (result.exit_code, result.output) == (130, "")


def test_errors_of_files_are_one_line(engine: Engine) -> None:
    engine.answers["tag"] = PermissionError(13, "Permission denied", "/var/lib/minidock")
    result = minidock("tag", "a", "b")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: /var/lib/minidock: permission denied")
    assert result.stderr.count("\n") == 1


@pytest.fixture(params=["", "container", "image", "system"])
def noun(request: pytest.FixtureRequest) -> Iterator[tuple[str, Noun]]:
    yield request.param, {"": app, "container": container, "image": image, "system": system}[request.param]


def test_help_says_what_the_commands_say(noun: tuple[str, Noun]) -> None:
    import click

    for name, entry in noun[1].table.items():
        command = noun[1].get_command(click.Context(noun[1]), name)
        assert isinstance(command, Verb | Noun)
        assert command.brief == entry.brief, name


def test_every_command_has_help_with_an_example(noun: tuple[str, Noun]) -> None:
    for name, entry in noun[1].table.items():
        if not entry.section:
            continue
        result = minidock(*filter(None, (noun[0], name)), "--help")
        lines = result.stdout.splitlines()
        assert result.exit_code == 0
        assert lines[0].startswith(
            f"Usage:  minidock {noun[0]} {name}".replace("  ", " ").replace("Usage: ", "Usage:  ")
        )
        assert "Examples:" in lines or "Commands:" in lines, name
        assert max(map(len, lines)) <= 100, name


def test_help_is_grouped(engine: Engine) -> None:
    result = minidock()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    sections = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert sections == ["Common Commands:", "Management Commands:", "Commands:", "Global Options:", "Examples:"]
    assert minidock("--help").stdout == result.stdout == minidock("help").stdout
    assert minidock("help", "container", "ls").stdout == minidock("container", "ls", "--help").stdout
    assert minidock("ps", "-h").stdout == minidock("ps", "--help").stdout
    assert not [flag.name for flag in GLOBAL_FLAGS if flag.refused and f"--{flag.name}" in result.stdout]
    assert all(name in result.stdout for name, entry in TOP.items() if entry.section)


# events


def event() -> Event:
    actor = Actor("c" * 64, {"name": "web", "image": "busybox"})
    nanoseconds = 1795622472_123456789
    return Event(type="container", action="start", actor=actor, scope="local", nanoseconds=nanoseconds)


def test_events_as_lines(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.answers["events"] = [event()]
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert minidock("events").stdout == (
        f"2026-11-25T16:01:12.123456789Z container start {'c' * 64} (image=busybox, name=web)\n"
    )
    monkeypatch.setenv("TZ", "XYZ-5:30")
    time.tzset()
    assert minidock("events").stdout.startswith("2026-11-25T21:31:12.123456789+05:30 container start ")
    monkeypatch.undo()
    time.tzset()


def test_events_hands_times_and_filters_on(engine: Engine) -> None:
    engine.answers["events"] = []
    minidock("events", "--since", "10", "--until", "20.5", "-f", "event=die", "-f", "event=start", "-f", "label=a=b")
    [(_, _, keywords)] = engine.calls
    assert keywords == {"since": 10.0, "until": 20.5, "filters": {"event": ["die", "start"], "label": ["a=b"]}}


def test_events_through_a_template(engine: Engine) -> None:
    engine.answers["events"] = [event()]
    form = "{{.Type}} {{.Actor.Attributes.name}} {{.Scope}} {{.TimeNano}}"
    assert minidock("events", "--format", form).stdout == "container web local 1795622472123456789\n"
    assert minidock("events", "--format", "json").stdout == minidock("events", "--format", "{{json .}}").stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--since", "xx"], 1, 'failed to parse value as time or duration: "xx"'),
        (["--format", "{{.Nope"], 64, "Error parsing format: template: :1: unclosed action"),
        (["-f", "nosuch=1"], 1, "Error: Invalid filter 'nosuch'"),
        (["extra"], 1, "minidock: 'minidock events' accepts no arguments"),
    ],
)
def test_events_that_nobody_can_ask_for(engine: Engine, words: list[str], code: int, message: str) -> None:
    engine.answers["events"] = []
    result = minidock("events", *words)
    assert (result.exit_code, result.stderr.splitlines()[0]) == (code, message)


def test_a_mistake_in_the_template_shows_before_anything_happens(engine: Engine) -> None:
    engine.answers["events"] = []
    result = minidock("events", "--format", "{{.Nope}}")
    assert result.exit_code == 64
    assert "can't evaluate field Nope in type" in result.stderr


# pause, rename, top, port, prune, update, stats


def test_pause_and_unpause_several(engine: Engine) -> None:
    engine.answers["pause"] = gone
    result = minidock("pause", "web", "nope", "db")
    assert (result.exit_code, result.stdout) == (1, "web\ndb\n")
    assert result.stderr == "Error: No such container: nope\n"
    assert minidock("container", "unpause", "web").stdout == "web\n"


def test_rename_tells_what_failed_and_that_it_failed(engine: Engine) -> None:
    assert minidock("rename", "web", "shop").exit_code == 0
    assert engine.call("rename")[0] == ("web", "shop")
    engine.answers["rename"] = ContainerNotFound("web")
    told = "Error: No such container: web\nError: failed to rename container named web\n"
    assert minidock("rename", "web", "shop").stderr == told
    assert minidock("rename", "web", " ").stderr == "Error: Neither old nor new names may be empty\n"


def test_top_hands_the_options_of_ps_on(engine: Engine) -> None:
    engine.answers["top"] = (["PID", "CMD"], [["7", "sleep 100"]])
    assert minidock("top", "web", "-o", "pid,args").stdout == f"{'PID':<20}CMD\n{'7':<20}sleep 100\n"
    assert engine.call("top")[0] == ("web", ["-o", "pid,args"])


def test_port_lists_by_number(engine: Engine) -> None:
    both = [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]
    ports = {"9000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9000"}], "80/tcp": both, "443/tcp": None}
    engine.answers["inspect"] = {"NetworkSettings": {"Ports": ports}}
    shown = "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n9000/tcp -> 127.0.0.1:9000\n"
    assert minidock("port", "web").stdout == shown
    assert minidock("port", "web", "80").stdout == "0.0.0.0:8080\n[::]:8080\n"
    result = minidock("port", "web", "443")
    assert (result.exit_code, result.stderr) == (1, "Error: No public port '443' published for web\n")


@pytest.mark.parametrize(("answer", "goes_on"), [("y\n", True), ("Y\n", True), ("yes\n", False), ("", False)])
def test_prune_asks_first(engine: Engine, answer: str, goes_on: bool) -> None:
    engine.answers["prune_containers"] = ContainersPruned([ID], 1_234_567)
    result = minidock("container", "prune", "--filter", "until=10", input=answer)
    question = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] "
    rest = f"Deleted Containers:\n{ID}\n\nTotal reclaimed space: 1.235MB\n" if goes_on else ""
    assert (result.exit_code, result.stdout) == (0, question + rest)
    assert engine.names() == (["prune_containers"] if goes_on else [])


def test_update_hands_on_what_is_given(engine: Engine) -> None:
    engine.answers["update"] = ["not so sure"]
    result = minidock("update", "-m", "64m", "--cpus", "0.5", "--restart", "on-failure:3", "web", "db")
    assert (result.stdout, result.stderr) == ("web\ndb\n", "not so sure\nnot so sure\n")
    [(_, (name, changes), _), _] = engine.calls
    policy = RestartPolicy("on-failure", 3)
    assert (name, changes) == ("web", {"memory": 64 << 20, "nano_cpus": 500_000_000, "restart_policy": policy})
    result = minidock("update", "web")
    assert (result.exit_code, result.stderr) == (1, "you must provide one or more flags when using this command\n")


def test_stats_names_containers_as_they_were_asked_for(engine: Engine) -> None:
    row = ContainerStats(ID, "web", 1.5, 1 << 20, 4 << 20, 25, 0, 0, 0, 0, 2)
    engine.answers["stats"] = [[row], [row]]
    form = "{{.Container}} {{.ID}} {{.CPUPerc}} {{.MemUsage}}"
    line = f"w {ID[:12]} 1.50% 1MiB / 4MiB\n"
    assert minidock("stats", "--format", form, "w").stdout == line * 2
    assert minidock("stats", "--format", "{{.Container}}").stdout == f"{ID[:12]}\n" * 2


def test_the_kernels_side_for_people_and_programs(engine: Engine) -> None:
    facts = [KernelFact("pid", "7, its own", "ls -l /proc/1/ns"), KernelFact("net", "8", "ls -l /proc/1/ns")]
    engine.answers["kernel_side"] = [KernelSection("Namespaces", "namespaces(7)", "minidock/kernel/x.py", facts)]
    shown = minidock("inspect", "--kernel", "web").stdout
    assert shown == (
        "Namespaces   (man: namespaces(7), code: minidock/kernel/x.py)\n"
        "  $ ls -l /proc/1/ns\n    pid  7, its own\n    net  8\n\n"
    )
    assert minidock("inspect", "--kernel", "-f", "json", "web").stdout.startswith('[{"Title":"Namespaces","Man":')
