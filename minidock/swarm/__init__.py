"""Many machines: what a swarm is, what is kept of it, and who keeps it.

objects    the nouns: what the store keeps, and the states of a task
store      the shape of a store, its errors, and one in memory

The cluster's half:

membership what this machine is: init, join, leave, unlock, restart (`beginning`, `node`, `refusals`, `about`)
manager    a manager at work: its etcd (`etcd_server`), store, campaign (`leader`), port (`dispatcher`, `admission`)
agent      a node's own side: session, heartbeat, what it is to run (`assignments` is the store's side of that)
broker     logs of tasks on other nodes, by way of the leader (`telling` is the node's side of that)
wire       JSON over mutual TLS between nodes; `ca`, `tokens`, `sealing` are what it trusts
etcd       etcd by its JSON gateway, and `etcd_store`: the store that all managers share
cluster    settings and secrets of the swarm; `nodes`, `kept` (secrets, configs) are its other nouns; `happened`: events

The services' half, plain functions of the store and the time:

validate, services, defaults    what a service may be, and what the API does with it
board, loops       one pass of the leader: everything read once, every loop in its turn
replicated, globals, jobs       how many tasks a service has, and in which slots
restarts, updates  what takes the place of a task that has ended, or is out of date
allocator, scheduler, filters, constraints    which ports it has, and which node it goes to
networks, subnets, addressing, gateways      networks of the swarm, and who has which address on them
mesh               ports that answer on every node
enforcer, reaper   what doesn't fit any more, and what nobody needs any more

On each node:

executor, story    tasks become containers, step by step, through the daemon's workers
containers, templates, deposit      what a task's container is; its secrets and configs as files
wiring             networks of the swarm on this node; `landscape` says what it must know of them
ingress            published ports: connections are passed on to the tasks, each in turn
"""
