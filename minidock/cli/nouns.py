"""The nouns, and `help`: the same verbs as at the top, under what they act on."""

from __future__ import annotations

import click

from .commands import Entry, Noun, verb

container = Noun(
    "container",
    "Manage containers",
    {
        "attach": Entry(
            "lifecycle:attach", "Attach local standard input, output, and error streams to a running container"
        ),
        "commit": Entry("changes:commit", "Create a new image from a container's changes"),
        "cp": Entry("cp:cp", "Copy files/folders between a container and the local filesystem"),
        "create": Entry("run:create", "Create a new container"),
        "diff": Entry("changes:diff", "Inspect changes to files or directories on a container's filesystem"),
        "exec": Entry("exec:exec_", "Execute a command in a running container"),
        "export": Entry("changes:export", "Export a container's filesystem as a tar archive"),
        "inspect": Entry("inspect:container_inspect", "Display detailed information on one or more containers"),
        "kill": Entry("lifecycle:kill", "Kill one or more running containers"),
        "logs": Entry("logs:logs", "Fetch the logs of a container"),
        "ls": Entry("ps:ps", "List containers"),
        "pause": Entry("lifecycle:pause", "Pause all processes within one or more containers"),
        "port": Entry("top:port", "List port mappings or a specific mapping for the container"),
        "prune": Entry("prune:container_prune", "Remove all stopped containers"),
        "rename": Entry("lifecycle:rename", "Rename a container"),
        "restart": Entry("lifecycle:restart", "Restart one or more containers"),
        "rm": Entry("lifecycle:rm", "Remove one or more containers"),
        "run": Entry("run:run", "Create and run a new container from an image"),
        "start": Entry("lifecycle:start", "Start one or more stopped containers"),
        "stats": Entry("stats:stats", "Display a live stream of container(s) resource usage statistics"),
        "stop": Entry("lifecycle:stop", "Stop one or more running containers"),
        "top": Entry("top:top", "Display the running processes of a container"),
        "unpause": Entry("lifecycle:unpause", "Unpause all processes within one or more containers"),
        "update": Entry("update:update", "Update configuration of one or more containers"),
        "wait": Entry("lifecycle:wait", "Block until one or more containers stop, then print their exit codes"),
        "cleanup": Entry("lifecycle:cleanup", "Undo what a container that has ended left on the host", ""),
        "revive": Entry("lifecycle:revive", "Start a container again, as its restart policy wants", ""),
        "probe": Entry("lifecycle:probe", "Check a container's health once", ""),
        "restore": Entry("lifecycle:restore", "Start the containers that their restart policies want up", ""),
    },
    also={"ps": "ls", "list": "ls", "remove": "rm"},
)

image = Noun(
    "image",
    "Manage images",
    {
        "history": Entry("history:history", "Show the history of an image"),
        "build": Entry("build:build", "Build an image from a Dockerfile"),
        "import": Entry("archives:import_", "Import the contents from a tarball to create a filesystem image"),
        "inspect": Entry("inspect:image_inspect", "Display detailed information on one or more images"),
        "load": Entry("archives:load", "Load an image from a tar archive or STDIN"),
        "ls": Entry("images:images", "List images"),
        "prune": Entry("prune:image_prune", "Remove unused images"),
        "pull": Entry("registries:pull", "Download an image from a registry"),
        "push": Entry("registries:push", "Upload an image to a registry"),
        "rm": Entry("images:rmi", "Remove one or more images"),
        "save": Entry("archives:save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
        "tag": Entry("images:tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    },
    also={"list": "ls", "remove": "rm"},
)

manifest = Noun(
    "manifest",
    "Manage image manifests and manifest lists",
    {
        "annotate": Entry("manifests:annotate", "Add additional information to a local image manifest"),
        "create": Entry("manifests:create", "Create a local manifest list for annotating and pushing to a registry"),
        "inspect": Entry("manifests:inspect", "Display an image manifest, or manifest list"),
        "push": Entry("manifests:push", "Push a manifest list to a repository"),
        "rm": Entry("manifests:rm", "Delete one or more manifest lists from local storage"),
    },
)

builder = Noun(
    "builder",
    "Manage builds",
    {
        "build": Entry("build:build", "Build an image from a Dockerfile"),
        "prune": Entry("build:prune", "Remove build cache"),
    },
)

system = Noun(
    "system",
    "Manage minidock",
    {
        "df": Entry("df:df", "Show disk usage"),
        "events": Entry("events:events", "Get real time events from the server"),
        "info": Entry("system:info", "Display system-wide information"),
        "dial-stdio": Entry("dial:dial_stdio", "Proxy the stdio stream to the daemon connection", ""),
        "prune": Entry("prune:system_prune", "Remove unused data"),
    },
)

contexts = Noun(
    "context",
    "Manage contexts",
    {
        "create": Entry("contexts:create", "Create a context"),
        "export": Entry("context_files:export", "Export a context to a tar archive FILE or a tar stream on STDOUT."),
        "import": Entry("context_files:import_", "Import a context from a tar or zip file"),
        "inspect": Entry("contexts:inspect", "Display detailed information on one or more contexts"),
        "ls": Entry("contexts:ls", "List contexts"),
        "rm": Entry("contexts:rm", "Remove one or more contexts"),
        "show": Entry("contexts:show_", "Print the name of the current context"),
        "update": Entry("contexts:update", "Update a context"),
        "use": Entry("contexts:use", "Set the current docker context"),
    },
    also={"list": "ls", "remove": "rm"},
)


@verb("help", "Show the help of a command", "[COMMAND]...", least=0, most=9, hidden=True)
def help_(arguments: list[str]) -> None:
    """`minidock help container ls` is `minidock container ls --help`."""
    root = click.get_current_context().find_root()
    group = root.command
    ctx = root
    for word in arguments:
        assert isinstance(group, Noun)
        name, command, _ = group.resolve_command(ctx, [word])
        assert command is not None
        ctx = click.Context(command, parent=ctx, info_name=name)
        if not isinstance(command, Noun):
            break
        group = command
    click.echo(ctx.command.get_help(ctx))
