"""Relevance: what each value contributed to the score, operation by operation."""
