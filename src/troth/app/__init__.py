"""The Troth object: the only code that names adapters."""
