"""Lab 8: what root may still do, as the kernel has it in /proc/PID/status."""

import os

from minidock.kernel import capabilities, masks
from minidock.labs.bench import Host


def check(host: Host) -> None:
    root = str(host.rootfs())
    wanted = capabilities.mask(capabilities.resolve([], [], False).bounding)
    with host.running(root) as it:
        for key, word in (
            ("CapBnd", "the bounding set"),
            ("CapEff", "what it may use"),
            ("CapPrm", "what it may take"),
        ):
            found = int(it.status(key), 16)
            more = capabilities.names_of(found & ~wanted)
            host.fact(
                f"{word} holds Docker's 14 capabilities ({key})",
                found == wanted,
                found=f"{found:016x}" + (f": too many are {', '.join(more[:5])} …" if more else ""),
                look=f"grep Cap /proc/{it.pid}/status",
                man="capabilities(7)",
                hint=(
                    "execve(2) gives root all of the bounding set back, so that is what must be lowered: "
                    "DropBoundingSet"
                ),
            )
        host.fact(
            "no program can gain privileges",
            it.status("NoNewPrivs") == "1",
            found=f"NoNewPrivs: {it.status('NoNewPrivs')}",
            look=f"grep NoNewPrivs /proc/{it.pid}/status",
            man="prctl(2)",
            hint="PR_SET_NO_NEW_PRIVS: setuid bits and file capabilities count no more (minidock.kernel.no_new_privs)",
        )
        host.fact(
            "system calls are filtered",
            it.status("Seccomp") == "2",
            found=f"Seccomp: {it.status('Seccomp')}",
            look=f"grep Seccomp /proc/{it.pid}/status",
            man="seccomp(2)",
            hint="mode 2 is a filter: load_filter(profile) is a step, and only apply() loads it",
        )
        points = {row["destination"]: row["options"] for row in it.mounts()}
        bare = [
            path for path in masks.MASKED if path.startswith("/proc/") and os.path.exists(path) and path not in points
        ]
        host.fact(
            "what tells about the whole machine is hidden",
            not bare,
            found=f"not hidden: {' '.join(bare)}",
            look=f"grep ' /proc/' /proc/{it.pid}/mountinfo",
            man="proc(5)",
            hint="a MaskPath for each of masks.MASKED, once the root has changed",
        )
        host.fact(
            "/proc/sys is read-only",
            "ro" in points.get("/proc/sys", "").split(","),
            found=points.get("/proc/sys", "it is no mount of its own"),
            look=f"grep /proc/sys /proc/{it.pid}/mountinfo",
            man="mount_setattr(2)",
            hint="a ReadonlyPath for each of masks.READONLY: /proc/sys/kernel/core_pattern is the host's",
        )
    said = host.run(root, "sh", "-c", "id -u; mount -t tmpfs none /tmp; hostname stolen; true")
    host.fact(
        "it is root, and may neither mount nor rename the machine",
        said.out == "0\n" and said.err.count("ermitted") + said.err.count("denied") >= 2,
        found=f"{said.out}{said.err}",
    )
