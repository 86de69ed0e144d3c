"""Exams: one conformance suite per port. An adapter's author subclasses one and runs it with pytest."""
