"""What `frx new` writes: packages and recipes to begin with."""
