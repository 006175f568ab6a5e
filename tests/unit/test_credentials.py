"""Users and groups found in an image's files, by Docker's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import MinidockError, UsageError
from minidock.kernel.credentials import FoundUser, SetUser, find_user, home_of, with_home

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
bob:x:1000:1000:Bob:/home/bob:/bin/sh

broken
alsobroken:x:abc:5::/:/bin/sh
1234:x:1001:1001::/home/digits:
nohome:x:1002:1002
twice:x:1003:1003::/first:
twice:x:1004:1004::/second:
# comment:x:1:1::/:
"""
GROUP = b"""root:x:0:
wheel:x:10:bob,root
bob:x:1000:
video:x:44:bob
nogood:x:minus:bob
"""


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", FoundUser(0, 0, [0, 10], "/root")),
        ("root", FoundUser(0, 0, [0, 10], "/root")),
        ("0", FoundUser(0, 0, [0, 10], "/root")),
        ("bob", FoundUser(1000, 1000, [1000, 10, 44], "/home/bob")),
        ("1000", FoundUser(1000, 1000, [1000, 10, 44], "/home/bob")),
        ("bob:", FoundUser(1000, 1000, [1000, 10, 44], "/home/bob")),
        ("bob:wheel", FoundUser(1000, 10, [10], "/home/bob")),
        ("bob:10", FoundUser(1000, 10, [10], "/home/bob")),
        ("bob:4711", FoundUser(1000, 4711, [4711], "/home/bob")),
        (":wheel", FoundUser(0, 10, [10], "/root")),
        ("1000:10:3", FoundUser(1000, 10, [10], "/home/bob")),
        ("77", FoundUser(77, 0, [0], "/")),
        ("77:78", FoundUser(77, 78, [78], "/")),
        ("2147483647", FoundUser(2**31 - 1, 0, [0], "/")),
        ("1234", FoundUser(1234, 0, [0], "/")),  # a number is an id, even where an account is called so
        ("nohome", FoundUser(1002, 1002, [1002], "/")),
        ("twice", FoundUser(1003, 1003, [1003], "/first")),
    ],
)
def test_find_user(user: str, expected: FoundUser) -> None:
    assert find_user(PASSWD, GROUP, user) == expected


def test_groups_that_are_added() -> None:
    assert find_user(PASSWD, GROUP, "77", ["video", "9"]) == FoundUser(77, 0, [0, 44, 9], "/")
    assert find_user(PASSWD, GROUP, "bob", ["video"]).additional_gids == [1000, 10, 44]


def test_an_image_without_the_files() -> None:
    assert find_user(None, None, "") == FoundUser(0, 0, [0], "/")
    assert find_user(None, None, "5:6") == FoundUser(5, 6, [6], "/")
    with pytest.raises(MinidockError):
        find_user(None, None, "bob")


@pytest.mark.parametrize(
    ("user", "add", "message"),
    [
        ("nosuch", [], "unable to find user nosuch: no matching entries in passwd file"),
        ("broken", [], "unable to find user broken: no matching entries in passwd file"),
        ("alsobroken", [], "unable to find user alsobroken: no matching entries in passwd file"),
        ("bob:nosuch", [], "unable to find group nosuch: no matching entries in group file"),
        ("bob", ["nosuch"], "Unable to find group nosuch: no matching entries in group file"),
        ("1_0", [], "unable to find user 1_0: no matching entries in passwd file"),
    ],
)
def test_unknown_names(user: str, add: list[str], message: str) -> None:
    with pytest.raises(MinidockError) as raised:
        find_user(PASSWD, GROUP, user, add)
    assert raised.value.message == message


@pytest.mark.parametrize("user", ["-1", "2147483648", "4294967295", "99999999999999999", "0:-5", "0:4294967296"])
def test_ids_out_of_range(user: str) -> None:
    with pytest.raises(UsageError, match="uids and gids must be in range 0-2147483647"):
        find_user(PASSWD, GROUP, user)


@given(passwd=st.binary(max_size=300), group=st.binary(max_size=300), user=st.text(max_size=20))
def test_hostile_files_give_an_id_in_range_or_a_clear_error(passwd: bytes, group: bytes, user: str) -> None:
    try:
        found = find_user(passwd, group, user)
    except MinidockError:
        return
    assert 0 <= found.uid < 2**31
    assert all(0 <= gid < 2**31 for gid in [found.gid, *found.additional_gids])


def test_home() -> None:
    assert home_of(PASSWD, 1000) == "/home/bob"
    assert home_of(PASSWD, 5) == "/"
    assert with_home(["A=1"], "/home/bob") == ["A=1", "HOME=/home/bob"]
    assert with_home(["HOME="], "/home/bob") == ["HOME=/home/bob"]
    assert with_home(["HOME=/x"], "/home/bob") == ["HOME=/x"]


def test_the_step_speaks() -> None:
    step = SetUser(1000, 1000, [1000, 44], 0o027)
    assert step.describe() == "become user 1000 with group 1000 and groups 44, umask 0027"
    assert step.setpriv() == ["--reuid=1000", "--regid=1000", "--groups=1000,44"]
    assert step.shell() == "umask 0027; setpriv --reuid=1000 --regid=1000 --groups=1000,44 COMMAND"
    assert SetUser(0, 0).setpriv()[-1] == "--clear-groups"
