"""The cache, stages beside each other, contexts, and what comes out of a build."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from minidock.engine import Engine
from tests.support.builds import Build, build, cached, inspect, shell
from tests.support.images import docker_archive
from tests.support.instance import Minidock

__all__ = ["build"]

CACHED = "FROM busybox\nARG A=1\nRUN echo one\nCOPY file /file\nRUN echo $A > /a\n"


def test_cache(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """Docker's rules: the instruction and its parent; of COPY the files, but not their times."""
    first = build(CACHED, files={"file": "1"})
    assert cached(first) == ["1"]
    identity = inspect(minidock)["Id"]
    os.utime(tmp_path / "context" / "file", (1, 1))
    again = build(CACHED)
    assert cached(again) == ["1", "2", "3", "4"] and inspect(minidock)["Id"] == identity
    assert cached(build(CACHED, files={"file": "2"})) == ["1", "2"]
    (tmp_path / "context" / "file").chmod(0o600)
    assert cached(build(CACHED)) == ["1", "2"]
    # RUN sees A; but what it made is the same, and so is what COPY builds on.
    assert cached(build(CACHED, "--build-arg", "A=2")) == ["1", "3"]
    assert cached(build(CACHED, "--no-cache")) == ["1"]
    assert cached(build(CACHED)) == ["1", "2", "3", "4"]


def test_no_cache_filter(build: Build) -> None:
    dockerfile = "FROM busybox AS one\nRUN echo 1 > /1\nFROM busybox AS two\nRUN echo 2\nCOPY --from=one /1 /1\n"
    build(dockerfile)
    told = build(dockerfile, "--no-cache-filter", "one")
    assert re.search(r"\[one 2/2\] RUN echo 1 > /1\n(#\d+ .*\n)*#\d+ DONE", told.stderr)
    assert re.search(r"\[two 2/3\] RUN echo 2\n(#\d+ .*\n)*#\d+ CACHED", told.stderr)


def test_cache_outlives_the_image(build: Build, minidock: Minidock) -> None:
    build(CACHED, files={"file": "1"})
    minidock("rmi", "out", check=True)
    assert cached(build(CACHED)) == ["1", "2", "3", "4"]


def test_prune(build: Build, minidock: Minidock) -> None:
    build(CACHED, files={"file": "1" * 5000})
    minidock("rmi", "out", check=True)
    kept = minidock("builder", "prune", "-f", "--filter", "until=24h", check=True)
    assert kept.stdout == "Total reclaimed space: 0B\n"
    told = minidock("builder", "prune", input="n\n")
    assert "Are you sure you want to continue? [y/N]" in told.stdout and len(told.stdout.splitlines()) == 1
    assert sum(row.size for row in Engine(minidock.layout).build_cache()) >= 5000
    told = minidock("builder", "prune", "-af", check=True)
    assert told.stdout.startswith("Deleted build cache objects:\n")
    assert float(re.search(r"Total reclaimed space: ([\d.]+)kB", told.stdout)[1]) > 5  # type: ignore[index]
    assert not list((minidock.layout.images / "build-cache").iterdir())
    assert cached(build(CACHED)) == ["1"]


def test_the_system_counts_the_cache_and_prunes_it_with_the_rest(build: Build, minidock: Minidock) -> None:
    build(CACHED, files={"file": "1" * 5000})
    minidock("rmi", "out", check=True)
    minidock("network", "create", "lonely", check=True)
    size = minidock("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}", check=True).stdout.splitlines()[
        -1
    ]
    assert re.fullmatch(r"Build Cache [4-9] (\d+\.?\d*kB)", size)
    assert (
        minidock("system", "prune", "-f", "--filter", "until=24h", check=True).stdout == "Total reclaimed space: 0B\n"
    )
    assert minidock("network", "prune", "-f", "--filter", "until=24h", check=True).stdout == ""
    told = minidock("system", "prune", "-af", check=True).stdout
    assert "Deleted Networks:\nlonely\n" in told and "Deleted build cache objects:\n" in told
    assert minidock("system", "df", "--format", "{{.Size}}", check=True).stdout.splitlines()[-1] == "0B"


def test_prune_leaves_what_images_have(build: Build, minidock: Minidock) -> None:
    build(CACHED, files={"file": "1"})
    minidock("builder", "prune", "-f", check=True)
    assert cached(build(CACHED)) == ["1", "2", "3", "4"]
    minidock("builder", "prune", "-af", check=True)
    assert shell(minidock, "cat /a") == "1\n"


def test_cache_mount_lasts(build: Build, minidock: Minidock) -> None:
    dockerfile = """FROM busybox
ARG N
RUN --mount=type=cache,target=/c,id=mine,uid=7 echo $N >> /c/all && cp /c/all /all && stat -c %u /c > /owner
"""
    build(dockerfile, "--build-arg", "N=1")
    build(dockerfile, "--build-arg", "N=2")
    assert shell(minidock, "cat /all /owner; ls / | grep -c '^c$' || true") == "1\n2\n7\n0\n"
    mounts = [row for row in Engine(minidock.layout).build_cache() if row.type == "exec.cachemount"]
    assert [(row.description, row.size) for row in mounts] == [("cached mount mine", 4)]
    minidock("builder", "prune", "-af", check=True)
    build(dockerfile, "--build-arg", "N=3")
    assert shell(minidock, "cat /all") == "3\n"


def test_cache_of_an_image(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """--cache-to inline writes keys into the history; an image that was built elsewhere then serves as cache."""
    build(CACHED, "--cache-to", "type=inline", files={"file": "1"})
    archive = tmp_path / "out.tar"
    minidock("save", "-o", str(archive), "out", check=True)
    minidock("rmi", "out", check=True)
    minidock("builder", "prune", "-af", check=True)
    minidock("load", "-i", str(archive), check=True)
    assert cached(build(CACHED)) == ["1"]
    minidock("builder", "prune", "-af", check=True)
    minidock("load", "-i", str(archive), check=True)
    assert cached(build(CACHED, "--cache-from", "out", "--cache-from", "nosuch:9")) == ["1", "2", "3", "4"]


# What comes out


def test_reproducible(build: Build, minidock: Minidock) -> None:
    """The same bytes, and so the same id, at any time: with SOURCE_DATE_EPOCH."""
    dockerfile = "FROM busybox\nRUN echo $RANDOM > /dev/null; mkdir /d; touch /d/x\nCOPY file /f\nWORKDIR /w\n"
    ids = set()
    given = ("--build-arg", "SOURCE_DATE_EPOCH=1600000000")
    for options, env in (((), {"SOURCE_DATE_EPOCH": "1600000000"}), (given, {})):
        told = build(dockerfile, "--no-cache", *options, files={"file": "1"}, env=env)
        assert "not consumed" not in told.stderr
        ids.add(inspect(minidock)["Id"])
    assert len(ids) == 1 and inspect(minidock)["Created"] == "2020-09-13T12:26:40Z"
    assert shell(minidock, "stat -c %Y /d/x /f /w") == "1600000000\n" * 3


def test_files(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    told = build("FROM busybox\n", "-q", "--iidfile", str(tmp_path / "iid"), "--metadata-file", str(tmp_path / "meta"))
    identity = inspect(minidock)["Id"]
    assert told.stdout == f"{identity}\n" and told.stderr == "" and (tmp_path / "iid").read_text() == identity
    meta = json.loads((tmp_path / "meta").read_text())
    assert meta["containerimage.config.digest"] == identity and meta["image.name"] == "docker.io/library/out:latest"


def test_outputs(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    dockerfile = """FROM busybox AS b
RUN mkdir /o && echo made > /o/f && ln -s f /o/l && chown 5:5 /o/f
FROM scratch
COPY --from=b /o /o
"""
    archives = {kind: tmp_path / f"{kind}.tar" for kind in ("tar", "oci", "docker")}
    options = [word for kind, path in archives.items() for word in ("-o", f"type={kind},dest={path}")]
    build(dockerfile, "-o", str(tmp_path / "local"), *options)
    assert (tmp_path / "local/o/f").read_text() == "made\n" and os.readlink(tmp_path / "local/o/l") == "f"
    assert (tmp_path / "local/o/f").stat().st_uid == os.geteuid()
    with tarfile.open(archives["tar"]) as tar:
        assert sorted(tar.getnames()) == ["o", "o/f", "o/l"] and tar.getmember("o/f").uid == 5
    with tarfile.open(archives["oci"]) as tar:
        assert {"index.json", "oci-layout"} <= set(tar.getnames())
    minidock("rmi", "out", check=True)
    assert "Loaded image: out:latest" in minidock("load", "-i", str(archives["docker"]), check=True).stdout
    refused = build("FROM scratch\nCOPY --from=busybox /bin/sh /\n", "-o", "type=tar,dest=/nosuch/x", check=False)
    assert refused.stderr.splitlines()[-1].endswith("can't write an archive to /nosuch/x: no such file or directory")


def test_flags_that_ask_for_what_happens_anyway(build: Build, minidock: Minidock) -> None:
    """Scripts give them so that Docker makes a plain image."""
    none = ("--provenance=false", "--sbom=false", "--attest", "type=provenance,disabled=true", "--load")
    build("FROM busybox\nLABEL a=1\n", *none, "--builder", "default", "--isolation", "default", "--call=build")
    assert inspect(minidock)["Config"]["Labels"] == {"a": "1"}


def test_squash(build: Build, minidock: Minidock) -> None:
    build("FROM busybox\nRUN echo 1 > /1\nRUN rm /1; echo 2 > /2\n", "--squash")
    assert len(inspect(minidock)["RootFS"]["Layers"]) == 1
    assert shell(minidock, "ls /1 /2 2>/dev/null || true") == "/2\n"


def test_a_large_layer(build: Build, minidock: Minidock) -> None:
    """It takes longer to file than its container's shim waits before it cleans up."""
    build("FROM busybox\nRUN i=0; while test $i -lt 200; do head -c 300000 /dev/urandom > /f$i; i=$((i+1)); done\n")
    assert shell(minidock, "cat /f* | wc -c; ls /f* | wc -l") == "60000000\n200\n"


def layers(count: int) -> str:
    """A Dockerfile of that many layers with the base's one."""
    return "FROM busybox\n" + "".join(f"COPY file /f{number}\n" for number in range(count - 1))


def test_many_layers(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """127: more than Docker makes (125). It runs, is saved and loaded, and a RUN on top sees them all."""
    build(layers(126) + "RUN ls /f* | wc -l > /count\n", files={"file": "x"})
    assert len(inspect(minidock)["RootFS"]["Layers"]) == 127
    assert shell(minidock, "cat /count; ls /f* | wc -l") == "125\n125\n"
    archive = str(tmp_path / "many.tar")
    minidock("save", "-o", archive, "out", check=True)
    minidock("rmi", "out", check=True)
    minidock("load", "-i", archive, check=True)
    assert shell(minidock, "touch /f0/x || rm /f7; ls /f* | wc -l") == "124\n"


def test_too_many_layers(build: Build, minidock: Minidock) -> None:
    """The 128th is refused in Docker's words, where it stands; instructions without a layer are no matter."""
    build(layers(127) + "ENV A=1\nRUN true\nCMD x\n", files={"file": "x"})
    told = build(layers(128), check=False)
    assert told.returncode == 1 and " 128 | >>> COPY file /f126" in told.stderr
    assert "failed to solve: max depth exceeded (an image has at most 127 layers" in told.stderr
    again = build(layers(127) + "COPY --link file /f126\n", check=False)
    assert again.returncode == 1 and "max depth exceeded" in again.stderr


def test_an_image_with_more_layers_than_a_mount_takes(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """Somebody else has made it: it is kept, and what can't be done with it is told in one line."""
    tars = []
    for number in range(300):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            tar.addfile(tarfile.TarInfo(f"f{number}"))
        tars.append(raw.getvalue())
    archive = docker_archive(tmp_path / "deep.tar", "deep:latest", tars, {"Cmd": ["/f0"]})
    minidock("load", "-i", str(archive), check=True)
    told = minidock("run", "--rm", "deep")
    assert told.returncode == 125 and "max depth exceeded" in told.stderr
    assert len(told.stderr.splitlines()[0]) < 250


def test_check(build: Build, minidock: Minidock) -> None:
    told = build("FROM busybox\nCMD echo hi\n", "--check", check=False)
    assert told.returncode == 1 and told.stdout.startswith("Check complete, 1 warning has been found!")
    assert "WARNING: JSONArgsRecommended" in told.stdout and "   2 | >>> CMD echo hi" in told.stdout
    assert build("FROM busybox\nCMD echo hi\n", "--call=check", check=False).stdout == told.stdout
    fine = build('FROM busybox\nCMD ["x"]\n', "--check")
    assert fine.stdout == "Check complete, no warnings found.\n" and minidock("images", "-q", "out").stdout == ""


def test_warnings(build: Build) -> None:
    told = build("FROM busybox\nCMD x\n", "--build-arg", "NOBODY=1")
    assert "One or more build-args [NOBODY] were not consumed" in told.stderr
    assert " - JSONArgsRecommended: JSON arguments recommended for CMD" in told.stderr


def test_findings_that_count_as_errors(build: Build, minidock: Minidock) -> None:
    """By the Dockerfile's directive, or by a build argument that goes before it; nothing is built then."""
    strict = "# check=error=true\nFROM busybox\nRUN echo 1\nCMD echo hi\n"
    told = build(strict, check=False)
    assert told.returncode == 1 and "RUN echo 1\n#" not in told.stderr and "   4 | >>> CMD echo hi" in told.stderr
    assert told.stderr.rstrip().endswith("failed to solve: lint violation found for rules: JSONArgsRecommended")
    told = build(strict, "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=all")
    assert "warning" not in told.stderr.lower()
    plain = strict.partition("\n")[2]
    told = build(plain, "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true", check=False)
    assert told.returncode == 1 and "lint violation" in told.stderr


# Stages


def test_parallel_stages(build: Build, minidock: Minidock) -> None:
    """Each waits for the other over a cache mount: one after the other they would never end."""
    meet = "touch /m/{0}; i=0; until test -e /m/{1}; do i=$((i+1)); test $i -lt 300 || exit 9; sleep 0.1; done"
    build(
        f"""FROM busybox AS a
RUN --mount=type=cache,id=m,target=/m {meet.format("a", "b")}; echo a > /a
FROM busybox AS b
RUN --mount=type=cache,id=m,target=/m {meet.format("b", "a")}; echo b > /b
FROM busybox AS unused
RUN exit 5
FROM scratch
COPY --from=a /a /
COPY --from=b /b /
COPY --from=busybox /bin /bin
"""
    )
    assert shell(minidock, "cat /a /b") == "a\nb\n"


def test_one_failing_stage_stops_the_others(build: Build, minidock: Minidock) -> None:
    told = build(
        "FROM busybox AS slow\nRUN sleep 1000\nFROM busybox AS bad\nRUN sleep 1; exit 4\n"
        "FROM busybox\nCOPY --from=slow /x /\nCOPY --from=bad /x /\n",
        check=False,
    )
    assert told.returncode == 1 and "exit code: 4" in told.stderr
    assert os.listdir(minidock.layout.containers) == [] and os.listdir(minidock.layout.root / "builds") == []


def test_builds_beside_each_other(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """Several builds of the same things at once: one cache, no harm."""
    build("FROM busybox\n", files={"file": "x", "Dockerfile": "FROM busybox\n"})
    (tmp_path / "context" / "Dockerfile").write_text("FROM busybox\nCOPY file /f\nRUN echo x > /x\nWORKDIR /w\n")
    context = str(tmp_path / "context")
    running = [
        minidock.popen("build", "-q", "--no-cache", "-t", f"out{number}", context, stdout=subprocess.PIPE)
        for number in range(4)
    ]
    ids = [process.communicate(timeout=60)[0].decode().strip() for process in running]
    assert [process.returncode for process in running] == [0] * 4 and all(ids)
    assert shell(minidock, "cat /x", "out2") == "x\n"


# Contexts of other kinds


def test_dockerfile_on_stdin(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    minidock("build", "-t", "out", "-", input="FROM busybox\nRUN echo x > /x\n", check=True)
    assert shell(minidock, "cat /x") == "x\n"
    (tmp_path / "context" / "file").write_text("from the directory")
    context = str(tmp_path / "context")
    minidock("build", "-t", "out", "-f", "-", context, input="FROM busybox\nCOPY file /f\n", check=True)
    assert shell(minidock, "cat /f") == "from the directory"
    assert "can't use stdin for both" in minidock("build", "-f", "-", "-", input="FROM x").stderr
    assert "cannot be empty" in minidock("build", "-", input="").stderr


@pytest.mark.parametrize("packing", ["", "gz", "bz2", "xz"])
def test_tar_context(build: Build, minidock: Minidock, packing: str) -> None:
    """A name that would be a whiteout in a layer is a name like any other here."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode=f"w:{packing}") as tar:  # type: ignore[call-overload]
        for name, text in (("sub/My.Dockerfile", "FROM busybox\nCOPY . /c/\n"), ("odd.wh.x", "1"), ("d/x", "2")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    command = [*minidock.command, "build", "-q", "-t", "out", "-f", "sub/My.Dockerfile", "-"]
    subprocess.run(command, input=raw.getvalue(), check=True, capture_output=True)
    assert shell(minidock, "cat /c/odd.wh.x /c/d/x") == "12"


def test_own_ignore_file(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """NAME.dockerignore beside the Dockerfile goes before the context's."""
    files = {"a": "", "b": "", ".dockerignore": "a\n", "Special.dockerignore": "b\nSpecial*\n.dockerignore\n"}
    build("FROM busybox\n", files={**files, "Special": "FROM busybox\nCOPY . /c/\n"})
    build("FROM busybox\n", "-f", str(tmp_path / "context" / "Special"))
    assert shell(minidock, "ls -A /c") == "Dockerfile\na\n"


def test_missing_contexts(minidock: Minidock, tmp_path: Path) -> None:
    for words, said in (
        ([str(tmp_path / "nosuch")], 'unable to prepare context: path "'),
        ([str(tmp_path)], "failed to read dockerfile: open Dockerfile: no such file or directory"),
        (["-f", "nosuch", str(tmp_path)], "failed to read dockerfile: open nosuch: no such file or directory"),
        (["-q", "prune"], "the build cache is emptied by: minidock builder prune"),
        ([], "requires 1 argument"),
        (["--provenance=true", "."], "minidock writes images without provenance and SBOM"),
        (["--attest", "type=sbom", "."], "minidock writes images without provenance and SBOM"),
        (["--sbom", "generator=x", "."], "minidock writes images without provenance and SBOM"),
        (["--builder", "other", "."], "minidock has none but default"),
        (["--call", "outline", "."], 'method "outline" is not supported'),
    ):
        told = minidock("build", *words)
        assert told.returncode in (1, 125) and said in told.stderr
