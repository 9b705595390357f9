"""From pixels to rows: maps, normalisation, scores. No disk, no flags."""
