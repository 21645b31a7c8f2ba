"""Where attempts run: threads of this process and child processes of their own."""
