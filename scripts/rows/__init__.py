"""The rows of scripts/bench, by what they are about.

engines.py     both engines side by side, and how they are timed
containers.py, images.py, memory.py, transfer.py (pull and push), throughput.py (packets)
growth.py      many of something, quickly
table.py       from samples to docs/benchmarks.md
"""
