"""Contracts shared by everything: it imports nothing else of the project."""
