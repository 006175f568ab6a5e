"""Many machines: what a swarm is, what is kept of it, and who keeps it.

objects    the nouns: what the store keeps, and the states of a task
store      the shape of a store, its errors, and one in memory
"""
