"""From a graph's operators to layers: one file for each family, one rule for each operator."""
