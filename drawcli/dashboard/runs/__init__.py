"""Runs from the page: started now, paused and resumed."""
