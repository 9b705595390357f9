"""The page of a run: `index.html`, one file that opens without a network and without a server."""
