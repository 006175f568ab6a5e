"""tour: one command followed through the code, file by file.

The command is `minidock run -p 8080:80 --memory 64m alpine sh`. The order stands here; what is said of each stop is the
first sentence of the file itself, read without importing it. A test fails when a stop isn't there any more, or when a
file of the kernel's is on no way.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..errors import UsageError
from .commands import verb

PACKAGE = Path(__file__).resolve().parent.parent

CHAPTERS = {
    "The command line": "cli/__init__ cli/run cli/flags engine/__init__ engine/verbs/lives engine/run",
    "The image": "image/reference image/registry image/store image/layers image/unpack engine/create",
    "The plan": "engine/start engine/bundle spec steps runtime/plan",
    "The cgroup": "kernel/cgroup_files kernel/cgroup_tree kernel/cgroups kernel/memory kernel/cpu kernel/cpuset "
    "kernel/pids kernel/blkio kernel/hugetlb kernel/rdma kernel/net_class kernel/bpf kernel/device_filter "
    "kernel/cgroup_demo kernel/systemd kernel/scope",
    "The network, on the host": "network kernel/netlink kernel/link kernel/bridge kernel/vlan kernel/neighbour "
    "kernel/vxlan kernel/address "
    "kernel/forwarding kernel/nft kernel/conntrack",
    "The birth": "kernel/syscalls runtime/parent runtime/sync runtime/child kernel/namespaces kernel/user kernel/subid "
    "kernel/unprivileged engine/rootless "
    "kernel/idmap kernel/cgroup_join",
    "The network, inside": "kernel/netns network/uplink kernel/veth kernel/macvlan kernel/netdevice kernel/route",
    "The names": "kernel/uts",
    "The files": "kernel/mount_options kernel/rootpath kernel/mounts kernel/remount kernel/overlay kernel/bind "
    "kernel/image_mount "
    "kernel/copy_up kernel/shared_mount kernel/cgroup_mount kernel/devices kernel/sysctl kernel/hooks kernel/pivot "
    "kernel/shared_root kernel/masks kernel/workdir",
    "The rights": "kernel/keyring kernel/rlimits kernel/scheduling kernel/personality kernel/no_new_privs "
    "kernel/capabilities kernel/credentials kernel/seccomp_arch kernel/seccomp_profile kernel/seccomp_bpf "
    "kernel/mempolicy kernel/seccomp_listing kernel/seccomp kernel/seccomp_agent",
    "The program": "kernel/fds kernel/execute",
    "The life": "runtime/shim engine/logs kernel/inotify kernel/pty engine/execs runtime/enter kernel/freezer "
    "kernel/cgroup_stats kernel/view",
    "The end": "engine/stop kernel/oom engine/finish",
    "Further": "image/diff build/__init__ daemon/__init__",
}


class Stop(msgspec.Struct, frozen=True):
    """A file on the way. `demo` is empty for what can't be run by itself."""

    number: int
    chapter: str
    path: str
    sentence: str
    man: list[str]
    demo: str

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__")


def stops() -> Iterator[Stop]:
    """All stops, in order."""
    number = 0
    for chapter, names in CHAPTERS.items():
        for name in names.split():
            number += 1
            file = PACKAGE / f"{name}.py"
            if not file.exists():
                file = PACKAGE / name / "__init__.py"
            text = file.read_text(encoding="utf-8")
            idea = ast.get_docstring(ast.parse(text)) or ""
            yield Stop(
                number=number,
                chapter=chapter,
                path=f"{file.relative_to(PACKAGE)}",
                sentence=" ".join(idea.split("\n\n")[0].split()),
                man=list(dict.fromkeys(re.findall(r"[a-z0-9_-]+\([2578]\)", text))),
                demo=f"{sys.executable} -m minidock.{name.replace('/', '.')}" if "\ndef demo()" in text else "",
            )


@verb(
    "tour",
    "Follow one command through the code",
    "[STOP]",
    most=1,
    examples="""
        minidock tour                 the whole way
        minidock tour kernel/uts      one stop: its idea, man pages, demonstration, before and after
        minidock tour 42
    """,
)
def tour(arguments: list[str]) -> None:
    way = list(stops())
    if arguments:
        return _show(way, arguments[0])
    print("minidock run -p 8080:80 --memory 64m alpine sh")
    chapter = ""
    for stop in way:
        if stop.chapter != chapter:
            chapter = stop.chapter
            print(f"\n{chapter}")
        print(f"  {stop.number:>3}  {stop.path:<28} {stop.sentence}")
    print("\nminidock tour STOP (a number or a name) tells more of one.")
    return None


def _show(way: list[Stop], asked: str) -> None:
    wanted = asked.removeprefix("minidock/").removesuffix(".py").removesuffix("/__init__")
    found = [stop for stop in way if wanted in (str(stop.number), stop.name, stop.name.rpartition("/")[2])]
    if not found:
        raise UsageError(f"no stop of the tour is called {asked}", hint="minidock tour lists them")
    for stop in found:
        print(f"{stop.number}. {stop.path}   ({stop.chapter})\n\n{stop.sentence}\n")
        rows = [("read", str(PACKAGE / stop.path)), ("man pages", " ".join(stop.man[:6]))]
        rows += [("see it run", f"sudo {stop.demo}" if stop.demo else "")]
        rows += [("before", way[stop.number - 2].path if stop.number > 1 else "")]
        rows += [("after", way[stop.number].path if stop.number < len(way) else "")]
        for title, said in rows:
            if said:
                print(f"{title + ':':<12} {said}")
