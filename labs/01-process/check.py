"""Lab 1: the command is a child of the program, and its end becomes the program's."""

from minidock.labs.bench import Host


def check(host: Host) -> None:
    with host.running() as it:
        parent = int(it.status("PPid"))
        host.fact(
            "the command is a child of your program",
            parent == it.program,
            found=f"PPid is {parent}, your program is {it.program}",
            look="ps -o pid,ppid,args --forest",
            man="fork(2)",
            hint="one fork(2): the child becomes the command, and nobody stands between the two",
        )
    said = host.run("echo", "hello")
    host.fact("what it prints is seen", said.out == "hello\n", found=repr(said.out), man="execve(2)")
    for code, command in ((0, "true"), (7, "exit 7"), (143, "kill -TERM $$"), (137, "kill -KILL $$")):
        got = host.run("sh", "-c", command).code
        signal = "WTERMSIG: 128 + the number of the signal that killed it" if code > 128 else "WEXITSTATUS"
        host.fact(
            f"`{command}` ends with {code}",
            got == code,
            found=got,
            look=f"sh -c '{command}'; echo $?",
            man="wait(2)",
            hint=f"wait for the child, and turn what wait(2) says, which is not the exit code: look at {signal}",
        )
    missing = host.run("no-such-command")
    host.fact(
        "a command that isn't there gives 127",
        missing.code == 127,
        found=missing.code,
        man="execvp(3)",
        hint="exec fails with ENOENT: the child must then say so and _exit(127), and never return into your program",
    )
    denied = host.run("/etc/passwd")
    host.fact(
        "a file that is no program gives 126",
        denied.code == 126,
        found=denied.code,
        man="execve(2)",
        hint="execve(2) says EACCES: there is a file, but it can't be executed",
    )
