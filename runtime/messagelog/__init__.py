"""The message log: every agent's own hash-chained account of what it sent and received.

``record`` is one line of it, ``chain`` checks how lines follow each other, ``writer`` is what an agent holds,
``reader`` lists, merges and follows the logs of a run, ``pairing`` brings what was sent together with what
arrived, ``verify`` checks both. Nothing here needs more than the standard library, for every prosumer process
writes a log.
"""
