"""The three wire formats, read and written.  Pure: text in, events out; no I/O, no async, no clock.

Every format has one module with the same names, and all meet in ``messages``:

    read_request(body)                      -> Conversation
    write_request(conversation, dialect, names) -> (body, losses)
    read_answer(body)                       -> [Event, ...]      an answer that is not a stream
    write_answer(events, asked)             -> body
    Reader().feed(event, data)              -> [Event, ...]      one SSE event of a stream; Reader().end() at its end
    Writer(asked).write(event)              -> bytes             SSE text, b"" where nothing is due yet
    read_error(status, body, retry_after)   -> WireError
    write_error(error)                      -> (status, body)
"""
