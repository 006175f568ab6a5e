"""build --dry-run and --as-shell: told and not done, and the script makes the same tree by mount, unshare and tar."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.image.store import ImageStore
from tests.support import buildcontext
from tests.support.buildlooks import config_of, differences, tree_of
from tests.support.builds import everything_kept
from tests.support.instance import Minidock
from tests.support.needs import require_root

DOCKERFILE = """\
FROM busybox AS tools
RUN mkdir -p /out/sub && echo made > /out/made && chown 3:4 /out/made && chmod 4751 /out/made && ln -s made /out/link
FROM busybox
ENV A=1 B="two words" C='$A'
LABEL "odd name"="$A\\"" other=x
RUN rm /etc/passwd && echo gone > /was && mkdir /real /old && touch /old/x && ln -s /real /way
RUN rm -r /old && mkdir /old && touch /old/y && echo "staff:x:50:" > /etc/group
RUN echo "me:x:7:8::/home/me:/bin/sh" > /etc/passwd
WORKDIR /w/deep
COPY hello.txt /way/
COPY --chown=me:staff --chmod=u+x tree ./tree
COPY h*.txt nosuch* modes/private ignoring several/
COPY modes /modes
COPY links /links
COPY --from=tools /out /in
COPY --from=tools --chown=5 /out/m* /file
COPY <<EOF <<'RAW' /here/
$A "$B"
EOF
$A
RAW
ADD plain.tar packed.tar.gz /unpacked/
RUN --mount=type=bind,source=tree,target=/t,rw --mount=type=tmpfs,target=/m --mount=type=secret,id=s \\
    echo x > /t/x && cp /t/x /m/x && cp -r /m /kept && cat /run/secrets/s > /seen
RUN --mount=from=tools,source=/out,target=/o --mount=type=cache,target=/c cp /o/made /c/ && cp /c/made /from-cache
USER me
WORKDIR /mine
RUN id -u > who; id -g >> who; echo "$HOME $B $C" >> who; pwd >> who; env | cut -d = -f 1 | sort >> who
RUN <<EOF
#!/bin/sh
echo "by $A" > heredoc
EOF
EXPOSE 80
ENTRYPOINT ["top", "$A"]
CMD -d 1
"""


@pytest.fixture
def context(minidock: Minidock, busybox_image: Path, tmp_path: Path) -> Iterator[Path]:
    require_root()
    minidock("load", "-q", "-i", str(busybox_image), check=True)
    made = buildcontext.make(tmp_path / "context")
    (made / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "secret").write_text("hidden\n")
    yield made


def options(context: Path) -> list[str]:
    return ["--secret", f"id=s,src={context.parent / 'secret'}", str(context)]


def test_the_script_makes_the_same_tree(minidock: Minidock, context: Path, tmp_path: Path) -> None:
    minidock("build", "-q", "-t", "built", *options(context), check=True, timeout=120)
    script = tmp_path / "by-hand.sh"
    script.write_text(minidock("build", "--as-shell", *options(context), check=True).stdout)
    place = tmp_path / "work"
    done = subprocess.run(["sh", str(script), str(place)], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [importing] = re.findall(r"^# minidock import (.*) rootfs\.tar NAME$", script.read_text(), flags=re.MULTILINE)
    command = " ".join([*minidock.command, "import", importing, f"{place}/rootfs.tar", "by-hand"])
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    store = ImageStore(minidock.layout)
    built, made = store.find("built"), store.find("by-hand")
    trees = [tree_of(store, image) for image in (built, made)]
    assert not differences("minidock", *trees)
    assert "mine/who" in trees[0] and trees[0]["in/made"].startswith("104751 3:4")
    assert config_of(made) == config_of(built)
    assert "by-hand" not in Path("/proc/self/mountinfo").read_text()


def test_a_dry_run_says_what_is_cached(minidock: Minidock, context: Path) -> None:
    """And writes nothing, nor makes an entry of the cache younger."""
    first = minidock("build", "--dry-run", *options(context), check=True).stdout
    assert "RUN mkdir -p /out/sub" in first and "not in the cache: would be done" in first
    minidock("build", "-q", *options(context), check=True, timeout=120)
    (context / "hello.txt").write_text("changed\n")
    cache = minidock.layout.images / "build-cache"
    before = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    kept = everything_kept(minidock)
    told = minidock("build", "--dry-run", *options(context), check=True).stdout
    fate = "(?:in the cache|not in the cache|would be done|changes).*"
    fates = dict(re.findall(rf"^ +\d+\. (\S+ \S+).*?: ({fate})$", told, flags=re.MULTILINE))
    assert fates["RUN rm"].startswith("in the cache, sha256:")
    assert fates["COPY hello.txt"] == "not in the cache: would be done"
    assert fates["COPY modes"].startswith("would be done, unless")
    assert fates["ENV A=1"] == "changes the configuration only"
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == before
    assert everything_kept(minidock) == kept
    assert minidock("ps", "-aq", check=True).stdout == "" and os.listdir(minidock.layout.images / "tmp") == []


@pytest.mark.parametrize(
    ("dockerfile", "code", "said"),
    [
        ("FROM nosuch:1\nRUN x\n", 1, "nosuch:1 isn't here"),
        ("FROM busybox\nCOPY nosuch /\n", 1, "nosuch: file not found"),
        ("FROM busybox\nCOPY --parents tree/one /\n", 1, "a script has no words for COPY --parents"),
        ("FROM busybox\nRUNN x\n", 1, "unknown instruction: RUNN"),
    ],
)
def test_what_has_no_script(minidock: Minidock, context: Path, dockerfile: str, code: int, said: str) -> None:
    (context / "Dockerfile").write_text(dockerfile)
    told = minidock("build", "--as-shell", str(context))
    assert told.returncode == code and said in told.stderr and told.stdout == ""
    assert "Traceback" not in told.stderr
