"""Every command, on this host's instance and by -H on a daemon's: the same output, errors and exit codes.

One line of shell a command, run in this order by both on instances that begin alike. What can't be the same has its
reason in HERE. The table in docs/remote.md is made of both.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minidock.cli.described import pages
from minidock.paths import Layout
from tests.conftest import Minidock, require_root
from tests.support import registry
from tests.support.api import serving
from tests.support.instance import COMMAND

PAGE = Path(__file__).resolve().parents[2] / "docs" / "remote.md"

SAME = {
    "version": "m version -f '{{.Server.Os}} {{.Client.Version}}'",
    "info": "m info -f '{{.Driver}} {{.Images}} {{.OSType}}'",
    "import": "tar -c -C . file | m import -m why - made:1; cat /dev/null | m import /nope",
    "images": "m images -a --format '{{.Repository}}:{{.Tag}}'; m images --filter nope=1",
    "tag": "m tag busybox other:2; m tag nosuch x; m images -q other | wc -l",
    "history": "m history --no-trunc --format '{{.CreatedBy}} {{.Comment}}' made:1; m history nosuch",
    "image inspect": "m image inspect busybox | grep -v Time; m image inspect nosuch",
    "save": "m save other:2 >saved.tar; tar -tf saved.tar | grep -c json; m save nosuch",
    "rmi": "m rmi other:2 nosuch",
    "load": "m load -q -i saved.tar; m load -i /nope",
    "build": "echo 'FROM busybox\nCOPY file /' >Dockerfile; m build -qt built . | wc -c; m build /nope 2>&1 | tail -1",
    "image prune": "m image prune -f",
    "builder prune": "m builder prune -af | tail -1",
    "search": "m search ''",
    "push": "m tag made:1 $REGISTRY/made:1; m push -q $REGISTRY/made:1; m push nosuch.invalid/x",
    "pull": "m rmi -f $REGISTRY/made:1 >/dev/null; m pull -q $REGISTRY/made:1; m pull $REGISTRY/nosuch",
    "login": "m login -u bob -p wrong $GUARDED; m login -u bob -p secret $GUARDED | tail -1",
    "logout": "m logout $GUARDED",
    "manifest create": "m manifest create --insecure $REGISTRY/list:1 $REGISTRY/made:1; m manifest create x y",
    "manifest annotate": "m manifest annotate --variant v8 $REGISTRY/list:1 $REGISTRY/made:1; m manifest annotate a b",
    "manifest inspect": "m manifest inspect $REGISTRY/list:1 | grep -c v8; m manifest inspect $REGISTRY/nosuch",
    "manifest push": "m manifest push --insecure $REGISTRY/list:1 | wc -c; m manifest push nosuch",
    "manifest rm": "m manifest rm $REGISTRY/list:1; m manifest rm nosuch",
    "network create": "m network create --label a=b lab | wc -c; m network create lab; m network create -d nosuch x",
    "network ls": "m network ls --format '{{.Name}} {{.Driver}}'; m network ls --filter nope=1",
    "network inspect": "m network inspect -f '{{.Name}} {{.Labels}}' lab nosuch",
    "volume create": "m volume create --label a=b kept; m volume create -d nosuch x",
    "volume ls": "m volume ls; m volume ls --filter nope=1",
    "volume inspect": "m volume inspect -f '{{.Name}} {{.Labels}}' kept nosuch",
    "run": "echo in | m run -i --rm -v kept:/data -e A=b busybox sh -c 'cat; echo $A; exit 3'; m run busybox nosuch",
    "create": "m create --name made --network lab busybox sleep 1000 | wc -c; m create --name made busybox",
    "start": "m start made nosuch",
    "container inspect": "m container inspect -f '{{.Name}} {{.State.Status}}' made nosuch",
    "inspect": "m inspect -f '{{.Name}}' made lab kept nosuch",
    "ps": "m ps --format '{{.Names}} {{.Image}} {{.Command}}'; m ps --filter nope=1",
    "exec": "echo in | m exec -i -w /tmp made sh -c 'cat; pwd; exit 5'; m exec made nosuch 2>&1; m exec nosuch x",
    "cp": "m cp file made:/tmp/in; m exec made cat /tmp/in; m cp made:/tmp/in out; cat out; m cp made:/nope x",
    "diff": "m diff made | grep tmp; m diff nosuch",
    "commit": "m commit -m why made committed | wc -c; m commit nosuch",
    "export": "m export made | tar -t | grep tmp/in; m export nosuch",
    "network connect": "m network connect bridge made; m network connect nosuch made",
    "network disconnect": "m network disconnect bridge made; m network disconnect bridge made",
    "top": "m top made -o args; m top nosuch",
    "stats": "m stats --no-stream --format '{{.Name}} {{.PIDs}}' made; m stats --no-stream nosuch",
    "update": "m update --cpu-shares 512 made; m inspect -f '{{.HostConfig.CpuShares}}' made; m update nosuch",
    "port": "m port made; m port nosuch",
    "pause": "m pause made; m pause made; m pause nosuch",
    "unpause": "m unpause made; m unpause made",
    "rename": "m rename made named; m rename nosuch x; m rename named named",
    "logs": "m run --name said busybox sh -c 'echo out; echo err >&2'; m logs said; m logs nosuch",
    "attach": "m run -dit --name typed busybox sh -c 'read x; echo got $x' >/dev/null; m attach said; m attach nosuch",
    "kill": "m kill -s KILL typed; m kill typed; m kill -s NOPE named",
    "wait": "m wait typed said nosuch",
    "restart": "m restart -t 0 named nosuch",
    "stop": "m stop -t 0 named nosuch; m stop named",
    "events": "m events --since 2h --until 1h; m events --filter nope=1 --until 1s",
    "system df": "m system df --format '{{.Type}} {{.TotalCount}}'",
    "rm": "m rm named nosuch; m rm -f said typed",
    "container prune": "m create --name gone busybox | wc -c; m container prune -f | tail -1",
    "network rm": "m network rm lab nosuch",
    "network prune": "m network create gone >/dev/null; m network prune -f",
    "volume rm": "m volume rm kept nosuch",
    "volume prune": "m volume create gone; m volume prune -af | head -2",
    "system prune": "m system prune -f | tail -1",
    **{f"completion {shell}": f"m completion {shell} | wc -l" for shell in ("bash", "zsh", "fish")},
    "tour": "m tour | wc -l",
    "context create": "m context create box --docker host=unix:///nope; m context create box",
    "context ls": "m context ls -q",
    "context inspect": "m context inspect -f '{{.Name}}' box nosuch",
    "context update": "m context update box --description told; m context update nosuch",
    "context export": "m context export box box.tar; m context export nosuch",
    "context import": "m context import two box.tar; m context import three /nope",
    "context use": "m context use nosuch",
    "context rm": "m context rm box two nosuch",
}
"""Command → what is compared."""

HERE = {
    "cdi generate": "looks at this host's GPUs",
    "cdi ls": "reads this host's /etc/cdi and /run/cdi",
    "doctor gpu": "looks at this host's GPUs",
    "doctor network": "looks at this host's firewall and routes",
    "explain": "traces this host's kernel",
    "ui": "shows this host's kernel",
}
"""Command → why it works on the host itself only, and with -H is refused."""

APART = {
    "daemon": "`-H` says where it listens",
    "context show": "shows which context `-H` would have overruled",
    **{f"lab {verb}": "a lab is a sandbox on this host, whatever `-H` says" for verb in
       ("check", "hint", "ls", "reset", "run", "solution", "start")},
}  # fmt: skip
"""Command → why there is nothing to compare."""

SWARM = ("config", "node", "secret", "service", "stack", "swarm")
"""Nouns that live in a daemon: their commands always ask one, this host's without `-H`."""


def test_every_command_is_compared_or_has_a_reason() -> None:
    commands = {page.path.partition(" ")[2] for page in pages() if not page.rows}
    of_swarms = {command for command in commands if command.partition(" ")[0] in SWARM}
    assert commands == set(SAME) | set(HERE) | set(APART) | of_swarms


def test_the_table_tells_of_every_command() -> None:
    alike = ", ".join(f"`{name}`" for name in sorted(SAME))
    rows = [f"| {alike} | the same |"]
    rows += [f"| `{name}` | refused: it {why} |" for name, why in HERE.items()]
    rows += [f"| {names} | {why} |" for names, why in _together(APART)]
    nouns = ", ".join(f"`{noun}`" for noun in SWARM)
    rows.append(f"| {nouns} | a swarm lives in a daemon: without `-H` the one at `/run/minidock.sock` is asked |")
    table = "\n".join(["| command | with `-H` |", "|---|---|", *rows])
    assert table in PAGE.read_text(), f"docs/remote.md needs this table:\n{table}"


def _together(reasons: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (", ".join(f"`{name}`" for name, other in reasons.items() if other == why), why)
        for why in dict.fromkeys(reasons.values())
    ]


@pytest.mark.parametrize("command", HERE)
def test_what_is_of_this_host_is_refused_by_name(command: str) -> None:
    words = {"explain": ["run"]}.get(command, [])
    done = subprocess.run([*COMMAND, "-H", "unix:///nope", *command.split(), *words], capture_output=True, text=True)
    assert done.returncode == 1 and "leave out -H, DOCKER_HOST and the context" in done.stderr


Said = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, busybox_image: Path) -> Iterator[tuple[Said, Said]]:
    """What each command said here, and there."""
    require_root()
    directory = tmp_path_factory.mktemp("same")
    boxes = [Minidock(Layout(directory / side / "root")) for side in ("here", "there")]
    guarded = registry.Registry(directory / "guarded")
    guarded.start(auth=guarded.basic_auth())
    try:
        for box in boxes:
            box("load", "-i", str(busybox_image), check=True)
        with registry.running(directory / "registry") as public, serving(boxes[1]) as daemon:
            addresses = {"REGISTRY": public.address, "GUARDED": guarded.address}
            places = [directory / side for side in ("here", "there")]
            wheres = [boxes[0].command, [*COMMAND, "-H", daemon.url]]
            with ThreadPoolExecutor(2) as pool:
                here, there = pool.map(lambda place, command: _all(place, command, addresses), places, wheres)
        yield here, there
    finally:
        guarded.stop()
        for box in boxes:
            box.close()


def _all(place: Path, command: list[str], addresses: dict[str, str]) -> Said:
    (place / "file").write_text("text\n")
    environment = {**os.environ, **addresses, "DOCKER_CONFIG": str(place / "config"), "COLUMNS": "300"}
    prelude = f'm() {{ {" ".join(command)} "$@"; _m=$?; test $_m = 0 || echo "exit $_m" >&2; return $_m; }}\n'
    said = {}
    for name, line in SAME.items():
        done = subprocess.run(
            ["sh", "-c", prelude + line], cwd=place, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        said[name] = _plain(done.stdout), _plain(done.stderr)
    return said


def _plain(text: str) -> str:
    """Without what differs between any two instances, and without the name of who says it."""
    text = re.sub(r"Error response from daemon: |^minidock: |^Error: ", "", text, flags=re.MULTILINE)
    text = re.sub(r" \([^()\n]*\)$", "", text.replace("\r\n", "\n"), flags=re.MULTILINE)  # hints
    text = re.sub(r"/[^ \"]*/same\d*/(here|there)", "PLACE", text)
    text = re.sub(r"\b(sha256:)?[0-9a-f]{64}\b|\b[0-9a-f]{12}\b", "ID", text)
    return re.sub(r"\d+\.\d+\.\d+\.\d+(?!:)", "ADDRESS", text)


@pytest.mark.parametrize("command", SAME)
def test_the_same_here_and_there(both: tuple[Said, Said], command: str) -> None:
    here, there = both
    assert there[command] == here[command], SAME[command]
