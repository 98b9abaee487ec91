"""What operations of desktops share: how a session is named in a path, the errors that they document."""

from __future__ import annotations

from typing import Annotated

from litestar.params import Parameter

SessionId = Annotated[str, Parameter(max_length=20, description="Id of a session.")]
