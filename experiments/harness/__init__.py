"""Adapter to EleutherAI's lm-evaluation-harness, and its local task files."""
