"""Lab 9: two tables, read by the kernel at every question about a user."""

import os

from minidock.kernel import user
from minidock.labs.bench import Host


def check(host: Host) -> None:
    host.stumble = "whom nobody has mapped yet may become nobody: are both maps written before the child is let go?"
    with host.running() as it:
        host.fact(
            "the user namespace is its own",
            it.namespace("user") != host.namespace("user"),
            look=f"readlink /proc/self/ns/user /proc/{it.pid}/ns/user",
            man="user_namespaces(7)",
            hint="is user among KINDS?",
        )
        for name, lines in user.read(it.pid).items():
            host.fact(
                f"{name} maps 0..65535 to 100000..165535",
                lines == ["0 100000 65536"],
                found=lines or "it is empty: nobody is mapped",
                look=f"cat /proc/{it.pid}/{name}",
                man="user_namespaces(7)",
                hint=(
                    "a line says: inside, outside, how many. Root inside must be nobody outside, and "
                    "65536 ids are usual"
                ),
            )
        uid = it.status("Uid").split()
        host.fact(
            "to the host its root is user 100000",
            uid == ["100000"] * 4,
            found=f"Uid: {' '.join(uid)}",
            look=f"grep Uid /proc/{it.pid}/status",
            man="user_namespaces(7)",
            hint=(
                "a map gives names to ids, it doesn't change yours: the child must become the "
                "namespace's root (BecomeRoot)"
            ),
        )
    said = host.run("id", "-u")
    host.fact("to itself it is root", said.out == "0\n", found=said.out or said.err, look="id -u")
    place = host.base / "open"
    place.mkdir()
    os.chmod(place, 0o777)  # noqa: S103 - somebody else is to write there
    host.run("touch", str(place / "file"))
    owner = (place / "file").stat().st_uid if (place / "file").exists() else None
    host.fact("its files belong to 100000", owner == 100000, found=f"the owner is {owner}", look=f"ls -ln {place}")
    said = host.run("touch", str(host.base / "not-mine"))
    host.fact("it can't write where only root may", said.code != 0, found=said.out, man="capabilities(7)")
