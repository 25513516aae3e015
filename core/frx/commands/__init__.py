"""The commands of frx, a module each, imported when one is called."""
