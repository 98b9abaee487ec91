"""The ground every slice stands on. Nothing in here knows a slice."""
