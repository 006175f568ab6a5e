"""daemon: the same engine for everybody who speaks Docker's API."""

from __future__ import annotations

from ..errors import UsageError
from . import context, parse_gpus
from .commands import verb
from .flags import boolean, many, text


@verb(
    "daemon",
    "Serve Docker's API",
    "[OPTIONS]",
    flags=[
        many("host", "H", "Where to listen: unix:///path or tcp://address:port (default unix:///run/minidock.sock)"),
        many("cdi-spec-dir", "", "Look for CDI files here, lowest priority first (default /etc/cdi and /var/run/cdi)"),
        boolean("tls", "", "Use TLS on TCP; implied by --tlsverify"),
        boolean("tlsverify", "", "Use TLS on TCP, and let nobody in without a certificate"),
        text("tlscacert", "", "Trust certs signed only by this CA"),
        text("tlscert", "", "Path to TLS certificate file"),
        text("tlskey", "", "Path to TLS key file"),
    ],
    least=0,
    most=0,
    examples="""
        sudo minidock daemon
        DOCKER_HOST=unix:///run/minidock.sock docker run -it --rm debian bash
    """,
)
def daemon(
    host: list[str], cdi_spec_dir: list[str], tls: bool, tlsverify: bool, tlscacert: str, tlscert: str, tlskey: str
) -> None:
    from ..daemon import listen

    secured = None
    if tls or tlsverify:
        if not (tlscert and tlskey and (tlscacert or not tlsverify)):
            raise UsageError("TLS needs --tlscert and --tlskey, and --tlsverify also --tlscacert")
        secured = listen.Tls(tlscacert, tlscert, tlskey, tlsverify)
    listen.start(context.layout(), host, secured, parse_gpus.spec_directories(cdi_spec_dir))
