"""Say what this machine has, and what each runtime needs."""
