"""The degradations that come with frx, one file each."""
