"""The local web page, without resources of other hosts.

It shows what `status`, `show`, `explain`, `report` and `doctor` show and, with `--allow-actions`,
does what `release`, `retry`, `assign` and `cancel` do. It names patients only with `--identify`,
after a login.
"""
