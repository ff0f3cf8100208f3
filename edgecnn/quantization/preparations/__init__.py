"""Preparations of a float core: it computes the same, and rounding costs it less."""
