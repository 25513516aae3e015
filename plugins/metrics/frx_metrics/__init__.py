"""The metrics that come with frx, one file each."""
