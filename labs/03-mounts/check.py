"""Lab 3: mounts that stay inside, and a /proc of the container's own."""

import os
from collections import Counter

from minidock.labs.bench import Host


def check(host: Host) -> None:
    before = [row["destination"] for row in host.mounts()]
    with host.running() as it:
        host.fact(
            "the mount namespace is its own",
            it.namespace("mount") != host.namespace("mount"),
            look=f"readlink /proc/self/ns/mnt /proc/{it.pid}/ns/mnt",
            man="mount_namespaces(7)",
            hint="is mount among KINDS?",
        )
        # Some may have gone meanwhile: the kernel takes a mount away whose directory somebody removes elsewhere.
        new = Counter(row["destination"] for row in host.mounts()) - Counter(before)
        host.fact(
            "the host's mounts are as before",
            not new,
            found=f"new on the host: {' '.join(new.elements())}",
            look="cat /proc/self/mountinfo",
            man="mount_namespaces(7)",
            hint="your mount has travelled to the host: its mounts are shared, so make yours private before you mount",
        )
        shared = [line for line in it.mountinfo() if " shared:" in line]
        host.fact(
            "no mount of the container is shared",
            not shared,
            found=shared[0] if shared else "",
            look=f"grep shared: /proc/{it.pid}/mountinfo",
            man="mount_namespaces(7)",
            hint="`/` alone is not enough: every mount below it has its own propagation (MS_REC)",
        )
        processes = [name for name in os.listdir(f"/proc/{it.pid}/root/proc") if name.isdigit()]
        host.fact(
            "its /proc shows its own processes, and no others",
            "1" in processes and len(processes) == 2,
            found=f"{len(processes)} processes: {' '.join(sorted(processes, key=int)[:8])}",
            look=f"ls /proc/{it.pid}/root/proc",
            man="proc(5)",
            hint="a proc shows the pid namespace of the process that mounted it: mount a new one, in the child",
        )
        host.mount_tmpfs("later")
        seen = [line for line in it.mountinfo() if line.split()[4].endswith("/later")]
        host.fact(
            "what the host mounts later is not seen inside",
            not seen,
            found=seen[0] if seen else "",
            look=f"grep later /proc/{it.pid}/mountinfo",
            man="mount_namespaces(7)",
            hint="`master:` in mountinfo: a slave sees what its master mounts. Private has no ties in either direction",
        )
