"""Copies of content on other services: an IPFS node, a pinning service, Arweave."""
