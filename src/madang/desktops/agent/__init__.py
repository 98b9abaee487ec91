"""The agent: the small process beside a session. Started by a launcher, it knows nothing of the portal's database.

keeper    the first process; waits, and cleans up whatever ends the worker
└ worker  keeps the link, the door and the pulse; ends the session
  └ starter  for a moment, as the account: checks, then starts display and desktop
"""
