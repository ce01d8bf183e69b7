"""Content-addressed storage: content ids as IPFS computes them, files, and copies on IPFS and Arweave."""
