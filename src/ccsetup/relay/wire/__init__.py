"""The three wire formats, read and written.  Pure: text in, events out; no I/O, no async, no clock.

Each package offers the names of a ``messages.Format``, all meet in the neutral form of ``messages``, and ``formats``
is the table of them.  An upstream's error is read by ``errors``, whatever its format.
"""
