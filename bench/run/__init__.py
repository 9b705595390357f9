"""From a plan to stored rows and their table."""
