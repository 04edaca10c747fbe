"""Answers as tables and packed documents: one file for each form, for every wire that gives them."""
