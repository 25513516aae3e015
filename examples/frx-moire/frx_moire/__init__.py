"""Moiré of photographed screens, as components for frx."""
