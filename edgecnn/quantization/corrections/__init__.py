"""Corrections of a quantized core: weights and biases that make up for rounding."""
