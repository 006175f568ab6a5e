"""What `build` promises beyond what Docker's classic builder can: heredocs, mounts, secrets, new flags of COPY."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.builds import Build, build, everything_kept, shell
from tests.support.instance import Minidock

__all__ = ["build"]


# Heredocs


def test_heredocs(build: Build, minidock: Minidock) -> None:
    build(
        """FROM busybox
ENV NAME=world
RUN <<EOF
echo one > /script
for i in 2 3; do echo $i >> /script; done
EOF
RUN <<-EOF
\techo "$NAME" > /chomped
\tEOF
RUN <<'END'
#!/bin/busybox sh
echo "$0 $1" > /shebang
END
RUN cat <<A <<B > /several && echo more >> /several
first $NAME
A
second
B
COPY <<plain.txt <<'quoted.txt' /files/
hello ${NAME:-nobody} "quoted" 'single' \\$kept
plain.txt
hello $NAME
quoted.txt
COPY --chmod=755 <<run /bin/own
#!/bin/sh
echo ran
run
"""
    )
    assert shell(minidock, "cat /script") == "one\n2\n3\n"
    assert shell(minidock, "cat /chomped; own") == "world\nran\n"
    assert shell(minidock, "cat /shebang") == "/dev/pipes/END \n"
    assert shell(minidock, "cat /several") == "second\nmore\n"
    assert shell(minidock, "cat /files/plain.txt") == "hello world \"quoted\" 'single' $kept\n"
    assert shell(minidock, "cat /files/quoted.txt; stat -c %a /files/plain.txt") == "hello $NAME\n644\n"


# Mounts


def test_mounts(build: Build, minidock: Minidock) -> None:
    """What a RUN has mounted, it sees; the image has neither it nor the place where it was."""
    build(
        """FROM busybox AS one
RUN mkdir /d && echo from-stage > /d/f && ln -s f /d/l
FROM busybox
RUN --mount=type=bind,target=/ctx cat /ctx/file > /bound && ! touch /ctx/x
RUN --mount=type=bind,source=dir,target=/rw,rw echo new > /rw/made && ls /rw > /listed
RUN --mount=type=bind,from=one,source=/d,target=/m cat /m/l >> /bound
RUN --mount=type=bind,source=file,target=/a/single cat /a/single >> /bound
RUN --mount=type=tmpfs,target=/scratch,size=1m df /scratch | grep -c tmpfs >> /bound && touch /scratch/gone
RUN --mount=target=/ctx ! test -e /ctx/ignored.log
""",
        files={"file": "from-context\n", "dir/inside": "", "ignored.log": "x", ".dockerignore": "*.log\n"},
    )
    assert shell(minidock, "cat /bound") == "from-context\nfrom-stage\nfrom-context\n1\n"
    assert shell(minidock, "cat /listed") == "inside\nmade\n"
    assert shell(minidock, "ls -d /ctx /rw /m /a /scratch 2>/dev/null || true") == ""


def test_what_is_bound_of_a_context_is_roots(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """As what is copied is: a program that looks at owners (git does) sees the same in every build."""
    (tmp_path / "context" / "of-mine").write_text("")
    os.chown(tmp_path / "context" / "of-mine", 1000, 1000)
    build("FROM busybox\nRUN --mount=target=/c stat -c '%u %g' /c /c/of-mine > /seen\n")
    assert shell(minidock, "cat /seen") == "0 0\n0 0\n"


# COPY and ADD


def test_an_instance_in_its_own_context_is_no_part_of_it(
    minidock: Minidock, tmp_path: Path, busybox_image: Path
) -> None:
    """It would be copied into itself for ever."""
    minidock("load", "-q", "-i", str(busybox_image), check=True)
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY . /c\nRUN --mount=target=/m,rw ls /c /m > /seen\n")
    assert minidock.layout.root.parent == tmp_path
    minidock("build", "-t", "out", str(tmp_path), check=True)
    seen = shell(minidock, "cat /seen").split()
    assert "Dockerfile" in seen and minidock.layout.root.name not in seen


def test_copy_parents_exclude_link_chmod(build: Build, minidock: Minidock) -> None:
    build(
        """FROM busybox
COPY --parents a/b/one.txt a/c /p/
COPY --parents a/./b/one.txt /pivot/
COPY --exclude=*.log --exclude=deep/gone a /x/
COPY --exclude=*.md w*.* /w/
COPY --chmod=u=rwX,go=rX a/b /m
RUN ln -s /elsewhere /link && mkdir /elsewhere
COPY --link a/b/one.txt /link/
""",
        files={
            **dict.fromkeys(("a/b/one.txt", "a/c/two", "a/x.log", "a/deep/gone/y", "a/deep/kept"), "x"),
            "w1.txt": "",
            "w2.md": "",
        },
    )
    assert shell(minidock, "cd /p && find . -type f | sort") == "./a/b/one.txt\n./a/c/two\n"
    assert shell(minidock, "cd /pivot && find . -type f") == "./b/one.txt\n"
    assert shell(minidock, "cd /x && find . -type f | sort") == "./b/one.txt\n./c/two\n./deep/kept\n"
    assert shell(minidock, "ls /w; stat -c %a /m /m/one.txt") == "w1.txt\n755\n644\n"
    assert shell(minidock, "test -L /link || ls /link; ls /elsewhere") == "one.txt\n"


def test_nothing_comes_from_outside_the_context(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """By `..`, by symlinks in the context, by symlinks in its directories: all stay inside."""
    (tmp_path / "outside").write_text("secret-of-the-host")
    context = tmp_path / "context"
    (context / "up").symlink_to("../outside")
    (context / "absolute").symlink_to(tmp_path / "outside")
    (context / "dir").symlink_to("..")
    for source in ("../outside", "/../../outside", "up", "absolute", "dir/outside", "x/../../outside"):
        told = build(f"FROM busybox\nCOPY {source} /taken\n", check=False)
        assert told.returncode == 1 and "file not found" in told.stderr, (source, told.stderr)
        assert re.search(r"\| +\^", told.stderr)
    build("FROM busybox\nCOPY / /all/\n")
    assert shell(minidock, "readlink /all/up") == "../outside\n"
    assert b"secret-of-the-host" not in everything_kept(minidock)


def test_a_stage_leads_nowhere_else(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """Symlinks in an image are followed inside of it, not on the host."""
    (tmp_path / "host").write_text("of the host")
    build(
        f"""FROM busybox AS bad
RUN mkdir -p {tmp_path} && echo of the image > {tmp_path}/host && ln -s {tmp_path} /way && ln -s ../../../../way /more
FROM busybox
COPY --from=bad /more/host /taken
"""
    )
    assert shell(minidock, "cat /taken") == "of the image\n"


def test_missing_sources(build: Build, tmp_path: Path) -> None:
    told = build("FROM busybox\nRUN true\nCOPY hello nosuch /x/\n", files={"hello": ""}, check=False)
    assert "COPY failed: nosuch: file not found" in told.stderr
    assert "   3 | >>> COPY hello nosuch /x/\n     |                ^~~~~~" in told.stderr
    assert "ERROR: failed to build: failed to solve: COPY failed" in told.stderr
    (tmp_path / "context" / "broken").symlink_to("nowhere")
    told = build("FROM busybox\nCOPY broken /x\n", check=False)
    assert "broken: file not found (it is a symbolic link that leads nowhere in the context)" in told.stderr
    told = build("FROM busybox\nCOPY gone /x\n", files={"gone": "", ".dockerignore": "gone"}, check=False)
    assert ".dockerignore leaves it out" in told.stderr
    told = build("FROM busybox\nCOPY --from=nosuch:1 a /x\n", check=False)
    assert told.returncode == 1 and "nosuch:1: " in told.stderr.splitlines()[-1]
    for mount, why in (("source=nosuch", "expected a path"), ("from=busybox,source=/nosuch", "/nosuch")):
        told = build(f"FROM busybox\nRUN --mount={mount},target=/x true\n", check=False)
        assert "failed to solve: RUN --mount failed: " in told.stderr and why in told.stderr.splitlines()[-1]


# Failures


def test_failing_run(build: Build, minidock: Minidock) -> None:
    """Its exit code, the line with a caret, its last words; no image, no container, and what came before is cached."""
    dockerfile = "FROM busybox\nRUN echo before\nARG A=1\nRUN echo some words; exit 7\n"
    told = build(dockerfile, check=False)
    assert told.returncode == 1
    assert re.search(r" > \[3/3\] RUN echo some words; exit 7:\n\d+\.\d+ some words\n------", told.stderr)
    assert "   4 | >>> RUN echo some words; exit 7\n     |         ^" in told.stderr
    said = 'process "/bin/sh -c echo some words; exit 7" did not complete successfully: exit code: 7'
    assert re.search(rf"^#\d+ ERROR: {re.escape(said)}$", told.stderr, re.MULTILINE)
    assert told.stderr.rstrip().endswith(f"ERROR: failed to build: failed to solve: {said}")
    assert minidock("images", "-q", "out").stdout == "" and minidock("ps", "-aq").stdout == ""
    assert not list((minidock.layout.root / "builds").iterdir())
    again = build(dockerfile, check=False)
    assert re.search(r"RUN echo before\n#\d+ CACHED", again.stderr)


@pytest.mark.parametrize(
    ("dockerfile", "said"),
    [
        ('FROM busybox\nRUN ["nosuch"]\n', 'exec: "nosuch": executable file not found'),
        ("FROM busybox\nUSER nosuch\nRUN id\n", "unable to find user nosuch"),
        ("FROM busybox\nCOPY --chown=nosuch Dockerfile /x\n", "unable to find user nosuch"),
        ("FROM busybox\nCOPY --chmod=9 Dockerfile /x\n", "invalid chmod parameter: '9'"),
        ("FROM busybox\nCOPY Dockerfile /etc/passwd/x\n", "cannot copy to non-directory: /etc/passwd"),
        ("FROM busybox\nCOPY . /etc/passwd\n", "cannot copy to non-directory: /etc/passwd"),
        ("FROM busybox\nEXPOSE many\n", "Invalid containerPort: many"),
        ("FROM busybox\nSTOPSIGNAL loud\n", "Invalid signal: loud"),
        ("FROM busybox\nENV A=${B:?is missing}\n", "can't find = in"),
        ("FROM busybox\nENV A=${B:?missing}\n", "B: missing"),
        ("FROM nosuchimage:1\n", "failed to solve: nosuchimage:1: "),
        ("FROM UPPER\n", "must be lowercase"),
        (
            "FROM busybox\nADD --checksum=sha256:0 Dockerfile /x\n",
            "--checksum is for addresses and git repositories only",
        ),
        ("FROM busybox\nADD http://127.0.0.1:1/x /x\n", "failed to load http://127.0.0.1:1/x"),
    ],
)
def test_impossible(build: Build, minidock: Minidock, dockerfile: str, said: str) -> None:
    told = build(dockerfile, check=False)
    assert told.returncode == 1 and said in told.stderr and "Traceback" not in told.stderr
    assert minidock("ps", "-aq").stdout == ""


def test_out_of_memory_is_told(build: Build) -> None:
    told = build("FROM busybox\nRUN head -c 60m /dev/zero > /dev/shm/x\n", "--memory", "16m", check=False)
    assert told.returncode == 1 and "exit code: 137" in told.stderr and "memory" in told.stderr.splitlines()[-1]


# What RUN is run with


def test_limits_and_network(build: Build, minidock: Minidock) -> None:
    build(
        "FROM busybox\nRUN ulimit -n > /n; df -k /dev/shm | tail -1 > /shm; grep friend /etc/hosts > /hosts\n"
        "RUN --network=none ip link | grep -c LOOPBACK > /links\nRUN --network=none ls /sys/class/net > /nets\n",
        *("--ulimit", "nofile=77:88", "--shm-size", "8m", "--add-host", "friend:10.9.8.7", "--network", "host"),
    )
    assert shell(minidock, "cat /n /hosts; grep -c 8192 /shm; cat /links") == "77\n10.9.8.7\tfriend\n1\n1\n"
    assert shell(minidock, "cat /nets") == "lo\n"


def test_explain(build: Build) -> None:
    """The steps of each RUN's container, as `run --explain` tells them."""
    told = build("FROM busybox\nRUN true\n", "--explain")
    assert len(re.findall(r"^\[ *\d+\] +[\d.]+ ms  ", told.stderr, flags=re.MULTILINE)) > 20
    assert "mount a new proc at /proc" in told.stderr


def test_build_containers_are_nobodys_business(build: Build, minidock: Minidock) -> None:
    build("FROM busybox\nRUN true\n")
    events = minidock("events", "--since", "1", "--until", "0s", check=True).stdout
    assert not [line for line in events.splitlines() if " container " in line]
    assert [line for line in events.splitlines() if " image tag " in line and "name=out:latest" in line]
    assert minidock("ps", "-aq").stdout == "" and os.listdir(minidock.layout.containers) == []
