"""The `absa` command: puts the subcommands together. Knows nothing of what they do.

Subcommands import what is heavy (torch, transformers) only when they run, so that `absa --help` answers at once.
"""

import typer

from absa_server.commands.bench import bench
from absa_server.commands.deploy import deploy, update
from absa_server.commands.destroy import destroy
from absa_server.commands.plan import plan
from absa_server.commands.push_image import push_image
from absa_server.commands.rollback import rollback
from absa_server.commands.serve import serve
from absa_server.commands.smoke import smoke
from absa_server.commands.train_demo import train_demo

app = typer.Typer(
    name="absa",
    help="Serve aspect-based sentiment models, train demo models, check and measure a server, plan and deploy a fleet.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    add_completion=False,
)
app.command("bench")(bench)
app.command("deploy")(deploy)
app.command("destroy")(destroy)
app.command("plan")(plan)
app.command("push-image")(push_image)
app.command("rollback")(rollback)
app.command("serve")(serve)
app.command("smoke")(smoke)
app.command("train-demo")(train_demo)
app.command("update")(update)


def main() -> None:
    """Run the command line of this process."""
    app()
