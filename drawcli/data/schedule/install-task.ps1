# Gives drawcli-task.xml, which lies beside this script, to the Task Scheduler. Run it once, in a
# PowerShell of an administrator:
#
#     powershell -ExecutionPolicy Bypass -File install-task.ps1
#
# It asks for the account that may read the datastore. Shares need the password of that account: a
# task without it (S4U) reaches no other machine. To take the task away:
#
#     Unregister-ScheduledTask -TaskName drawcli
param(
    [string]$$TaskName = 'drawcli',
    [System.Management.Automation.PSCredential]$$Account = (Get-Credential -Message 'Who runs drawcli?')
)
$$ErrorActionPreference = 'Stop'

$$xml = Get-Content -Raw -Encoding UTF8 -Path (Join-Path $$PSScriptRoot 'drawcli-task.xml')
Register-ScheduledTask -TaskName $$TaskName -Xml $$xml -Force `
    -User $$Account.UserName -Password $$Account.GetNetworkCredential().Password | Out-Null

Start-ScheduledTask -TaskName $$TaskName
Write-Output "Installed. Look at it with: Get-ScheduledTaskInfo -TaskName $$TaskName"
