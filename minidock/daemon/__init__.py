"""The Engine API: Docker's REST interface to the same engine that the command line uses.

    app        listeners, versions, errors as JSON: what all routes have in common
    routes/    one file a noun: what is asked for, and in which shape it is answered
    workers    the daemon's side of the spawner: a call of the engine, awaited
    spawner    the process without threads that forks a worker for each call
    verbs      what a worker does: one line each, mostly one method of the engine
    streams    bodies that flow through a pipe to or from a worker
    hijack     a connection that stops being HTTP (attach, exec)
    websocket  the same for a page in a browser
    bridge     the bytes between such a connection and a container's shim
    births     who attaches before the start
    lines      what a worker tells while it works
    happenings the instance's events, for everybody who waits for one
    carrier    TLS by a thread, so that either direction of a connection can end alone
    client/    the other side of all this, for a command line that drives another daemon

The daemon itself never calls what could fork, clone or join a namespace, and never blocks: it moves bytes. Containers
outlive it, since it is not their parent: their shims are.
"""
