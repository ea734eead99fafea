"""The e-mails that tell what happened while nobody looked.

``daily``, ``weekly`` and ``alert`` turn values into what to say, ``page`` writes it as text and as HTML, ``letter`` makes a
message of it, ``mail`` sends it, ``outbox`` keeps what could not be sent, ``gathering`` finds the values in the archive.

No word of a message ever stands in a report. Names of chats do, unless the settings forbid it: it is the user's own mailbox.
"""
