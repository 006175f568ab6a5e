"""minidock-oci: the runtime specification's command line, on the same `runtime` that the engine uses.

A bundle is a directory with config.json and a root file system; a container has an id and a directory with its state.
There is no shim here: the caller (a person, containerd's shim, conmon) is the container's parent, or becomes it.
"""
