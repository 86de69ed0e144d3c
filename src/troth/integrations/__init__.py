"""Glue for web frameworks and task queues: thin, and each imports only its own."""
