"""Scores of restorers, each with its protocol, its region and the input's own beside it."""
