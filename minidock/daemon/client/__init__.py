"""The other side of the API: this command line drives another daemon, minidock's or Docker's.

    endpoint    which one: -H, --context, MINIDOCK_HOST, DOCKER_HOST, the current context
    contexts    named endpoints, in Docker's own store: both clients see the same ones
    dial        a connection to it: unix socket, TCP, or with somebody between who carries bytes:
    tls, ssh        a thread that encrypts them, a process on this side of a tunnel
    api         requests and answers: version, JSON, errors, streams, and connections that stop being HTTP
    failures    what the daemon says went wrong → the tree in minidock/errors.py
    carry       the other half of ssh://: standard streams as a connection (system dial-stdio)
    remote/     the engine's verbs, one file an idea, table of contents of the rest:
    containers, attached, files, stats, images, registries, networks, volumes, building, usage    one
                file a noun

Nothing of this is imported by a command that works on its own root directory.
"""
