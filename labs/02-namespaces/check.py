"""Lab 2: namespaces of its own, a name of its own, and a first process that does its duty."""

import os

from minidock.labs.bench import Host
from minidock.labs.said import status_of

WHERE = {"uts": "uts_namespaces(7)", "ipc": "ipc_namespaces(7)", "pid": "pid_namespaces(7)"}


def check(host: Host) -> None:
    before = os.uname().nodename
    with host.running("fresh") as it:
        for kind, man in WHERE.items():
            host.fact(
                f"the {kind} namespace is its own",
                it.namespace(kind) != host.namespace(kind),
                found=f"both have {kind}:[{it.namespace(kind)}]",
                look=f"readlink /proc/self/ns/{kind} /proc/{it.pid}/ns/{kind}",
                man=man,
                hint=f"clone3 has a flag for each kind; namespaces.flags(kinds) gives the bits. Is {kind} among them?",
            )
        host.fact(
            "the host still has its own name",
            os.uname().nodename == before,
            found=f"the host is called {os.uname().nodename} now",
            look="hostname",
            man="sethostname(2)",
            hint="set the name in the child, once it is in its new namespace: before, it is everybody's",
        )
        init = int(it.status("PPid"))
        inside = status_of(init).get("NSpid", "").split()
        host.fact(
            "the command's parent is process 1 of the container",
            inside[-1:] == ["1"],
            found=f"the parent is {init}, NSpid {' '.join(inside)}",
            look=f"grep NSpid /proc/{init}/status",
            man="pid_namespaces(7)",
            hint="the child of clone3 is PID 1; it forks the command and stays",
        )
    name = host.run("fresh", "hostname").out.strip()
    host.fact("inside, the name is the one asked for", name == "fresh", found=name, look="hostname", man="uname(2)")
    code = host.run("fresh", "sh", "-c", "exit 5").code
    host.fact(
        "the exit code comes through",
        code == 5,
        found=code,
        man="wait(2)",
        hint="init ends with the command's exit code",
    )
    _orphans(host)


def _orphans(host: Host) -> None:
    """A grandchild whose parent has gone: it falls to PID 1, and somebody must wait for it."""
    script = "(sleep 0.05 &); exec sleep 1000"
    with host.running("fresh", command=["sh", "-c", script], becomes=["sleep", "1000"]) as it:
        init = it.status("PPid")

        def children() -> list[int]:
            return [pid for pid in host.processes() if status_of(pid).get("PPid") == init]

        alone = host.until(lambda: children() == [it.pid], seconds=2)
        states = {pid: status_of(pid).get("State", "gone") for pid in children() if pid != it.pid}
        host.fact(
            "an orphan that has died is buried",
            alone,
            found=states,
            look=f"ps -o pid,stat,args --ppid {init}",
            man="wait(2)",
            hint=(
                "a zombie (Z) waits for its parent to wait for it: wait for any child, in a loop, not "
                "only for the command"
            ),
        )
