"""Adapters: each knows one outside thing (a store, a kind of caller, a database) and fulfils one port."""
