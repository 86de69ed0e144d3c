"""What is measured: one file each, each with ``measure(sizes, room, say)`` that returns plain values for the JSON."""
