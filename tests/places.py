"""Where things are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "tests" / "assets"
SHARED = ROOT.parent / "shared"
"""Images and weights that are not part of the project; tests that use them skip without."""
