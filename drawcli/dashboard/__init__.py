"""The local web page: all of it made here, nothing fetched from elsewhere, read-only.

It reads what `status`, `show`, `explain`, `report` and `doctor` read, and does what `release`,
`retry`, `assign` and `cancel` do. Nothing it serves names a patient, but to one who has logged in
where the page was started with `--identify`.
"""
