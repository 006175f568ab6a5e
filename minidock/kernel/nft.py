"""nftables: rules that look at packets at five places on their way, and drop or rewrite them.

Tables hold chains; a *base* chain is hung up at a hook (prerouting, input, forward, output, postrouting) with a
priority; it holds rules, or asks sets and maps. All chains at a hook are asked in order of priority: one "drop" is
final, an "accept" only ends the chain that said it. Changes come as one transaction: all of a file, or nothing.

Writing is left to the program `nft` (5 ms a call). Questions are asked here over netlink (20 µs), first of all: has
anybody changed any rule since? The kernel counts the transactions of each network namespace.

man: nft(8)
"""

from __future__ import annotations

import errno
import os
import struct

import msgspec

from minidock.errors import MinidockError, SystemCallFailed, Unsupported
from minidock.kernel.link import text
from minidock.kernel.netlink import NETLINK_NETFILTER, Netlink, attribute, attributes, ignoring

NFNL_SUBSYS_NFTABLES = 10 << 8  # linux/netfilter/nfnetlink.h
NFT_MSG_GETCHAIN = 4  # linux/netfilter/nf_tables.h
NFT_MSG_GETRULE = 7
NFT_MSG_GETGEN = 16
NFTA_GEN_ID = 1
NFTA_CHAIN_TABLE = 1
NFTA_CHAIN_NAME = 3
NFTA_CHAIN_HOOK = 4
NFTA_CHAIN_POLICY = 5
NFTA_HOOK_HOOKNUM = 1
NFTA_RULE_TABLE = 1
NFTA_RULE_CHAIN = 2
NFTA_RULE_HANDLE = 3
NFTA_RULE_USERDATA = 7

NFT_MSG_GETSETELEM = 13
NFTA_SET_ELEM_LIST_TABLE = 1
NFTA_SET_ELEM_LIST_SET = 2
NFTA_SET_ELEM_LIST_ELEMENTS = 3
NFTA_SET_ELEM_KEY = 1
NFTA_DATA_VALUE = 1

FAMILIES = {1: "inet", 2: "ip", 10: "ip6"}  # linux/netfilter.h: those that see IP packets
FAMILY_INET = 1
HOOK_FORWARD = 2
NF_DROP = 0
NFGENMSG = struct.Struct("=BBH")  # family, version, resource id


def run(rules: str) -> str:
    """Give the text to `nft -f -` as one transaction, and return what it prints.

    Raises MinidockError with nft's own first line, Unsupported when there is no nft.
    """
    # Not with `subprocess`: importing it costs more than nft itself.
    given, said = os.memfd_create("nft-rules"), os.memfd_create("nft-output")
    try:
        os.write(given, rules.encode())
        os.lseek(given, 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, given, 0), (os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
        try:
            pid = os.posix_spawnp("nft", ["nft", "-f", "-"], os.environ, file_actions=actions)
        except FileNotFoundError as error:
            raise Unsupported("the program nft is not here", hint="apt-get install nftables") from error
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        output = os.pread(said, 1 << 20, 0).decode(errors="replace")
    finally:
        os.close(given)
        os.close(said)
    if status != 0:
        raise MinidockError(f"nft: {output.strip().splitlines()[0] if output.strip() else f'exit status {status}'}")
    return output


def attempt(rules: str) -> bool:
    """Whether it worked. All but "there is no such thing" shows when the table is next used."""
    try:
        run(rules)
    except MinidockError:
        return False
    return True


def generation() -> int:
    """How many transactions this network namespace's rules have seen: unchanged means that no rule has changed."""
    with Netlink(NETLINK_NETFILTER) as netlink:
        kind = NFNL_SUBSYS_NFTABLES | NFT_MSG_GETGEN
        message = netlink.request("nft monitor generation", kind, NFGENMSG.pack(0, 0, 0))[0]
    return int.from_bytes(_values(message)[NFTA_GEN_ID], "big")


class Chain(msgspec.Struct, frozen=True):
    """A chain; `hook` is -1 unless it is a base chain, `drops` tells whether its policy is drop."""

    family: str
    table: str
    name: str
    hook: int
    drops: bool


class Rule(msgspec.Struct, frozen=True):
    """A rule's place and handle (the number to delete it by), and the comment it carries."""

    family: str
    table: str
    chain: str
    handle: int
    comment: bytes


def chains() -> list[Chain]:
    """All chains that see IP packets."""
    found = []
    for message in _dump(NFT_MSG_GETCHAIN, NFGENMSG.pack(0, 0, 0)):
        values = _values(message)
        hook = dict(attributes(values.get(NFTA_CHAIN_HOOK, b"")))
        if message[0] in FAMILIES:
            found.append(
                Chain(
                    family=FAMILIES[message[0]],
                    table=text(values.get(NFTA_CHAIN_TABLE)),
                    name=text(values.get(NFTA_CHAIN_NAME)),
                    hook=int.from_bytes(hook[NFTA_HOOK_HOOKNUM], "big") if hook else -1,
                    drops=bool(hook) and int.from_bytes(values.get(NFTA_CHAIN_POLICY, b"\1"), "big") == NF_DROP,
                )
            )
    return found


def rules(table: str = "") -> list[Rule]:
    """All rules that see IP packets, or those of one table."""
    found = []
    asked = NFGENMSG.pack(0, 0, 0) + (attribute(NFTA_RULE_TABLE, table) if table else b"")
    for message in _dump(NFT_MSG_GETRULE, asked):
        values = _values(message)
        if message[0] in FAMILIES and (not table or text(values.get(NFTA_RULE_TABLE)) == table):
            found.append(
                Rule(
                    family=FAMILIES[message[0]],
                    table=text(values.get(NFTA_RULE_TABLE)),
                    chain=text(values.get(NFTA_RULE_CHAIN)),
                    handle=int.from_bytes(values[NFTA_RULE_HANDLE], "big"),
                    comment=values.get(NFTA_RULE_USERDATA, b"")[2:].rstrip(b"\0"),
                )
            )
    return found


def elements(table: str, name: str) -> list[bytes]:
    """The keys in a set of an inet table; nothing when there is no such table or set."""
    asked = NFGENMSG.pack(FAMILY_INET, 0, 0) + attribute(NFTA_SET_ELEM_LIST_TABLE, table)
    found = []
    for message in _dump(NFT_MSG_GETSETELEM, asked + attribute(NFTA_SET_ELEM_LIST_SET, name)):
        for _, element in attributes(_values(message).get(NFTA_SET_ELEM_LIST_ELEMENTS, b"")):
            key = dict(attributes(element)).get(NFTA_SET_ELEM_KEY, b"")
            found.append(dict(attributes(key)).get(NFTA_DATA_VALUE, b""))
    return found


def _dump(kind: int, body: bytes) -> list[bytes]:
    try:
        with Netlink(NETLINK_NETFILTER) as netlink:
            return netlink.dump("nft list ruleset", NFNL_SUBSYS_NFTABLES | kind, body)
    except SystemCallFailed as error:
        # A table that isn't there has no rules.
        ignoring(error, errno.ENOENT)
        return []


def _values(message: bytes) -> dict[int, bytes]:
    return dict(attributes(message[NFGENMSG.size :]))


def read(pid: int) -> list[Chain]:
    """The chains of our own network namespace."""
    return chains()


def demo() -> None:
    """A table that lives for a moment, and the count of transactions around it."""
    print("transactions so far:", generation())
    run("add table ip minidock-demo\nadd chain ip minidock-demo nothing\n")
    print("with a table more:", generation(), [chain.name for chain in chains() if chain.table == "minidock-demo"])
    run("delete table ip minidock-demo\n")
    print("and without it:", generation())


if __name__ == "__main__":
    demo()
