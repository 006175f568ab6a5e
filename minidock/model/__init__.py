"""Docker's nouns, as frozen structs with the Engine API's names (api/swagger.yaml, v1.44); one file an idea.

The command line fills `ContainerConfig` and `HostConfig` from flags, the engine keeps them with the container, and
`inspect` and the REST API show them again: one shape all the way. A command loads the files whose nouns it has.
"""
