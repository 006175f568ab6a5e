"""One promise of the kernel a test: the probe as PID 1 in an otherwise empty root file system says what it sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.instance import Minidock
from tests.support.needs import require_root
from tests.support.probe import Facts, ask

DEFAULT_CAPABILITIES = "00000000a80425fb"
"""Docker's fourteen."""


@pytest.fixture
def box(minidock: Minidock, probe_image: Path) -> Minidock:
    require_root()
    minidock("load", "--quiet", "--input", str(probe_image), check=True)
    return minidock


def test_it_is_process_one_and_leads_its_session(box: Minidock) -> None:
    facts = ask(box, "process")
    assert (facts["pid"], facts["ppid"]) == ("1", "0")
    assert (facts["sid"], facts["pgid"]) == ("1", "1")


def test_nothing_but_three_descriptors_is_open(box: Minidock) -> None:
    facts = ask(box, "fds")
    assert [line.split()[1] for line in facts.lines] == ["0", "1", "2"]


def test_no_signal_is_blocked_or_ignored(box: Minidock) -> None:
    facts = ask(box, "signals")
    assert facts.lines == ["blocked", "ignored"]


def test_host_name(box: Minidock) -> None:
    facts = ask(box, "uts", flags=("--hostname", "given", "--domainname", "example.org"))
    assert (facts["hostname"], facts["domainname"]) == ("given", "example.org")


def test_root_has_dockers_capabilities_and_no_others(box: Minidock) -> None:
    facts = ask(box, "caps")
    assert {facts[kind] for kind in ("bounding", "effective", "permitted")} == {DEFAULT_CAPABILITIES}
    assert facts["inheritable"] == facts["ambient"] == "0" * 16


def test_a_user_has_none_in_effect(box: Minidock) -> None:
    facts = ask(box, "ids", ",", "caps", flags=("--user", "1234:5678"))
    assert (facts["uid"], facts["gid"]) == ("1234 1234 1234", "5678 5678 5678")
    assert facts["effective"] == facts["permitted"] == "0" * 16
    assert facts["bounding"] == DEFAULT_CAPABILITIES


def test_a_filter_is_on_and_privileges_can_be_frozen(box: Minidock) -> None:
    plain, frozen = ask(box, "security"), ask(box, "security", flags=("--security-opt", "no-new-privileges"))
    assert (plain["seccomp"], plain["no_new_privs"]) == ("2", "0")
    assert (frozen["seccomp"], frozen["no_new_privs"]) == ("2", "1")


def test_what_root_may_not_do(box: Minidock) -> None:
    refused = ask(
        box, "mount", "/tmp", ",", "sethostname", "x", ",", "unshare-user", ",", "keyctl", ",", "bpf", ",", "settime"
    )
    assert {line.split()[-1] for line in refused.lines} == {"EPERM"}, refused.lines


def test_devices_may_be_made_and_not_opened(box: Minidock) -> None:
    facts = ask(box, "mknod", "/memory", "1", "1", ",", "mknod", "/zero", "1", "5")
    assert facts.lines == ["mknod /memory OK", "open /memory EPERM", "mknod /zero OK", "open /zero OK"]


def test_parts_of_proc_and_sys_are_shut(box: Minidock) -> None:
    facts = ask(box, "write", "/proc/sys/kernel/hostname", "x", ",", "write", "/sys/x", "x", ",", "cat", "/proc/keys")
    assert facts.lines == ["write /proc/sys/kernel/hostname EROFS", "write /sys/x EROFS"]


def test_a_read_only_root(box: Minidock) -> None:
    facts = ask(box, "write", "/x", "x", ",", "write", "/dev/shm/x", "x", flags=("--read-only",))
    assert facts.lines == ["write /x EROFS", "write /dev/shm/x OK"]


def test_process_limits(box: Minidock) -> None:
    facts = ask(box, "rlimits", flags=("--ulimit", "nofile=100:200", "--ulimit", "core=0"))
    assert "rlimit nofile 100 200" in facts.lines and "rlimit core 0 0" in facts.lines


def test_processes_are_counted(box: Minidock) -> None:
    assert ask(box, "fork", "50", flags=("--pids-limit", "11")).lines == ["fork 10 EAGAIN"]


def test_processors_are_chosen(box: Minidock) -> None:
    assert ask(box, "cpus", flags=("--cpuset-cpus", "0")).lines == ["cpus 0"]


def test_half_a_processor_takes_twice_as_long(box: Minidock) -> None:
    facts = ask(box, "spin", "400", flags=("--cpus", "0.5"))
    assert int(facts["spin"]) > 600


def test_memory_within_the_limit_and_beyond(box: Minidock) -> None:
    flags = ("--memory", "32m", "--memory-swap", "32m")
    assert ask(box, "alloc", "8", flags=flags).lines == ["alloc 8 OK"]
    beyond = box("run", "--rm", "--network", "none", *flags, "probe", "alloc", "100")
    assert beyond.returncode == 137


def test_environment_and_words(box: Minidock) -> None:
    facts = ask(box, "args", ",", "env", flags=("--env", "A=b c", "--hostname", "h"))
    assert facts.lines[:3] == ["argv[0] /probe", "argv[1] args", "argv[2] ,"]
    named = {line.split(" ", 1)[1].partition("=")[0] for line in facts.lines if line.startswith("env ")}
    assert named == {"PATH", "HOSTNAME", "HOME", "A"} and "env A=b c" in facts.lines


def test_without_a_terminal(box: Minidock) -> None:
    assert ask(box, "tty").lines == ["isatty 0 0", "isatty 1 0", "isatty 2 0"]


@pytest.mark.parametrize("flag", ["", "--pid", "--ipc", "--uts", "--network", "--cgroupns"])
def test_namespaces_are_its_own_unless_the_hosts_is_asked_for(box: Minidock, flag: str) -> None:
    inside = _namespaces(ask(box, "namespaces", flags=(f"{flag}=host",) if flag else ()))
    shared = {kind for kind, name in inside.items() if name == str(Path(f"/proc/self/ns/{kind}").readlink())}
    expected = {"--network": "net", "--cgroupns": "cgroup"}.get(flag, flag.removeprefix("--"))
    assert shared == {"user", "time", *([expected] if expected else [])}


def _namespaces(facts: Facts) -> dict[str, str]:
    return {line.split()[1]: line.split()[2] for line in facts.lines}


def test_two_containers_speak_over_the_bridge(box: Minidock) -> None:
    box("run", "--detach", "--name", "server", "probe", "listen-tcp", "7000", check=True)
    address = box("inspect", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "server", check=True)
    answer = ask(box, "connect-tcp", address.stdout.strip(), "7000", flags=("--network", "bridge"))
    assert answer.lines[0].endswith(" OK") and answer.lines[1].startswith("hello from ")


@pytest.mark.parametrize(("words", "code"), [(("exit", "42"), 42), (("exit", "0"), 0), (("nosuch",), 2)])
def test_exit_codes(box: Minidock, words: tuple[str, ...], code: int) -> None:
    assert box("run", "--rm", "--network", "none", "probe", *words).returncode == code
