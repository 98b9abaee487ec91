"""The command line: one file a group of commands; calls services, holds no logic."""
