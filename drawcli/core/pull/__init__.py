"""What is asked of an archive and what its answers mean: keys, answers, times. Pure."""
