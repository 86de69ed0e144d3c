"""Private servers for tests: real ones, in a directory and on a port of their own, that can be killed and restarted."""
