"""What a client says to a VNC server, without what would change anything: for those who may only look.

Pure and incremental: bytes in at any chunking, bytes out. Every message is taken apart and only what is known to be
harmless goes on; the first byte that is not understood ends the connection. Layouts: RFC 6143 section 7 and the
community's extensions (https://github.com/rfbproto/rfbproto/blob/master/rfbproto.rst).

    client says                                        goes on
    version, security choice, ClientInit               yes; only no security at all, and always shared
    SetPixelFormat, FramebufferUpdateRequest           yes
    EnableContinuousUpdates, ClientFence               yes
    SetEncodings                                       yes, changed as below
    KeyEvent, PointerEvent, ClientCutText              no
    SetDesktopSize, QEMU key event, xvp, gii           no

The owner's clipboard does not reach who looks: with the Extended Clipboard encoding, and a client that takes 0 bytes of
text unasked, a server only announces it, and no client may ask. So we say both on the client's behalf before it can
say anything else, and the encoding stays in whatever list it sends.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

EXTENDED_CLIPBOARD = 0xC0A1E5CE
_EXTENDED_MOUSE_BUTTONS = -316 & 0xFFFFFFFF
_XVP = -309 & 0xFFFFFFFF
_GII = -305 & 0xFFFFFFFF
# These would change how long a client's messages are, which a filter must know without hearing the server.
_NEVER = frozenset({_EXTENDED_MOUSE_BUTTONS, _XVP, _GII})
_MOST_ENCODINGS = 1024
_LONGEST_FENCE = 64
_VERSIONS = (b"RFB 003.007\n", b"RFB 003.008\n")
_NO_SECURITY = b"\x01"
_SHARED = b"\x01"

_CAPS_NOTIFY_TEXT = 1 << 24 | 1 << 27 | 1
_CLIPBOARD_CAPS = struct.pack(">B3xiII", 6, -8, _CAPS_NOTIFY_TEXT, 0)

# Messages of one length, by type: what goes on, what does not.
_KEPT = {0: 20, 3: 10, 150: 10}
_DROPPED = {4: 8, 5: 6, 250: 4}


class Refused(ValueError):
    """The client says what nobody who only looks would say; its connection has to end."""


def _encodings(wanted: list[int]) -> bytes:
    kept = [encoding for encoding in wanted if encoding not in _NEVER and encoding != EXTENDED_CLIPBOARD]
    kept.append(EXTENDED_CLIPBOARD)
    return struct.pack(f">BxH{len(kept)}I", 2, len(kept), *kept)


_GREETING = _encodings([0]) + _CLIPBOARD_CAPS


class ViewOnly:
    """One client's messages. After a Refused it must not be used any more."""

    def __init__(self) -> None:
        self._held = b""
        self._at = 0  # how much of it has been dealt with
        self._skip = 0
        self._step: Callable[[], bytes] = self._version

    def __call__(self, data: bytes) -> bytes:
        """What of it goes on to the server. Raises Refused."""
        self._held += data
        passed = []
        while True:
            skipped = min(self._skip, len(self._held) - self._at)
            self._at += skipped
            self._skip -= skipped
            before = self._at
            if before == len(self._held):
                break
            passed.append(self._step())
            if self._at == before:
                break
        self._held, self._at = self._held[self._at :], 0
        return b"".join(passed)

    # Each step takes one message, or nothing when it is not whole yet, and gives what goes on.

    def _take(self, size: int) -> bytes:
        head = self._peek(size)
        self._at += len(head)
        return head

    def _peek(self, size: int) -> bytes:
        head = self._held[self._at : self._at + size]
        return head if len(head) == size else b""

    def _version(self) -> bytes:
        version = self._take(12)
        if version:
            if version not in _VERSIONS:
                raise Refused("another version of RFB")
            self._step = self._security
        return version

    def _security(self) -> bytes:
        if self._take(1) != _NO_SECURITY:
            raise Refused("another security type")
        self._step = self._init
        return _NO_SECURITY

    def _init(self) -> bytes:
        self._take(1)
        self._step = self._message
        return _SHARED + _GREETING

    def _message(self) -> bytes:
        kind = self._held[self._at]
        if kind in _KEPT:
            return self._take(_KEPT[kind])
        if kind in _DROPPED:
            self._take(_DROPPED[kind])
            return b""
        variable = _VARIABLE.get(kind)
        if variable is None:
            raise Refused(f"message type {kind}")
        return variable(self)

    def _set_encodings(self) -> bytes:
        head = self._peek(4)
        if not head:
            return b""
        count = int.from_bytes(head[2:], "big")
        if count > _MOST_ENCODINGS:
            raise Refused(f"{count} encodings")
        message = self._take(4 + 4 * count)
        return _encodings(list(struct.unpack_from(f">{count}I", message, 4))) if message else b""

    def _fence(self) -> bytes:
        head = self._peek(9)
        if not head:
            return b""
        if head[8] > _LONGEST_FENCE:
            raise Refused("a fence that is too long")
        return self._take(9 + head[8])

    def _cut_text(self) -> bytes:
        if head := self._take(8):
            # A negative length is an extended message of that many bytes.
            self._skip = abs(int.from_bytes(head[4:], "big", signed=True))
        return b""

    def _desktop_size(self) -> bytes:
        if head := self._take(8):
            self._skip = 16 * head[6]
        return b""

    def _qemu(self) -> bytes:
        head = self._peek(2)
        if head and head[1] != 0:
            raise Refused(f"QEMU message {head[1]}")
        self._take(12)
        return b""

    def _gii(self) -> bytes:
        if head := self._take(4):
            self._skip = int.from_bytes(head[2:], "big" if head[1] & 0x80 else "little")
        return b""


_VARIABLE = {
    2: ViewOnly._set_encodings,
    6: ViewOnly._cut_text,
    248: ViewOnly._fence,
    251: ViewOnly._desktop_size,
    253: ViewOnly._gii,
    255: ViewOnly._qemu,
}
