"""Commands for training: the sandbox, phantoms and the demo."""
