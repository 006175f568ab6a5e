"""Credentials: as which user and groups the container's program runs, found in the *image's* passwd and group.

The kernel knows numbers only. Names are looked up in files that the image brought, so they are parsed here as text and
never through the host's libc, which would read the host's files. The files are hostile input: lines that make no sense
are skipped, numbers have limits. Man page: credentials(7), passwd(5), group(5).
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec

from minidock.errors import MinidockError, SystemCallFailed, UsageError
from minidock.kernel import syscalls
from minidock.steps import Live, Step

MAX_ID = 2**31 - 1
"""Docker's limit; the kernel's is 2**32 - 2, for (uid_t) -1 means "leave it" to setresuid(2)."""

LEAVE = 2**32 - 1
"""(uid_t) -1."""

ONLY_FIRST = 2**20
"""Bytes of passwd and group that are looked at: an image may bring any amount."""


class FoundUser(msgspec.Struct, frozen=True):
    """What `--user` came to. `additional_gids` starts with `gid`, as Docker has it since CVE-2022-36109."""

    uid: int
    gid: int
    additional_gids: list[int]
    home: str


class Account(msgspec.Struct, frozen=True):
    """One line of passwd(5), as far as it matters here."""

    name: str
    uid: int
    gid: int
    home: str


class NoSuchAccount(MinidockError):
    """A name that the image's passwd or group doesn't have. No NotFound: Docker's clients take that for the image."""


class Group(msgspec.Struct, frozen=True):
    """One line of group(5)."""

    name: str
    gid: int
    members: list[str]


def find_user(passwd: bytes | None, group: bytes | None, user: str, group_add: Sequence[str] = ()) -> FoundUser:
    """`user` is "", name, uid, name:group, uid:gid or any mix; `group_add` names or gids.

    A number needs no entry. Groups from the group file come along only when the user has an entry and no group was
    asked for. Raises NoSuchAccount and UsageError with Docker's texts.
    """
    wanted, _, rest = user.partition(":")
    wanted_group = rest.partition(":")[0]
    groups = list(_groups(group or b""))
    account = _find_account(passwd or b"", wanted or "0")
    gid, supplementary = account.gid, []
    if wanted_group:
        gid = _gid_of(wanted_group, groups, f"unable to find group {wanted_group}")
    elif account.name:
        supplementary = [entry.gid for entry in groups if account.name in entry.members]
    supplementary += [_gid_of(name, groups, f"Unable to find group {name}") for name in group_add]
    return FoundUser(account.uid, gid, list(dict.fromkeys([gid, *supplementary])), account.home or "/")


def _find_account(passwd: bytes, wanted: str) -> Account:
    """The first entry that matches wins, as in libc. A number is always an id, even if an account is called that."""
    number = _number(wanted)
    for account in _accounts(passwd):
        if account.uid == number if number is not None else account.name == wanted:
            return account
    if number is None:
        raise NoSuchAccount(f"unable to find user {wanted}: no matching entries in passwd file")
    return Account("", _in_range(number), 0, "")


def _gid_of(wanted: str, groups: list[Group], complaint: str) -> int:
    number = _number(wanted)
    for entry in groups:
        if entry.gid == number if number is not None else entry.name == wanted:
            return entry.gid
    if number is None:
        raise NoSuchAccount(f"{complaint}: no matching entries in group file")
    return _in_range(number)


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,20}", text) else None


def _in_range(number: int) -> int:
    if not 0 <= number <= MAX_ID:
        raise UsageError(f"uids and gids must be in range 0-{MAX_ID}")
    return number


def _id(text: str) -> int:
    """An id in a file, -1 when it is none: a broken line must never turn into root's."""
    number = _number(text)
    return number if number is not None and 0 <= number <= MAX_ID else -1


def _lines(raw: bytes, fields: int) -> Iterator[list[str]]:
    for line in raw[:ONLY_FIRST].decode(errors="surrogateescape").splitlines():
        parts = line.strip().split(":")
        if len(parts) >= fields and parts[0] and not parts[0].startswith("#"):
            yield parts


def _accounts(raw: bytes) -> Iterator[Account]:
    for parts in _lines(raw, 4):
        uid, gid = _id(parts[2]), _id(parts[3])
        if uid >= 0 and gid >= 0:
            yield Account(parts[0], uid, gid, parts[5] if len(parts) > 5 else "")


def _groups(raw: bytes) -> Iterator[Group]:
    for parts in _lines(raw, 3):
        if (gid := _id(parts[2])) >= 0:
            yield Group(parts[0], gid, parts[3].split(",") if len(parts) > 3 else [])


def home_of(passwd: bytes | None, uid: int) -> str:
    """The home of the uid's first entry, "/" when there is none: what HOME becomes when nobody set it."""
    return next((account.home for account in _accounts(passwd or b"") if account.uid == uid), "") or "/"


def with_home(env: Sequence[str], home: str) -> list[str]:
    """The environment with HOME. Docker's rule: a HOME that is unset or empty is the user's home."""
    if any(entry.startswith("HOME=") and entry != "HOME=" for entry in env):
        return list(env)
    return [*(entry for entry in env if entry != "HOME="), f"HOME={home}"]


class SetUser(Step, frozen=True):
    """Groups, then group, then user: after setresuid(2) there is no right left to change the other two.

    All three of real, effective and saved id, or the program could go back. Before: the bounding set is dropped and
    PR_SET_KEEPCAPS set. Afterwards /proc/self belongs to root until the exec (PR_SET_DUMPABLE), as we no longer do.
    """

    uid: int
    gid: int
    additional_gids: list[int] = []
    umask: int | None = None
    keep_groups: bool = False
    """The groups stay those of whoever started us, even those that a user namespace has no name for."""
    man: ClassVar[str] = "setresuid(2)"

    def describe(self) -> str:
        others = [str(gid) for gid in self.additional_gids if gid != self.gid]
        groups = f" and groups {', '.join(others)}" if others else ""
        groups = ", keeping the groups" if self.keep_groups else groups
        umask = "" if self.umask is None else f", umask {self.umask:04o}"
        return f"become user {self.uid} with group {self.gid}{groups}{umask}"

    def setpriv(self) -> list[str]:
        """Its part of the setpriv(1) line that ends the script of --as-shell."""
        groups = ",".join(str(gid) for gid in self.additional_gids)
        return [
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            "--keep-groups" if self.keep_groups else f"--groups={groups}" if groups else "--clear-groups",
        ]

    def shell(self) -> str:
        umask = "" if self.umask is None else f"umask {self.umask:04o}; "
        return f"{umask}setpriv {' '.join(self.setpriv())} COMMAND"

    def apply(self, live: Live) -> None:
        if LEAVE in (self.uid, self.gid):  # whoever asked for that would go on as root
            raise MinidockError(f"{LEAVE} is no user or group: it means to stay who one is")
        if not self.keep_groups:
            self._set_groups()
        syscalls.setresgid(self.gid)
        syscalls.setresuid(self.uid)
        if self.umask is not None:
            os.umask(self.umask)

    def _set_groups(self) -> None:
        """In a user namespace made without privilege setgroups(2) is denied for good: user_namespaces(7)."""
        try:
            syscalls.setgroups(self.additional_gids)
        except SystemCallFailed as error:
            if error.number != errno.EPERM or not _setgroups_denied():
                raise
            if set(self.additional_gids) - {self.gid}:
                error.hint = "a user namespace made without root can't give additional groups: user_namespaces(7)"
                raise


def _setgroups_denied() -> bool:
    with open("/proc/self/setgroups", encoding="ascii") as file:
        return file.read().strip() == "deny"


def read(pid: int | str) -> dict[str, list[int]]:
    """Real, effective, saved and file-system ids, and the groups: /proc/PID/status (proc(5))."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        lines = dict(line.split(":", 1) for line in file)
    return {key.lower(): [int(word) for word in lines[key].split()] for key in ("Uid", "Gid", "Groups")}


def demo() -> None:
    """Become somebody else in a child, and try to come back."""
    pid = os.fork()
    if pid == 0:
        step = SetUser(1000, 1000, [1000, 44])
        step.apply(Live())
        print(f"{step.describe()}: {read('self')}", flush=True)
        try:
            syscalls.setresuid(0)
        except SystemCallFailed as error:
            print(f"back to root: {error}", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
