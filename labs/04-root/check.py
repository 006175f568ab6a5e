"""Lab 4: the tree is the root, and there is no way back."""

import os

from minidock.labs.bench import Container, Host


def check(host: Host) -> None:
    root = host.rootfs(etc_marker="this is the container\n")
    host.mount_tmpfs("secret")
    with host.running(str(root)) as it:
        host.fact(
            "its / is the tree",
            it.read("/etc/marker") == "this is the container\n",
            found=f"/ holds {' '.join(sorted(os.listdir(f'/proc/{it.pid}/root'))[:9])}",
            look=f"ls /proc/{it.pid}/root",
            man="pivot_root(2)",
        )
        inside = _entered(it)
        host.fact(
            "who enters its mount namespace finds the same root",
            os.path.exists(f"/proc/{it.pid}/root/etc/marker") and "marker" in inside,
            found=(
                f"nsenter finds {' '.join(inside[:6])} in /etc; /proc/{it.pid}/root leads to "
                f"{os.readlink(f'/proc/{it.pid}/root')}"
            ),
            look=f"nsenter --target {it.pid} --mount ls /etc; readlink /proc/{it.pid}/root",
            man="pivot_root(2)",
            hint=(
                "chroot(2) only moves where a process begins to look, and root gets out again; "
                "pivot_root swaps the root of the whole namespace"
            ),
        )
        left = [line.split()[4] for line in it.mountinfo() if line.split()[4] not in ("/", "/proc")]
        host.fact(
            "no mount of the host is left",
            not left,
            found=f"{len(left)} more, such as {' '.join(left[:4])}",
            look=f"cat /proc/{it.pid}/mountinfo",
            man="umount2(2)",
            hint="after pivot_root the old root hangs below the new one: umount2 with MNT_DETACH lets it go",
        )
        opened = {name: os.readlink(f"/proc/{it.pid}/fd/{name}") for name in os.listdir(f"/proc/{it.pid}/fd")}
        more = {name: where for name, where in opened.items() if int(name) > 2}
        host.fact(
            "no open descriptor leads outside",
            not more,
            found=more,
            look=f"ls -l /proc/{it.pid}/fd",
            man="open(2)",
            hint="only 0, 1 and 2 belong to the command: everything else must be close-on-exec (O_CLOEXEC)",
        )
    said = host.run(str(root), "ls", "/proc/1/root/etc")
    host.fact(
        "the container works, and has its own /proc",
        "marker" in said.out,
        found=said.out or said.err,
        hint="mount_proc(root) comes before change_root: afterwards `root` is no path any more",
    )


def _entered(it: Container) -> list[str]:
    """What stands in /etc for somebody who only joins the mount namespace."""
    from minidock.kernel import namespaces, syscalls

    said, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            fd = os.open(f"/proc/{it.pid}/ns/mnt", os.O_RDONLY)
            syscalls.setns(fd, namespaces.KINDS["mount"].flag)
            os.write(tell, " ".join(sorted(os.listdir("/etc"))).encode())
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(said) as pipe:
        found = pipe.read().split()
    os.waitpid(pid, 0)
    return found
