# Registers drawcli-receive-task.xml, in the folder of this script, with the Task Scheduler. Run it once, in a
# PowerShell as administrator:
#
#     powershell -ExecutionPolicy Bypass -File install-receive.ps1
#
# It asks for the account that may write the folder for received images. Shares need the password of that account: a
# task without it (S4U) cannot access other machines. To remove the task:
#
#     Unregister-ScheduledTask -TaskName $name-receive
param(
    [string]$$TaskName = '$name-receive',
    [System.Management.Automation.PSCredential]$$Account = (Get-Credential -Message 'The account that runs drawcli')
)
$$ErrorActionPreference = 'Stop'

$$xml = Get-Content -Raw -Encoding UTF8 -Path (Join-Path $$PSScriptRoot 'drawcli-receive-task.xml')
Register-ScheduledTask -TaskName $$TaskName -Xml $$xml -Force `
    -User $$Account.UserName -Password $$Account.GetNetworkCredential().Password | Out-Null

Start-ScheduledTask -TaskName $$TaskName
Write-Output "Installed. Check it with: Get-ScheduledTaskInfo -TaskName $$TaskName"
