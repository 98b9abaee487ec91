"""Desktops over VNC."""
