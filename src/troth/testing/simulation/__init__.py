"""The simulator: shipped core, driver and journal rules under virtual time, against faults drawn from a seed.

``python -m troth.testing.simulation --seed N`` replays a seed with a readable trace; ``--off FAULT`` leaves a fault
out and the other choices as they were. Everything runs in one thread from one heap of (time, order, callback).
"""
