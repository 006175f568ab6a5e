"""Registries: the OCI distribution protocol, spoken from both ends of a name.

    names.py       a name's domain → which servers to ask, under which rules (mirrors, plain http, certificates)
    config.py      ~/.docker/config.json and credential helpers: who we are there
    auth.py        how a 401 is answered: a conversation without I/O
    wire.py        one request and its answer: connections, proxies, redirects, retries; the only user of urllib3
    client.py      the protocol's verbs: manifests, blobs, uploads, tags
    download.py    one blob → one file, resumed where it broke off
    pull.py        a name → an image of the store            push.py      and back
    sources.py     which repositories a layer has been seen in

docs/registries.md follows a pull through them. Nothing here is imported unless a registry is talked to.
"""
