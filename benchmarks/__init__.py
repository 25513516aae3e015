"""Speed and memory of frx beside what its users would use instead: `python -m benchmarks`."""
