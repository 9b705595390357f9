"""The papers' tables as data, measured again: paper | measured [interval] | difference for every cell."""
