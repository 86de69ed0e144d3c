"""``troth check-participant``: the protocol's clauses, asked of a participant in whatever language."""
