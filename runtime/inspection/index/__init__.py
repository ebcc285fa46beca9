"""An index of a run's message logs, so that any filter's first page comes at once.

It is a cache beside the logs: built when they are first listed, brought up to date when they have grown,
safe to delete, and never asked by ``verify``. ``lines`` reads what it needs of a line, ``build`` goes over
the logs once in the order of time, ``ngrams`` remembers which text is where, ``store`` keeps all that and
brings it up to date, ``query`` answers. A message that is shown is read from its log, and its hash checked.
"""
