# Registers drawcli-task.xml, in the folder of this script, with the Task Scheduler. Run it once, in a
# PowerShell as administrator:
#
#     powershell -ExecutionPolicy Bypass -File install-task.ps1
#
# It asks for the account that may read the datastore. Shares need the password of that account: a
# task without it (S4U) cannot access other machines. To remove the task:
#
#     Unregister-ScheduledTask -TaskName $name
param(
    [string]$$TaskName = '$name',
    [System.Management.Automation.PSCredential]$$Account = (Get-Credential -Message 'The account that runs drawcli')
)
$$ErrorActionPreference = 'Stop'

$$xml = Get-Content -Raw -Encoding UTF8 -Path (Join-Path $$PSScriptRoot 'drawcli-task.xml')
Register-ScheduledTask -TaskName $$TaskName -Xml $$xml -Force `
    -User $$Account.UserName -Password $$Account.GetNetworkCredential().Password | Out-Null

Start-ScheduledTask -TaskName $$TaskName
Write-Output "Installed. Check it with: Get-ScheduledTaskInfo -TaskName $$TaskName"
