"""What Madang's speed is measured with, side by side with peers: `python -m bench` (see docs/performance.md)."""
