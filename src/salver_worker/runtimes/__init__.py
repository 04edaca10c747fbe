"""One file for each kind of model. `specs` has the rows that describe them; nothing is imported before it is needed."""
