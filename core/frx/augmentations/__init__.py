"""Variations of a training sample, applied before it is damaged."""
