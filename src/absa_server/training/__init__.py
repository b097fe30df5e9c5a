"""Fine-tuning the demo models, and a user's own. A command's code: the server never imports it."""
