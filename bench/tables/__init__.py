"""Leaderboards: built once from per-image scores, then rendered as CSV, Markdown, LaTeX, text and a figure."""
