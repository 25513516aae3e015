"""Photographs in, restored photographs out."""
