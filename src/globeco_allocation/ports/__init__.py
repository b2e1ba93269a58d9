"""What the domain asks of the world: one Protocol per conversation, in the domain's words."""
