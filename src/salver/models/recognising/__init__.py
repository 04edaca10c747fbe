"""What knows the files of each runtime, by their content. Bounded amounts are read, nothing of it is run."""
