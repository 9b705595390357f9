"""Formats of the leaderboard, each in a file of its own."""
