"""The subcommands of `absa`, one module each."""
