"""Stores: where the log lives. Each fulfils `troth.ports.store` and sits `troth.testing.exams.store`."""
