"""The shop put to the test: its processes killed, its network bad, its books audited. `make demo`."""
