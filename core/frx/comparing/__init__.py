"""Runs side by side, over the same images."""
