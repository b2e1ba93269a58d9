"""The HTTP entrypoint: the specification's endpoints on Litestar."""
