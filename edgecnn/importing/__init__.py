"""Import: what a user has becomes a bundle, and what was assumed is said."""
