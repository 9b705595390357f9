"""The Python API: what `cambench` gives notebooks and programs, and what the command line itself uses."""
