"""The losses that come with frx, one file each."""
