"""What a person or a monitor does about a site."""
