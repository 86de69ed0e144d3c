"""What runs beside a user's effects: the barrier, and what a Python exception means."""
