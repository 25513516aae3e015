"""Classical methods that networks are compared with: no training, no weights."""
