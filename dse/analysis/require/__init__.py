"""Inverse sizing: what targets come to, what can deliver it, and the best single change to a design."""
