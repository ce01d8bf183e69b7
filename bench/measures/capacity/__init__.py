"""`ece bench capacity`: the highest load at which the service level holds."""
