"""Ways to reach participants elsewhere. One module per library; each answers every call exactly once."""
