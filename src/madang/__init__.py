"""Madang: remote desktops, machines, classes and jobs on machines you own."""

__version__ = "0.1.0"
