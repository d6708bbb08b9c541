"""Corpus, training and evaluation of the starter models. Imports the services' models, never the reverse."""
