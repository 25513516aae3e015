"""The models that come with frx, one file each."""
