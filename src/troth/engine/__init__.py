"""The engine: load, decide, save, perform. I/O only through ports; the rules of the log live in `journal` and `drive`."""
