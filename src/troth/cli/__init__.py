"""The command line: reads the log, and leaves wishes in its mailbox. It needs none of the user's code."""
