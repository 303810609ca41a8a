"""A canonical: kept idle and whole, lent, restored."""
