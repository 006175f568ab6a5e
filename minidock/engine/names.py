"""What containers are called whom nobody named: an id, and a mood and a person who made computing what it is."""

from __future__ import annotations

import os

MOODS = """
able amazed awake brave bright calm candid cheerful clever cosy curious daring eager earnest fair fearless fond free
gentle glad happy honest hopeful humble jolly keen kind lively loyal lucid merry mighty modest nimble patient playful
proud quick quiet ready relaxed rested sharp silent sincere smart steady sunny swift tender thankful tidy upbeat vivid
warm wise witty young zesty
"""

PEOPLE = """
allen antonelli babbage backus bartik bell berners_lee boole borg brooks cerf church clarke codd conway corbato dahl
dijkstra eckert engelbart estrin feinler floyd gosling goldberg hamilton hamming hejlsberg hoare holberton hopper
iverson jacobson kahn kay keller kernighan kilburn knuth lamarr lamport liskov lovelace matsumoto mauchly mccarthy
meltzer milner naur neumann noyce nygaard perlman pike postel ritchie rivest saltzer shannon sammet spence steele
stroustrup tanenbaum tarjan thompson torvalds turing wall wilkes wirth zuse
"""


SHORT = 12
"""Digits of an id that are shown, and are the host name."""


def new_id() -> str:
    """64 hexadecimal digits, of which the first twelve are never all decimal: gethostbyname(3) takes such a host name
    for an address, a wrong one, and doesn't look for it in /etc/hosts. (Of 300 ids one would be so.)"""
    while True:
        found = os.urandom(32).hex()
        if not found[:SHORT].isdecimal():
            return found


def invent() -> str:
    """`curious_hopper`."""
    return f"{_any_of(MOODS)}_{_any_of(PEOPLE)}"


def _any_of(words: str) -> str:
    """By the kernel's random numbers: the module `random` takes 2 ms to load."""
    choices = words.split()
    return choices[int.from_bytes(os.urandom(4), "big") % len(choices)]
