"""Where things run: the order for an agent, and the launchers that put an agent on a node.

Nothing here imports the portal's web or database parts: the agent beside each session shares these modules.
"""
