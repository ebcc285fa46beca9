"""Looking into a run: is it proven (``proof``), what was said (``diagram``), what goes on (``dashboard``)."""
