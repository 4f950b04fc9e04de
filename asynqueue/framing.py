"""
How messages are told apart in a stream of bytes: as
C{multiprocessing.connection.Connection} does it. Before each message stands its
length, in 4 bytes, signed and big-endian; or -1 and then 8 bytes, if the length is
more than 4 can tell::

    length (4 bytes) | message
    -1 (4 bytes) | length (8 bytes) | message

I do no input and output. Standard library only: the far side imports me.
"""

import struct

SHORT = struct.Struct("!i")
"""
The shorter of the two headers.
"""

_LONG = struct.Struct("!Q")
_LONGEST_SHORT = 2**31 - 1
_IS_LONG = SHORT.pack(-1)


def header(length: int) -> bytes:
    """
    @param length: How long a message is, in bytes.
    @return: What stands before it.
    """
    if length <= _LONGEST_SHORT:
        return SHORT.pack(length)
    return _IS_LONG + _LONG.pack(length)


class Unframer:
    """
    I put the pieces of a stream together again, however it was cut, and give the
    messages in it one by one.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: "bytes | bytearray | memoryview") -> None:
        """
        Takes the next piece of the stream.
        """
        self._buffer += piece

    def message(self) -> bytes | None:
        """
        Takes the next message out.

        @return: The message, or C{None} if it is not there whole.
        @raise OSError: if what stands in the place of a length is none.
        """
        begin, length = self._head()
        if length is None or len(self._buffer) < begin + length:
            return None
        with memoryview(self._buffer) as view:
            message = bytes(view[begin : begin + length])
        del self._buffer[: begin + length]
        return message

    def rest(self) -> bytes:
        """
        Takes out all that is left, which is not, or not wholly, in messages.
        """
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _head(self) -> tuple[int, int | None]:
        """
        @return: Where the next message begins, and how long it is, which is
            C{None} if that is not known yet.
        """
        if len(self._buffer) < SHORT.size:
            return 0, None
        (length,) = SHORT.unpack_from(self._buffer)
        if length >= 0:
            return SHORT.size, length
        if length != -1:
            raise OSError(f"A message cannot be {length} bytes long: not a message")
        begin = SHORT.size + _LONG.size
        if len(self._buffer) < begin:
            return begin, None
        return begin, _LONG.unpack_from(self._buffer, SHORT.size)[0]
