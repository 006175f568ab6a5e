"""Labs: exercises in which somebody writes a small container runtime, and the kernel says whether it is right.

    catalogue.py   what a lab is (labs/NN-NAME/), and the skeleton cut out of its solution
    workspace.py   the student's directory: files to work on, hints already taken, what is done
    check.py       one check: the student's program in a sandbox, each fact asked of the kernel
    by_hand.py     the student's program without a check
    sandbox.py     a small host of its own, so that no mistake reaches the real one
    bench.py       what a lab's check.py works with: start the program, find its container, state a fact
    said.py        what /proc says of a process, and Python of a program
    faults.py      "debug the broken engine": the finished runtime with one thing wrong (labs/broken.toml)

Sees the kernel's files as the tests do: to look. Nothing of the engine imports it.
"""
