"""Virtual machines that boot from what their owner chooses."""
