"""The ports: one Protocol per kind of outside thing, each with numbered clauses and one exam, and the error tree."""
