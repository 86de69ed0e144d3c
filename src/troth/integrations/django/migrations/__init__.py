"""Migrations of the barrier's tables."""
