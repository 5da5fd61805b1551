"""Judges of two replies: an interface, rules, scores, and a model's words."""
