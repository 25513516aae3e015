"""Listeners of a run."""
