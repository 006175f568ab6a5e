"""Lab 5: a stack of layers: the order, what is written where, and what was changed."""

from minidock.labs.bench import Host


def check(host: Host) -> None:
    bottom = host.rootfs("bottom", etc_which="bottom\n", etc_gone="still here\n")
    top = host.base / "top"
    (top / "etc").mkdir(parents=True)
    (top / "etc" / "which").write_text("top\n")
    scratch = host.base / "scratch"
    layers = f"{bottom}:{top}"
    with host.running(str(scratch), layers) as it:
        root = [row for row in it.mounts() if row["destination"] == "/"][-1]
        host.fact(
            "its / is an overlay",
            root["type"] == "overlay",
            found=root["type"],
            look=f"head -1 /proc/{it.pid}/mountinfo",
        )
        host.fact(
            "the top layer wins",
            it.read("/etc/which") == "top\n",
            found=f"/etc/which says {it.read('/etc/which').strip()}; {_lower(root['superblock'])}",
            look=f"head -1 /proc/{it.pid}/mountinfo",
            man="mount(8)",
            hint="an image lists its bottom layer first, lowerdir wants the top one first (leftmost): reverse",
        )
    command = "echo mine > /etc/which; rm /etc/gone; echo new > /etc/new; cat /etc/which"
    said = host.run(str(host.base / "scratch2"), layers, "sh", "-c", command)
    host.fact("a change is seen inside", said.out.startswith("mine\n"), found=said.out or said.err)
    kept = (top / "etc" / "which").read_text() == "top\n" and (bottom / "etc" / "gone").exists()
    host.fact(
        "the layers are as before",
        kept,
        look="ls -l the layers",
        hint="upperdir takes every write; a layer is only ever in lowerdir, for other containers use it too",
    )
    upper = host.base / "scratch2" / "upper"
    host.fact(
        "the changes are in scratch/upper",
        (upper / "etc" / "new").exists(),
        look=f"find {upper.parent}/upper",
        hint="upperdir is scratch/upper: it is looked at when the container has ended",
    )
    listed = said.out.splitlines()[1:]
    host.fact(
        "what was changed is told",
        listed == ["C /etc", "D /etc/gone", "A /etc/new", "C /etc/which"],
        found=listed,
        look=f"find {upper} -ls",
        man="mount(8)",
        hint=(
            "a deleted file is a *whiteout*: a character device with number 0:0 in the upper directory. "
            "A: nothing of that name in any layer"
        ),
    )


def _lower(options: str) -> str:
    return next((word for word in options.split(",") if word.startswith("lowerdir")), "no lowerdir")
