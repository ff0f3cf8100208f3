"""From a planned program to text."""
