"""Our security beside that of a real Docker: the filter that runc has loaded, asked call by call; users found; caps.

The filter is read back from the kernel with ptrace(2), PTRACE_SECCOMP_GET_FILTER, and interpreted: so all calls of all
three ABIs can be compared, and none has to be made.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from io import BytesIO

import pytest

from minidock.errors import MinidockError
from minidock.kernel import capabilities, credentials, masks, seccomp, seccomp_arch, seccomp_listing
from tests.support.dockerd import Docker
from tests.support.needs import require_tool
from tests.unit.test_seccomp_bpf import I386, NUMBERS, X86_64, Libseccomp, run

PASSWD = "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n1234:x:1001:1001::/digits:\n"
GROUP = "root:x:0:\nwheel:x:10:bob,root\nbob:x:1000:\nvideo:x:44:bob\n"


@pytest.fixture(scope="module")
def image(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> str:
    """busybox with users that these tests know."""
    path = tmp_path_factory.mktemp("security") / "rootfs.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(require_tool("busybox"), "bin/busybox")
        for name in ("sh", "id", "cat", "sleep", "grep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name, text in (("etc/passwd", PASSWD), ("etc/group", GROUP)):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, BytesIO(text.encode()))
    docker("import", str(path), "security", check=True)
    return "security"


def questions() -> Iterator[tuple[str, int, int, int]]:
    """(name or number, architecture, number, first two arguments): 600 numbers of each ABI."""
    values = [0, 1, 8, 37, 38, 39, 40, 41, 0x20000, 0x20008, 0x10000000, 0x7E020000, 0x01200011, 2**32 - 1]
    for column, arch, bit in (("x86_64", X86_64, 0), ("x86", I386, 0), ("x32", X86_64, seccomp_arch.X32_BIT)):
        names = {number: name for name, number in NUMBERS[column].items()}
        for number in range(600):
            for value in values:
                yield names.get(number, str(number)), arch, number | bit, value


@pytest.mark.parametrize("extra", [[], ["SYS_ADMIN"], ["SYS_PTRACE", "SYS_TIME", "SYSLOG"]])
def test_our_filter_decides_as_runcs(docker: Docker, image: str, extra: list[str]) -> None:
    """Docker is given our profile file. Left out: the calls that its libseccomp is too old to know."""
    path = seccomp.data_directory() / "default.json"
    flags = [word for name in extra for word in ("--cap-add", name)]
    options = ["--network", "none", "--security-opt", f"seccomp={path}", *flags]
    container = docker("run", "-d", *options, image, "sleep", "600", check=True).stdout.strip()
    pid = int(docker("inspect", "-f", "{{.State.Pid}}", container, check=True).stdout)
    try:
        theirs = seccomp_listing.read(pid)
    finally:
        docker("rm", "-f", container, check=True)
    bounding = capabilities.resolve(extra, [], False).bounding
    profile = seccomp.for_container("", bounding)
    assert profile is not None
    ours, oracle = seccomp.compiled(profile), Libseccomp()
    newest = max(number for name, number in NUMBERS["x86_64"].items() if oracle.knows(name))
    different = {
        (name, hex(arch), hex(number))
        for name, arch, number, value in questions()
        if (name.isdigit() or oracle.knows(name)) and number & ~seccomp_arch.X32_BIT <= newest
        if run(ours, arch, number, (value, value)) != run(theirs, arch, number, (value, value))
    }
    assert different == set()
    assert run(ours, X86_64, 599) == run(theirs, X86_64, 599)


USERS = [
    "",
    "bob",
    "1000",
    "bob:wheel",
    "bob:10",
    "bob:4711",
    ":wheel",
    "77",
    "77:78",
    "1234",
    "1000:10:3",
    "2147483647",
]
BAD_USERS = ["nosuch", "bob:nosuch", "-1", "2147483648", "77:-3"]


def test_users_are_found_as_by_docker(docker: Docker, image: str) -> None:
    """uid, gid, all groups and HOME as seen inside, for each form of --user."""
    for user in USERS:
        script = "id -u; id -g; grep Groups: /proc/self/status; echo $HOME"
        uid, gid, groups, home = docker(
            "run", "--rm", "--network", "none", "-u", user, image, "sh", "-c", script, check=True
        ).stdout.splitlines()
        found = credentials.find_user(PASSWD.encode(), GROUP.encode(), user)
        assert (found.uid, found.gid, found.home) == (int(uid), int(gid), home), user
        assert sorted(found.additional_gids) == [int(gid) for gid in groups.split()[1:]], user


def test_users_that_can_not_be_are_refused_in_dockers_words(docker: Docker, image: str) -> None:
    for user in BAD_USERS:
        said = docker("run", "--rm", "--network", "none", "-u", user, image, "true")
        with pytest.raises(MinidockError) as raised:
            credentials.find_user(PASSWD.encode(), GROUP.encode(), user)
        assert raised.value.message in said.stderr, user


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--cap-add", "net_admin"],
        ["--cap-drop", "ALL"],
        ["--cap-drop", "all", "--cap-add", "CAP_CHOWN"],
        ["--cap-drop", "kill", "--cap-drop", "MKNOD"],
        ["--cap-add", "syslog", "-u", "1000"],
    ],
)
def test_capabilities_are_those_of_docker(docker: Docker, image: str, flags: list[str]) -> None:
    said = docker("run", "--rm", "--network", "none", *flags, image, "cat", "/proc/self/status", check=True).stdout
    lines = dict(line.split(":", 1) for line in said.splitlines())
    pairs = list(zip(flags[::2], flags[1::2], strict=True))
    add, drop = ([value for flag, value in pairs if flag == wanted] for wanted in ("--cap-add", "--cap-drop"))
    uid = next((int(value) for flag, value in pairs if flag == "-u"), 0)
    sets = capabilities.resolve(add, drop, False, uid=uid)
    assert capabilities.mask(sets.bounding) == int(lines["CapBnd"], 16)
    assert capabilities.mask(sets.effective) == int(lines["CapEff"], 16)
    assert capabilities.mask(sets.permitted) == int(lines["CapPrm"], 16)


def test_masks_are_those_of_docker(docker: Docker, image: str) -> None:
    """Docker's own list, as its API tells it."""
    container = docker("create", "--network", "none", image, "true", check=True).stdout.strip()
    try:
        told = docker(
            "inspect",
            "-f",
            "{{json .HostConfig.MaskedPaths}} {{json .HostConfig.ReadonlyPaths}}",
            container,
            check=True,
        ).stdout
    finally:
        docker("rm", container, check=True)
    masked, readonly = (json.loads(part) for part in told.split())
    assert set(masked) <= set(masks.MASKED)
    assert readonly == masks.READONLY
