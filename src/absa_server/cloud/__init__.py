"""The AWS side: templates, images, stacks, endpoints. The `absa` commands of the cloud are made of it."""
