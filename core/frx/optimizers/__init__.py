"""Rules by which weights follow their gradients: torch's own, with checked options."""
