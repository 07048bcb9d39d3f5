"""All commands."""

from drawcli.cli import (
    audit_command,
    config_command,
    dashboard_command,
    deidentify_commands,
    delivery_commands,
    doctor_command,
    help_command,
    job_commands,
    key_commands,
    ledger_commands,
    logs_command,
    migration_command,
    nodes_command,
    notify_command,
    open_command,
    pause_command,
    pipeline_commands,
    preview_command,
    qa_commands,
    reasons_command,
    receive_command,
    report_command,
    rules_commands,
    scan_command,
    show_command,
    site_commands,
    status_command,
    template_commands,
    token_commands,
)
from drawcli.cli.cluster import commands as cluster_commands
from drawcli.cli.cluster import group_command, worker_command
from drawcli.cli.network import pull_command
from drawcli.cli.page import users_commands
from drawcli.cli.program import bare_app
from drawcli.cli.training import sandbox_commands

app = bare_app(help_command.HelpByUse)

pipeline_commands.register(
    app,
    {
        "deidentify": deidentify_commands.deidentify,
        "reidentify": delivery_commands.reidentify,
        "scan": scan_command.scan,
    },
)
deidentify_commands.register(app)
status_command.register(app)
show_command.register(app)
reasons_command.register(app)
report_command.register(app)
doctor_command.register(app)
job_commands.register(app)
delivery_commands.register(app)
preview_command.register(app)
qa_commands.register(app)
rules_commands.register(app)
template_commands.register(app)
site_commands.register(app)
migration_command.register(app)
key_commands.register(app)
token_commands.register(app)
ledger_commands.register(app)
audit_command.register(app)
nodes_command.register(app)
notify_command.register(app)
receive_command.register(app)
pull_command.register(app)
cluster_commands.register(app)
group_command.register(app)
worker_command.register(app)
dashboard_command.register(app)
users_commands.register(app)
sandbox_commands.register(app)
pause_command.register(app)
open_command.register(app)
logs_command.register(app)
config_command.register(app)
help_command.register(app)
