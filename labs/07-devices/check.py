"""Lab 7: the right nodes with the right numbers, a terminal file system of its own, and a filter."""

import os
import stat

from minidock.kernel import devices
from minidock.labs.bench import Host


def check(host: Host) -> None:
    root = str(host.rootfs())
    with host.running(root) as it:
        dev = f"/proc/{it.pid}/root/dev"
        for node in devices.DEFAULT:
            facts = (
                os.stat(f"/proc/{it.pid}/root{node.path}")
                if os.path.exists(f"/proc/{it.pid}/root{node.path}")
                else None
            )
            right = (
                facts is not None
                and stat.S_ISCHR(facts.st_mode)
                and facts.st_rdev == os.makedev(node.major, node.minor)
            )
            host.fact(
                f"{node.path} is the device {node.major}:{node.minor}",
                right,
                found="no such file" if facts is None else f"mode {facts.st_mode:o}, device {_numbers(facts.st_rdev)}",
                look=f"ls -l {dev}",
                man="mknod(2)",
                hint="a MakeDevice for each of devices.DEFAULT, below root",
            )
            assert facts is not None
            host.fact(
                f"everybody may use {node.path}",
                stat.S_IMODE(facts.st_mode) == 0o666,
                found=f"mode {stat.S_IMODE(facts.st_mode):o}",
                look=f"ls -l {dev}",
                hint="programs that aren't root write to it, too: mode 0666",
            )
        foreign = sorted(
            set(os.listdir(dev)) - {"null", "zero", "full", "random", "urandom", "tty", "pts", "ptmx"} - LINKS
        )
        host.fact(
            "there are no devices of the host",
            not foreign,
            found=" ".join(foreign[:8]),
            look=f"ls {dev}",
            man="proc(5)",
            hint="never mount the host's devtmpfs or bind its /dev: it shows every disk",
        )
        points = [row["type"] for row in it.mounts() if row["destination"] == "/dev/pts"]
        host.fact(
            "/dev/pts is a devpts of its own",
            points == ["devpts"] and os.stat(f"{dev}/pts").st_dev != os.stat("/dev/pts").st_dev,
            found=points or "nothing is mounted there",
            look=f"grep devpts /proc/{it.pid}/mountinfo",
            man="pts(4)",
            hint="a new devpts (newinstance): with the host's, the container could write to your terminal",
        )
        mode = stat.S_IMODE(os.stat(f"{dev}/pts/ptmx").st_mode)
        host.fact(
            "everybody may open a terminal",
            mode == 0o666,
            found=f"/dev/pts/ptmx has mode {mode:o}",
            look=f"ls -l {dev}/pts/ptmx",
            man="pts(4)",
            hint="the kernel's default for ptmx is 0000: the option is called ptmxmode",
        )
        link = os.readlink(f"{dev}/stdout") if os.path.islink(f"{dev}/stdout") else "no link"
        host.fact("/dev/stdout is a link into /proc", link == "/proc/self/fd/1", found=link, hint="LinkDevices")
    good = host.run(root, "sh", "-c", "echo lost > /dev/null && head -c 4 /dev/zero")
    host.fact("harmless devices work", good.code == 0 and good.out == "\0" * 4, found=good.err or repr(good.out))
    bad = host.run(root, "sh", "-c", "mknod /tmp/kmsg c 1 11 && : < /tmp/kmsg && echo the kernel log is open")
    host.fact(
        "a node that the container makes itself leads nowhere",
        "not permitted" in bad.err,
        found=bad.out or bad.err,
        look="bpftool cgroup tree   (or devices.list on cgroup v1)",
        man="cgroups(7)",
        hint=(
            "mknod is allowed, opening is not: the last rule that fits counts, so deny all first, then "
            "allow what is harmless"
        ),
    )


LINKS = {"fd", "stdin", "stdout", "stderr"}


def _numbers(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"
