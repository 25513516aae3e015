"""The JSON Schema of recipes, by which editors complete and check them."""
