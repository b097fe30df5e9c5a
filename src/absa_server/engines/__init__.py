"""What runs a network. The only folder that, with training/, may import torch and transformers."""
