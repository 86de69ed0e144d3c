"""The benchmark: troth, bare loops and DBOS side by side, in one run, on one machine.

``make bench`` (or ``python -m bench``) prints tables and writes JSON; ``--quick`` only shows that everything works.
Each *side* is a process of its own that answers orders on a pipe and is stopped (SIGSTOP) while others are measured;
rounds are interleaved, and the median of the rounds counts.
"""
