"""What was sent to whom, and whether alarms are silenced: files of `state_dir`."""
