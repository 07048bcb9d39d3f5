"""The pages: each a function from a request to an answer; what they say is in the templates."""
