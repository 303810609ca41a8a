"""What a user gets first: the set-up of a checkout, the packages, their man pages and completions, on real Debians."""
