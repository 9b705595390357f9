"""What a network looks for: images that it answers to most, patches that do, its first filters."""
