"""What the machine was like while something was measured, and what makes that doubtful."""
