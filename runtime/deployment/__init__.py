"""Deployments: who holds which account, certificates and secrets as files, what engines run."""
