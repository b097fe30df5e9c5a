"""The `absa` command: puts the subcommands together. Knows nothing of what they do.

Subcommands import what is heavy (torch, transformers) only when they run, so that `absa --help` answers at once.
"""

import typer

from absa_server.commands.bench import bench
from absa_server.commands.deploy import deploy, update
from absa_server.commands.destroy import destroy
from absa_server.commands.doctor import doctor
from absa_server.commands.invoke import invoke
from absa_server.commands.package_model import package_model
from absa_server.commands.plan import plan
from absa_server.commands.push_image import push_image
from absa_server.commands.rollback import rollback
from absa_server.commands.serve import serve
from absa_server.commands.smoke import smoke
from absa_server.commands.status import status
from absa_server.commands.train_demo import train_demo
from absa_server.commands.upload_model import upload_model

app = typer.Typer(
    name="absa",
    help="Train, pack, upload and serve aspect-based sentiment models; measure a server; plan and run a fleet.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    add_completion=False,
)
app.command("bench")(bench)
app.command("deploy")(deploy)
app.command("destroy")(destroy)
app.command("doctor")(doctor)
app.command("invoke")(invoke)
app.command("package-model")(package_model)
app.command("plan")(plan)
app.command("push-image")(push_image)
app.command("rollback")(rollback)
app.command("serve")(serve)
app.command("smoke")(smoke)
app.command("status")(status)
app.command("train-demo")(train_demo)
app.command("update")(update)
app.command("upload-model")(upload_model)


def main() -> None:
    """Run the command line of this process."""
    app()
