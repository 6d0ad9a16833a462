"""The commands of DN.ai."""
