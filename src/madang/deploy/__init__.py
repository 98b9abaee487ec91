"""Putting Madang on hosts: what to write is rendered from a layout, compared with what is there, then written."""
