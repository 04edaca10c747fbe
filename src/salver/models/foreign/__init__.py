"""Models as other servers keep them: their own files are read, and said in our words what of them holds here."""
