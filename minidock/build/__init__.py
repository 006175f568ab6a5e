"""Dockerfile → image. What is read here is told apart from what is done:

    lines     physical lines → logical ones: comments, continuations, heredocs, and where each character came from
    grammar   logical lines → instructions with their flags
    commands  instructions → values, one type each
    stages    values → stages, their scopes, and which of them a target needs
    lint      what can be said about a Dockerfile without building it (and lint_variables)
    ignore    .dockerignore and the wildcards of COPY
    tree      the files of layers, merged, as overlayfs would show them
    context   where COPY's files come from: a directory, a tar, an address, a repository
    copying   COPY and ADD → the files of a new layer
    cache     what was built before, and whether it is still the same
    solve     a stage's instructions, one after another
    parallel  stages beside each other, in processes

Nothing here starts a container: RUN is given from above (`solve.Run`).
"""
