"""The pages: functions from a request to a response; their texts are in the templates."""
