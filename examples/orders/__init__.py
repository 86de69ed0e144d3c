"""The orders demo: a few hundred orders, three worker processes, and a parent that kills them all the while.

`shop.py` is the part to copy: the steps and the saga of a real shop. Everything else is the demo around it.
"""
