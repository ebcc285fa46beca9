"""What the coordinators of two communities settle with each other, in a ``hybrid`` market.

``course`` is a session's course, ``across`` what the trade between them comes to. ``counterpart`` carries
the messages: ``heard`` keeps what the other has said, ``doubt`` a slot of which one side does not know
whether the other has traded in it. At the end ``books`` joins both records, and ``unconfirmed`` settles what
has stayed in doubt.
"""
